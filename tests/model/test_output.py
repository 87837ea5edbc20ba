"""The fused loss against torch's own, in value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dragoman.model import output as output_module
from dragoman.model.output import Objective, Output, SparseOutput
from tiny import formula_weights

TOKENS, HIDDEN, VOCABULARY = 17, 11, 29


@pytest.mark.parametrize("chunk", [1, 5 * VOCABULARY, 10**6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_loss_and_gradients_are_cross_entropys(
    smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "CHUNK_ELEMENTS", chunk)
    monkeypatch.setattr(output_module, "ROWS", 1)
    layer = Output(HIDDEN, VOCABULARY).double()
    formula_weights(layer)
    features = torch.sin(torch.arange(TOKENS * HIDDEN).double()).view(TOKENS, HIDDEN)
    features.requires_grad_()
    targets = torch.arange(TOKENS) * 7 % VOCABULARY
    targets[:3] = F.linear(features, layer.weight, layer.bias).argmax(1)[:3]
    total, plain, right = layer.loss(features, targets, Objective(smoothing), None)
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


@pytest.mark.parametrize("kind", [Output, SparseOutput])
@pytest.mark.parametrize("chunk", [1, 10**6])
def test_filled_rows_change_no_loss_and_no_gradient(
    kind: type[Output], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "CHUNK_ELEMENTS", chunk)
    layer, tokens = kind(HIDDEN, VOCABULARY), 150  # chunks of 64, 64 and 22 tokens, or one
    formula_weights(layer)
    targets, found = torch.arange(tokens) * 7 % VOCABULARY, []
    for fill in (output_module.filled, lambda rows: rows.bfloat16()):
        monkeypatch.setattr(output_module, "filled", fill)
        features = torch.sin(torch.arange(tokens * HIDDEN).float()).view(tokens, HIDDEN)
        features.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            total, plain, right = layer.loss(features, targets, Objective(0.1), None)
        total.backward()
        found.append((total, plain, right, features.grad, layer.weight.grad, layer.bias.grad))
        layer.zero_grad()
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def naive_entmax(scores: torch.Tensor) -> torch.Tensor:
    """Entmax-1.5 of [V]: halves the interval in which the threshold lies."""
    low, high = scores.max() / 2 - 1, scores.max() / 2
    for _ in range(80):
        middle = (low + high) / 2
        over = ((scores / 2 - middle).clamp(0) ** 2).sum() > 1
        low, high = (middle, high) if over else (low, middle)
    return (scores / 2 - low).clamp(0) ** 2


@pytest.mark.parametrize("chunk", [1, 5 * VOCABULARY, 10**6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_entmax_loss_is_that_of_fenchel_and_young(
    smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "CHUNK_ELEMENTS", chunk)
    monkeypatch.setattr(output_module, "ROWS", 1)
    layer = SparseOutput(HIDDEN, VOCABULARY).double()
    formula_weights(layer)
    features = 6 * torch.sin(torch.arange(TOKENS * HIDDEN).double()).view(TOKENS, HIDDEN)
    scores = F.linear(features, layer.weight, layer.bias).detach()
    targets = torch.arange(TOKENS) * 7 % VOCABULARY
    targets[:3] = scores.argmax(1)[:3]
    features.requires_grad_()
    total, plain, right = layer.loss(features, targets, Objective(smoothing), None)
    (total * 3).backward()
    p = torch.stack([naive_entmax(row) for row in scores])
    assert 0.2 < (p == 0).double().mean() < 0.9
    one = F.one_hot(targets, VOCABULARY).double()
    aim = (1 - smoothing) * one + smoothing / VOCABULARY
    entropy = 4 / 3 * (p - p**1.5).sum(1)
    for found, wanted in ((total, aim), (plain, one)):
        expected = (((p - wanted) * scores).sum(1) + entropy).sum()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    assert int(right) == int((scores.gather(1, targets[:, None])[:, 0] >= scores.amax(1)).sum())
    d_scores = 3 * (p - aim)
    given = features.grad, layer.weight.grad, layer.bias.grad
    expected = d_scores @ layer.weight, d_scores.T @ features, d_scores.sum(0)
    for ours, naive in zip(given, expected, strict=True):
        torch.testing.assert_close(ours, naive, rtol=0, atol=1e-10)


def test_words_without_weight_are_far_below_and_stay_in_order() -> None:
    layer = SparseOutput(1, 4)
    with torch.no_grad():
        layer.weight[:, 0] = torch.tensor([0.0, -9.0, 3.0, -5.0])
    log_probs = layer(torch.ones(1))
    assert log_probs.argsort().tolist() == [1, 3, 0, 2]
    assert log_probs[2] == 0 and log_probs[0] < -9_000 and log_probs.isfinite().all()
    for target, loss in ((2, 0.0), (0, 3.0), (1, 12.0)):  # as a hinge, once one word has all weight
        one = layer.loss(torch.ones(1, 1), torch.tensor([target]), Objective(), None)
        assert one[1].item() == pytest.approx(loss, abs=1e-5)


@pytest.mark.parametrize("kind", [Output, SparseOutput])
def test_gradcheck(kind: type[Output]) -> None:
    layer = kind(3, 5).double()
    features = torch.sin(torch.arange(12).double()).view(4, 3).requires_grad_()
    targets = torch.tensor([0, 4, 2, 2])

    def function(features: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return layer.loss(features, targets, Objective(0.2), None)[0]

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
        total, plain, _ = layer.loss(inputs, targets, Objective(0.1, scale=scale), None)
        (total * factor).backward()
        found.append((total.detach() * factor, plain, inputs.grad, layer.weight.grad.clone()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_no_gradient_is_formed_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a gradient was formed")

    monkeypatch.setattr(torch.Tensor, "scatter_add_", never)
    layer = Output(HIDDEN, VOCABULARY)
    with torch.no_grad():
        total, _, _ = layer.loss(torch.ones(3, HIDDEN), torch.tensor([0, 1, 2]), Objective(), None)
    assert total.isfinite()


def test_no_tokens_have_no_loss_and_no_gradient() -> None:
    layer = Output(HIDDEN, VOCABULARY)
    features = torch.empty(0, HIDDEN, requires_grad=True)
    total, plain, right = layer.loss(
        features, torch.empty(0, dtype=torch.long), Objective(0.1), None
    )
    total.backward()
    assert (total.item(), plain.item(), right.item()) == (0.0, 0.0, 0)
    assert not layer.weight.grad.any() and not layer.bias.grad.any()


@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_what_learns_nothing_costs_nothing(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Output(HIDDEN, VOCABULARY).double()
    features, targets = torch.rand(TOKENS, HIDDEN).double(), torch.arange(TOKENS)
    found = []
    formed: list[torch.Tensor] = []
    turn = torch.Tensor.t

    def counted(matrix: torch.Tensor) -> torch.Tensor:
        formed.append(matrix)
        return turn(matrix)

    monkeypatch.setattr(torch.Tensor, "t", counted)  # for the product that is a weight's gradient
    for learns in (True, False):
        getattr(layer, frozen).requires_grad_(learns)
        x = features.clone().requires_grad_()
        layer.weight.grad = layer.bias.grad = None
        layer.loss(x, targets, Objective(), None)[0].backward()
        found.append({"features": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad})
    assert found[1].pop(frozen) is None
    assert all(torch.equal(found[0][name], gradient) for name, gradient in found[1].items())
    assert len(formed) == (1 if frozen == "weight" else 2)
