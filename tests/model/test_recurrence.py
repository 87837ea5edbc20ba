"""The hand-written scans against torch's own layers, and their gradients against autograd's."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dragoman.model.recurrent import kernels
from dragoman.model.recurrent.layer import Layer
from tiny import BATCH, EMBEDDING, HIDDEN, SOURCE, formula_weights

CELLS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def layer_and_reference(cell: str, directions: int) -> tuple[Layer, torch.nn.RNNBase]:
    """The same weights in our layer and in torch's."""
    reference = CELLS[cell](EMBEDDING, HIDDEN, batch_first=True, bidirectional=directions == 2)
    reference = reference.double()
    formula_weights(reference)
    ours = Layer(cell, EMBEDDING, HIDDEN, directions).double()
    new_gate = slice(2 * HIDDEN, 3 * HIDDEN)
    for d, suffix in enumerate(("", "_reverse")[:directions]):
        ours.weight_input.data[d] = getattr(reference, f"weight_ih_l0{suffix}").data
        ours.weight_hidden.data[d] = getattr(reference, f"weight_hh_l0{suffix}").data
        inner = getattr(reference, f"bias_hh_l0{suffix}").data
        bias = getattr(reference, f"bias_ih_l0{suffix}").data + inner
        if ours.bias_new is not None:
            bias[new_gate] -= inner[new_gate]
            ours.bias_new.data[d] = inner[new_gate]
        ours.bias.data[d] = bias
    return ours, reference


def packed(reference: torch.nn.RNNBase, x: torch.Tensor, lengths: torch.Tensor) -> tuple:
    rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    outputs, final = reference(rows)
    return pad_packed_sequence(outputs, batch_first=True)[0], final


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_scan_is_torchs_packed_layer(
    cell: str, directions: int, lengths: torch.Tensor, mask: torch.Tensor
) -> None:
    ours, reference = layer_and_reference(cell, directions)
    x = torch.sin(torch.arange(BATCH * SOURCE * EMBEDDING).double()).view(BATCH, SOURCE, EMBEDDING)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    expected, final = packed(reference, inputs[0], lengths)
    outputs, state = ours.scan(inputs[1], lengths=lengths.numpy())

    torch.testing.assert_close(outputs[mask], expected[mask], rtol=0, atol=1e-12)
    rows = final if cell == "lstm" else (final,)
    joined = torch.stack([torch.cat(tuple(row), -1) for row in rows], 1)  # [B, R, DH]
    torch.testing.assert_close(state, joined, rtol=0, atol=1e-12)

    seen = torch.cos(torch.arange(outputs.numel()).double()).view_as(outputs)
    for out, last in ((expected, joined), (outputs, state)):
        ((out * seen)[mask].sum() + (last * last).sum()).backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=0, atol=1e-11)
    for d, suffix in enumerate(("", "_reverse")[:directions]):
        for name, theirs in (("weight_input", "ih"), ("weight_hidden", "hh")):
            gradient = getattr(ours, name).grad[d]
            wanted = getattr(reference, f"weight_{theirs}_l0{suffix}").grad
            torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-10)
        wanted = getattr(reference, f"bias_ih_l0{suffix}").grad
        torch.testing.assert_close(ours.bias.grad[d], wanted, rtol=0, atol=1e-10)
        if ours.bias_new is not None:
            wanted = getattr(reference, f"bias_hh_l0{suffix}").grad[2 * HIDDEN :]
            torch.testing.assert_close(ours.bias_new.grad[d], wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_finite_differences(cell: str) -> None:
    layer = Layer(cell, 3, 2, 2).double()
    formula_weights(layer)
    x = torch.sin(torch.arange(2 * 5 * 3).double()).view(2, 5, 3).requires_grad_()
    state = torch.cos(torch.arange(2 * layer.rows * 4).double()).view(2, layer.rows, 4)
    known = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])

    def function(x: torch.Tensor, state: torch.Tensor, *weights: torch.Tensor) -> tuple:
        names = (f"layer.{name}" for name, _ in layer.named_parameters())
        replaced = dict(zip(names, weights, strict=True))
        both = torch.func.functional_call(Scan(layer), replaced, (x, state, known))
        return both[0] * known.unsqueeze(-1), both[1]

    assert torch.autograd.gradcheck(
        function, (x, state.requires_grad_(), *layer.parameters()), atol=1e-7
    )


class Scan(torch.nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor, state: torch.Tensor, mask: torch.Tensor) -> tuple:
        return self.layer.scan(x, state, mask.sum(1).numpy())


@pytest.mark.parametrize("cell", CELLS)
def test_steps_are_the_scan(cell: str) -> None:
    layer = Layer(cell, EMBEDDING, HIDDEN).double()
    formula_weights(layer)
    x = torch.sin(torch.arange(BATCH * SOURCE * EMBEDDING).double()).view(BATCH, SOURCE, EMBEDDING)
    state = torch.cos(torch.arange(BATCH * layer.rows * HIDDEN).double())
    state = state.view(BATCH, layer.rows, HIDDEN)
    outputs, final = layer.scan(x, state)
    read, recur = layer.products()
    for t in range(SOURCE):
        state = layer.step(read(x[:, t]), state, recur)
        torch.testing.assert_close(state[:, 0], outputs[:, t], rtol=0, atol=1e-12)
    torch.testing.assert_close(state, final, rtol=0, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_librarys_kernel_is_the_scan(
    cell: str, directions: int, masked: bool, mask: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Layer(cell, EMBEDDING, HIDDEN, directions).double()
    formula_weights(layer)
    x = torch.sin(torch.arange(BATCH * SOURCE * EMBEDDING).double()).view(BATCH, SOURCE, EMBEDDING)
    state = torch.cos(torch.arange(BATCH * layer.rows * directions * HIDDEN).double())
    state = state.view(BATCH, layer.rows, directions * HIDDEN)
    known = mask if masked else None  # an encoder's, which begins with zeros
    real = mask.sum(1).numpy() if masked else None
    found = []
    for kernel in (False, True):
        monkeypatch.setattr(kernels, "suits_gru", lambda *_, kernel=kernel: kernel)
        layer.zero_grad()
        inputs, first = x.clone().requires_grad_(), state.clone().requires_grad_()
        outputs, last = layer.scan(inputs, None if masked else first, real)
        outputs = outputs if known is None else outputs * known.unsqueeze(-1)
        ((outputs * outputs).sum() + (last * last).sum()).backward()
        gradients = [p.grad.clone() for p in layer.parameters()]
        begun = torch.zeros(()) if masked else first.grad
        found.append([outputs.detach(), last.detach(), inputs.grad, begun, *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_librarys_kernel_is_the_scan_in_bf16(
    cell: str, masked: bool, mask: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Layer(cell, EMBEDDING, HIDDEN, 2)
    formula_weights(layer)
    x = torch.sin(torch.arange(BATCH * SOURCE * EMBEDDING) * 1.0).view(BATCH, SOURCE, EMBEDDING)
    known, real = (mask, mask.sum(1).numpy()) if masked else (None, None)
    found = []
    for kernel in (False, True):
        monkeypatch.setattr(kernels, "suits_gru", lambda *_, kernel=kernel: kernel)
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            outputs, last = layer.scan(x, lengths=real)
        assert outputs.dtype == last.dtype == torch.bfloat16
        outputs = outputs if known is None else outputs * known.unsqueeze(-1)
        (outputs.float().sum() + last.float().sum()).backward()
        gradients = [p.grad.clone() for p in layer.parameters()]
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
        found.append([outputs.detach().float(), last.detach().float(), *gradients])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=0.03 * float(ours.abs().max()))
