"""Scheduled sampling against a naive loop that follows each sentence by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dragoman.data.batches import make_batch
from dragoman.model.output import Objective
from tiny import BATCH, TARGET, tiny_model


@pytest.mark.parametrize("way", ["sequence", "token"])
def test_no_guesses_is_teacher_forcing(
    way: str, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = tiny_model()
    memory, start = model.encode(source, mask)
    expected, _ = model.decoder.unroll(target, start, memory)
    features, _ = model.unroll_with_guesses(target, start, memory, way, 0.0)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"input_feeding": True}, {"cell": "lstm"}], ids=str)
def test_all_guesses_is_free_running(
    options: dict[str, object], source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = tiny_model(**options)
    memory, start = model.encode(source, mask)
    for way in ("sequence", "token"):
        features, _ = model.unroll_with_guesses(target, start, memory, way, 1.0)
        for b in range(BATCH):
            alone, state = model.encode(source[b : b + 1], mask[b : b + 1])
            token = target[b, :1]
            for t in range(TARGET):
                feature, state, _ = model.decoder.stepper(alone)(token, state)
                torch.testing.assert_close(features[b, t], feature[0], rtol=0, atol=1e-12)
                token = model.output(feature).argmax(-1)


@pytest.mark.parametrize(
    "options",
    [{}, {"input_feeding": True}, {"attention": "bahdanau"}, {"attention": "monotonic"}],
    ids=str,
)
def test_gradients_are_those_of_the_steps_one_by_one(
    options: dict[str, object], source: Tensor, mask: Tensor, target: Tensor
) -> None:
    gradients = []
    for naive in (True, False):
        model = tiny_model(**options)
        memory, start = model.encode(source, mask)
        if naive:
            token, state, rows = target[:, 0], start, []
            for _ in range(TARGET):
                feature, state, _ = model.decoder.stepper(memory)(token, state)
                token = model.output(feature).argmax(-1)
                rows.append(feature)
            features = torch.stack(rows, 1)
        else:
            features, _ = model.unroll_with_guesses(target, start, memory, "token", 1.0)
        model.output(features).square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, expected in gradients[0].items():
        assert expected is not None or gradients[1][name] is None, name
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.slow
def test_a_share_of_sentences_or_tokens_is_guessed(source: Tensor, mask: Tensor) -> None:
    model = tiny_model()
    times = 300
    target = torch.full((BATCH, TARGET), 5)
    target[:, 0] = 2
    memory, start = model.encode(source, mask)
    forced, _ = model.decoder.unroll(target, start, memory)
    changed = {"sequence": 0, "token": 0}
    torch.manual_seed(1)
    for way in changed:
        for _ in range(times):
            features, _ = model.unroll_with_guesses(target, start, memory, way, 0.3)
            changed[way] += int((features - forced).abs().amax((1, 2)).gt(1e-9).sum())
    of = times * BATCH
    assert 0.25 < changed["sequence"] / of < 0.35
    # A sentence is touched unless none of its T - 1 tokens is guessed.
    assert changed["token"] / of > 0.9


@pytest.mark.parametrize("way", ["sequence", "token"])
def test_the_loss_learns_through_the_features(
    way: str, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = tiny_model()
    torch.manual_seed(5)
    everything = torch.ones_like(target, dtype=torch.bool)
    objective = Objective(feeding=way, share=0.5)
    loss = model(make_batch(source, mask, target, target.roll(-1, 1), everything), objective)
    loss.total.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert model.encoder.embedding.weight.grad.abs().sum() > 0
