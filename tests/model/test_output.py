"""The fused loss against torch's own, in value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dragoman.model import output as output_module
from dragoman.model.output import Output
from tiny import formula_weights

TOKENS, HIDDEN, VOCABULARY = 17, 11, 29


@pytest.mark.parametrize("chunk", [1, 5 * VOCABULARY, 10**6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_loss_and_gradients_are_cross_entropys(
    smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "CHUNK_ELEMENTS", chunk)
    layer = Output(HIDDEN, VOCABULARY).double()
    formula_weights(layer)
    features = torch.sin(torch.arange(TOKENS * HIDDEN).double()).view(TOKENS, HIDDEN)
    features.requires_grad_()
    targets = torch.arange(TOKENS) * 7 % VOCABULARY
    targets[:3] = F.linear(features, layer.weight, layer.bias).argmax(1)[:3]
    total, plain, right = layer.loss(features, targets, smoothing)
    (total * 3).backward()
    ours = [features.grad.clone(), layer.weight.grad.clone(), layer.bias.grad.clone()]
    features.grad = layer.weight.grad = layer.bias.grad = None

    scores = F.linear(features, layer.weight, layer.bias)
    expected = F.cross_entropy(scores, targets, label_smoothing=smoothing, reduction="sum")
    (expected * 3).backward()
    torch.testing.assert_close(total, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(
        plain, F.cross_entropy(scores, targets, reduction="sum"), rtol=0, atol=1e-11
    )
    assert 3 <= int(right) == int((scores.argmax(1) == targets).sum()) < TOKENS
    for one, other in zip(ours, (features.grad, layer.weight.grad, layer.bias.grad), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_gradcheck() -> None:
    layer = Output(3, 5).double()
    features = torch.sin(torch.arange(12).double()).view(4, 3).requires_grad_()
    targets = torch.tensor([0, 4, 2, 2])

    def function(features: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return layer.loss(features, targets, 0.2)[0]

    assert torch.autograd.gradcheck(function, (features, layer.weight, layer.bias))


def test_the_forward_pass_gives_probabilities() -> None:
    layer = Output(HIDDEN, VOCABULARY)
    log_probs = layer(torch.ones(2, HIDDEN))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2))


def test_the_scale_is_a_factor_of_loss_and_gradients() -> None:
    layer = Output(HIDDEN, VOCABULARY).double()
    formula_weights(layer)
    features = torch.sin(torch.arange(TOKENS * HIDDEN).double()).view(TOKENS, HIDDEN)
    targets = torch.arange(TOKENS) * 7 % VOCABULARY
    found = []
    for scale, factor in ((1.0, 0.25), (torch.tensor(0.25).double(), 1.0)):
        inputs = features.clone().requires_grad_()
        layer.zero_grad()
        total, plain, _ = layer.loss(inputs, targets, 0.1, scale=scale)
        (total * factor).backward()
        found.append((total.detach() * factor, plain, inputs.grad, layer.weight.grad.clone()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_no_gradient_is_formed_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a gradient was formed")

    monkeypatch.setattr(output_module, "_add_product", never)
    layer = Output(HIDDEN, VOCABULARY)
    with torch.no_grad():
        total, _, _ = layer.loss(torch.ones(3, HIDDEN), torch.tensor([0, 1, 2]))
    assert total.isfinite()


def test_no_tokens_have_no_loss_and_no_gradient() -> None:
    layer = Output(HIDDEN, VOCABULARY)
    features = torch.empty(0, HIDDEN, requires_grad=True)
    total, plain, right = layer.loss(features, torch.empty(0, dtype=torch.long), 0.1)
    total.backward()
    assert (total.item(), plain.item(), right.item()) == (0.0, 0.0, 0)
    assert not layer.weight.grad.any() and not layer.bias.grad.any()


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_what_learns_nothing_costs_nothing(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Output(HIDDEN, VOCABULARY).double()
    features, targets = torch.rand(TOKENS, HIDDEN).double(), torch.arange(TOKENS)
    found = []
    formed = []
    monkeypatch.setattr(
        output_module,
        "_add_product",
        lambda total, left, right: formed.append(torch.mm(left.t(), right, out=total)),
    )
    for learns in (True, False):
        getattr(layer, frozen).requires_grad_(learns)
        x = features.clone().requires_grad_()
        layer.weight.grad = layer.bias.grad = None
        layer.loss(x, targets)[0].backward()
        found.append({"features": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad})
    assert found[1].pop(frozen) is None
    assert all(torch.equal(found[0][name], gradient) for name, gradient in found[1].items())
    assert len(formed) == (1 if frozen == "weight" else 2)
