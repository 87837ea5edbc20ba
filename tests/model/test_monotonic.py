"""Hard monotonic attention against a sum over all monotonic paths."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from dragoman.data.batches import make_batch
from dragoman.model.output import Objective
from dragoman.model.protocols import Cells
from dragoman.model.recurrent.monotonic import MonotonicDecoder
from dragoman.model.seq2seq import Seq2Seq
from tiny import BATCH, TARGET, VOCABULARY, tiny_model

WRITTEN = 4
"""Tokens of a target whose paths are all gone through."""


@pytest.fixture
def model() -> Seq2Seq:
    return tiny_model(attention="monotonic")


def naive_probability(model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """The probability of the tokens after the first: the sum over all ways to place them."""
    decoder = model.decoder
    assert isinstance(decoder, MonotonicDecoder) and decoder.combine is not None
    assert decoder.attention is not None and decoder.attention.key is not None
    states, _ = model.encoder(source, mask)
    final = model.encode(source, mask)[1]
    h = decoder.scan(decoder.embedding(target[:, :-1]), final)
    total = torch.zeros((), dtype=h.dtype)
    for path in itertools.combinations_with_replacement(range(source.shape[1]), WRITTEN):
        product, last = torch.ones((), dtype=h.dtype), 0
        for t, place in enumerate(path):
            energies = torch.stack(
                [h[0, t] @ (decoder.attention.key.weight @ s) for s in states[0]]
            )
            move = energies[last:].softmax(0)[place - last]
            both = torch.cat((states[0, place], h[0, t]))
            scores = model.output.weight @ torch.tanh(decoder.combine.weight @ both)
            word = (scores + model.output.bias).softmax(0)[target[0, t + 1]]
            product, last = product * move * word, place
        total = total + product
    return total


def test_a_target_is_as_probable_as_all_its_paths(
    model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    gradients = []
    for b in (0, 2):
        real = int(mask[b].sum())
        one, seen = source[b : b + 1, :real], target[b : b + 1, : WRITTEN + 1]
        whole = torch.ones_like(seen[:, 1:], dtype=torch.bool)
        batch = make_batch(one, mask[b : b + 1, :real], seen[:, :-1], seen[:, 1:], whole)
        for loss in (
            model(batch, Objective()).total,
            -naive_probability(model, one, mask[b : b + 1, :real], seen).log(),
        ):
            model.zero_grad()
            loss.backward()
            named = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
            gradients.append((loss.detach(), named))
        (ours, mine), (theirs, wanted) = gradients[-2:]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
        assert mine.keys() == wanted.keys()
        for name, gradient in wanted.items():
            torch.testing.assert_close(mine[name], gradient, rtol=0, atol=1e-9, msg=name)


def test_steps_are_the_unrolled_target(
    model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    with torch.no_grad():
        memory, state = model.encode(source, mask)
        unrolled, places = model.decoder.unroll(target, state, memory)
        step = model.decoder.stepper(memory, Cells(torch.arange(BATCH) * 2, 2))
        for t in range(TARGET):
            log_probs, state, looked = step(target[:, t], state)
            torch.testing.assert_close(log_probs, unrolled[:, t], rtol=0, atol=1e-10)
            torch.testing.assert_close(looked, places[:, t], rtol=0, atol=1e-10)
            chosen = torch.arange(BATCH).flip(0)
            state = state.select(chosen).select(chosen).join(state).select(torch.arange(BATCH))
    assert unrolled.shape == (BATCH, TARGET, VOCABULARY)
    torch.testing.assert_close(unrolled.exp().sum(-1), torch.ones(BATCH, TARGET).double())
    assert (places * ~mask.unsqueeze(1)).max() < 1e-12  # none on padding
    ahead = places.cumsum(-1)  # positions only advance
    assert (ahead[:, 1:] <= ahead[:, :-1] + 1).all()


def test_smoothing_is_over_the_words(
    model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    answers, real = target.roll(-1, 1), torch.ones_like(target, dtype=torch.bool)
    loss = model(make_batch(source, mask, target, answers, real), Objective(smoothing=0.1, scale=2))
    memory, state = model.encode(source, mask)
    log_probs, _ = model.decoder.unroll(target, state, memory)
    wanted = torch.nn.functional.cross_entropy(
        log_probs.flatten(0, 1), answers.flatten(), label_smoothing=0.1, reduction="sum"
    )
    torch.testing.assert_close(loss.total, 2 * wanted)
