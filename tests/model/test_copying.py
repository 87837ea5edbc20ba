"""The pointer: against probabilities written out, and in every arrangement of attention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dragoman.data.batches import make_batch
from dragoman.data.tokenizer import UNK
from dragoman.model.output import Objective
from dragoman.model.seq2seq import Seq2Seq
from tiny import TARGET, VOCABULARY, tiny_model

ARRANGEMENTS = [
    {"attention": "luong", "score": "general"},
    {"attention": "luong", "score": "dot", "input_feeding": True},
    {"attention": "bahdanau", "score": "concat"},
]


@pytest.fixture
def copies(source: Tensor, mask: Tensor) -> Tensor:
    """Ids of the source in the target's vocabulary: every third word is none of it."""
    own = VOCABULARY + torch.arange(source.shape[1]).expand_as(source) // 2
    return torch.where(mask & (source % 3 == 0), own, source)


@pytest.fixture
def answers(target: Tensor, copies: Tensor) -> Tensor:
    """Reference ids: words of the vocabulary, and words that can only be copied."""
    ids = target.roll(-1, 1)
    ids[:, 1] = copies[:, 0]
    for row, own in enumerate(copies):
        for place, word in enumerate(own[own >= VOCABULARY].tolist()):
            ids[row, 2 + place] = word
    assert int((ids >= VOCABULARY).sum()) == 4
    return ids


def naive_probs(
    model: Seq2Seq, source: Tensor, mask: Tensor, copies: Tensor, target: Tensor, answers: Tensor
) -> Tensor:
    """p(answer) of every position by the formula, one token at a time: [B, T]."""
    assert model.copying is not None
    rows = []
    for b in range(len(source)):
        memory, state = model.encode(source[b : b + 1], mask[b : b + 1], copies[b : b + 1])
        probs = []
        for t in range(target.shape[1]):
            token = target[b : b + 1, t]
            token = torch.where(token >= VOCABULARY, UNK, token)
            feature, state, weights = model.decoder.stepper(memory)(token, state)
            assert weights is not None
            gate = torch.sigmoid(model.copying.gate(feature[0]))[0]
            generated = torch.softmax(model.output.weight @ feature[0] + model.output.bias, 0)
            answer = int(answers[b, t])
            p = gate * generated[answer] if answer < VOCABULARY else torch.zeros(()).double()
            for i in range(source.shape[1]):
                if int(copies[b, i]) == answer:
                    p = p + (1 - gate) * weights[0, i]
            probs.append(p)
        rows.append(torch.stack(probs))
    return torch.stack(rows)


@pytest.mark.parametrize("options", ARRANGEMENTS, ids=str)
def test_loss_and_gradients_are_those_of_the_written_out_mixture(
    options: dict[str, object],
    source: Tensor,
    mask: Tensor,
    target: Tensor,
    copies: Tensor,
    answers: Tensor,
) -> None:
    model = tiny_model(copy=True, **options)
    real = torch.arange(TARGET) < torch.tensor([TARGET, 3, 5, 6, 8]).unsqueeze(1)
    loss = model(make_batch(source, mask, target, answers, real, copies), Objective())
    loss.total.backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    expected = -naive_probs(model, source, mask, copies, target, answers)[real].log().sum()
    expected.backward()
    torch.testing.assert_close(loss.total, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(loss.plain, expected.detach(), rtol=0, atol=1e-9)
    assert ours["copying.gate.weight"].abs().sum() > 1e-3
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(ours[name], parameter.grad, rtol=0, atol=1e-9, msg=name)


def test_smoothing_is_of_the_vocabulary_alone(
    source: Tensor, mask: Tensor, target: Tensor, copies: Tensor, answers: Tensor
) -> None:
    model = tiny_model(copy=True)
    everything = torch.ones_like(target, dtype=torch.bool)

    def loss(smoothing: float) -> Tensor:
        batch = make_batch(source, mask, target, answers, everything, copies)
        return model(batch, Objective(smoothing)).total

    memory, start = model.encode(source, mask, copies)
    features, _ = model.decoder.unroll(target, start, memory)
    even = -model.output(features).mean(-1).sum()
    torch.testing.assert_close(loss(0.2), 0.8 * loss(0.0) + 0.2 * even, rtol=0, atol=1e-9)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(loss(0.2), parameters, allow_unused=True)
    both = torch.autograd.grad(0.8 * loss(0.0) + 0.2 * even, parameters, allow_unused=True)
    for a, b in zip(ours, both, strict=True):
        if b is not None:
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", ARRANGEMENTS, ids=str)
def test_step_gives_one_distribution_over_both(
    options: dict[str, object], source: Tensor, mask: Tensor, target: Tensor, copies: Tensor
) -> None:
    model = tiny_model(copy=True, **options)
    memory, start = model.encode(source, mask, copies)
    token = torch.full((len(source),), VOCABULARY)  # a copied word is read as unknown
    features, state, weights = model.decoder.stepper(memory)(token, start)
    log_probs = model.scores(features, weights, memory.copies)
    assert log_probs.shape[-1] == int(copies.max()) + 1
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(len(source)).double())
    unknown = torch.full_like(token, UNK)
    expected, other, _ = model.decoder.stepper(memory)(unknown, start)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(state.rows, other.rows)
    for answer in range(int(copies.max()) + 1):
        ids = torch.full((len(source), 1), answer)
        naive = naive_probs(model, source, mask, copies, torch.full_like(ids, UNK), ids)
        shown = log_probs[:, answer].exp()
        torch.testing.assert_close(shown, naive[:, 0], rtol=0, atol=1e-12)


def test_a_sampled_softmax_mixes_with_the_pointer(
    source: Tensor, mask: Tensor, target: Tensor, copies: Tensor, answers: Tensor
) -> None:
    """Words that can only be copied cost the same, whichever words are sampled."""
    model = tiny_model(copy=True)
    only = answers >= VOCABULARY
    batch = make_batch(source, mask, target, answers, only, copies)
    full, sampled = model(batch, Objective()), model(batch, Objective(samples=5))
    torch.testing.assert_close(sampled.total, full.total, rtol=0, atol=1e-9)
