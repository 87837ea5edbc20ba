"""Unrolled training and step-by-step search give the same numbers, for every model there is."""

from __future__ import annotations

import gc
import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dragoman.data.batches import make_batch
from dragoman.model.output import Objective
from dragoman.model.protocols import Cells
from dragoman.model.seq2seq import Seq2Seq
from tiny import BATCH, HIDDEN, HYBRID, TARGET, TRANSFORMER, tiny_model

ARRANGEMENTS = [
    ("none", "dot", False),
    *[
        ("luong", score, feed)
        for score in ("dot", "scaled_dot", "general", "concat")
        for feed in (False, True)
    ],
    *[("bahdanau", score, False) for score in ("dot", "scaled_dot", "general", "concat")],
]
EVERY = list(itertools.product(("rnn", "gru", "lstm"), ARRANGEMENTS, (1, 2, 3)))
FAMILIES = [
    ("gru", ("luong", "general", False), 2, {**options, "embedding": HIDDEN})
    for options in (
        TRANSFORMER,
        {**TRANSFORMER, "shared_embeddings": True, "tied_output": True},
        HYBRID,
    )
]


def build(cell: str, arrangement: tuple[str, str, bool], layers: int, **more: object) -> Seq2Seq:
    attention, score, feed = arrangement
    return tiny_model(
        cell=cell,
        attention=attention,
        score=score,
        input_feeding=feed,
        encoder_layers=layers,
        decoder_layers=layers,
        **more,
    )


def naive_features(model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """The decoder by chained steps: one sentence and one token at a time."""
    rows = []
    for b in range(len(source)):
        real = int(mask[b].sum())
        memory, state = model.encode(source[b : b + 1, :real], mask[b : b + 1, :real])
        features = []
        for token in target[b].split(1):
            feature, state, weights = model.decoder.stepper(memory)(token, state)
            features.append(feature)
            if weights is not None:
                torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))
        rows.append(torch.cat(features))
    return torch.stack(rows)


def unroll(
    model: Seq2Seq, source: Tensor, mask: Tensor, target: Tensor
) -> tuple[Tensor, Tensor | None]:
    memory, state = model.encode(source, mask)
    return model.decoder.unroll(target, state, memory)


@pytest.mark.parametrize(("cell", "arrangement", "layers"), EVERY)
def test_unroll_is_the_chain_of_steps(
    cell: str,
    arrangement: tuple[str, str, bool],
    layers: int,
    source: Tensor,
    mask: Tensor,
    target: Tensor,
) -> None:
    model = build(cell, arrangement, layers)
    with torch.no_grad():
        unrolled, _ = unroll(model, source, mask, target)
        stepped = naive_features(model, source, mask, target)
    assert unrolled.shape == (BATCH, TARGET, HIDDEN)
    torch.testing.assert_close(unrolled, stepped, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "more",
    [
        {"bidirectional": False},
        {"directions": "sum"},
        {"reverse_source": True},
        {"reverse_source": True, "bidirectional": False},
        {"bridge": "copy"},
        {"bridge": "zero"},
        {"attention_weights": "entmax"},
        {"attention_weights": "sparsemax", "output_probabilities": "entmax"},
        {"residual": True},
        {"residual": True, "layer_norm": True, "directions": "sum"},
        *(more for _, _, _, more in FAMILIES),
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_unroll_is_the_chain_of_steps_for_every_encoder(
    cell: str, more: dict[str, object], source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = build(cell, ("luong", "general", False), 2, **more)
    with torch.no_grad():
        unrolled, _ = unroll(model, source, mask, target)
        stepped = naive_features(model, source, mask, target)
    torch.testing.assert_close(unrolled, stepped, rtol=0, atol=1e-10)


DEEP = [
    ("gru", arrangement, 3, {"residual": True, "layer_norm": True})
    for arrangement in (
        ("luong", "general", False),
        ("luong", "dot", True),
        ("bahdanau", "concat", False),
    )
] + [
    ("gru", ("luong", score, feeds), 1, {"attention_weights": weights})
    for weights, score, feeds in (("entmax", "general", False), ("sparsemax", "dot", True))
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "arrangement", "layers", "more"), [*((*one, {}) for one in EVERY), *DEEP, *FAMILIES]
)
def test_gradients_are_those_of_a_naive_per_step_loss(
    cell: str,
    arrangement: tuple[str, str, bool],
    layers: int,
    more: dict[str, object],
    source: Tensor,
    mask: Tensor,
    target: Tensor,
) -> None:
    model = build(cell, arrangement, layers, **more)
    answers = target.roll(-1, 1)
    real = torch.arange(TARGET) < torch.tensor([TARGET, 1, 5, 2, 8]).unsqueeze(1)
    smoothing = 0.1
    loss = model(make_batch(source, mask, target, answers, real), Objective(smoothing))
    loss.total.backward()
    ours = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    scores = model.output(naive_features(model, source, mask, target)).double()
    expected = F.cross_entropy(
        scores[real], answers[real], label_smoothing=smoothing, reduction="sum"
    )
    expected.backward()
    assert int(loss.tokens) == int(real.sum())
    torch.testing.assert_close(loss.total, expected, rtol=0, atol=1e-9)
    wanted = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert ours.keys() >= wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-8, msg=name)


@pytest.mark.parametrize(
    ("cell", "arrangement", "layers", "more"), [(*EVERY[0], {}), *DEEP, *FAMILIES]
)
def test_fp32_takes_other_products_to_the_same_gradients(
    cell: str,
    arrangement: tuple[str, str, bool],
    layers: int,
    more: dict[str, object],
    source: Tensor,
    mask: Tensor,
    target: Tensor,
) -> None:
    real = torch.arange(TARGET) < torch.tensor([TARGET, 1, 5, 2, 8]).unsqueeze(1)
    gradients = []
    for dtype in (torch.float64, torch.float32):
        model = build(cell, arrangement, layers, **more).to(dtype)
        loss = model(make_batch(source, mask, target, target.roll(-1, 1), real), Objective())
        loss.total.backward()
        named = model.named_parameters()
        gradients.append({name: p.grad.double() for name, p in named if p.grad is not None})
    for name, fine in gradients[0].items():
        bound = 1e-4 * float(fine.abs().max()) + 1e-6
        torch.testing.assert_close(gradients[1][name], fine, rtol=0, atol=bound, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("feeding", ["none", "token"])
@pytest.mark.parametrize(
    ("cell", "arrangement", "layers"), [one for one in EVERY if one[0] != "rnn" and one[2] < 3]
)
def test_bf16_learns_nearly_the_same(
    cell: str,
    arrangement: tuple[str, str, bool],
    layers: int,
    feeding: str,
    source: Tensor,
    mask: Tensor,
    target: Tensor,
) -> None:
    real = torch.arange(TARGET) < torch.tensor([TARGET, 1, 5, 2, 8]).unsqueeze(1)
    found = []
    for low in (False, True):
        model = build(cell, arrangement, layers).float()
        torch.manual_seed(0)
        objective = Objective(feeding=feeding, share=1e-9 if feeding != "none" else 0.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss = model(make_batch(source, mask, target, target.roll(-1, 1), real), objective)
        loss.total.backward()
        named = model.named_parameters()
        gradients = torch.cat([p.grad.flatten() for _, p in named if p.grad is not None])
        found.append((loss.total.detach(), gradients))
    (fine, wanted), (coarse, gradient) = found
    torch.testing.assert_close(coarse, fine, rtol=0.01, atol=0)
    assert float(torch.cosine_similarity(gradient, wanted, 0)) > 0.995


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["encoder.", "decoder."])
def test_a_loop_over_frozen_weights_keeps_nothing(
    frozen: str, source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = build("gru", ("bahdanau", "concat", False), 1)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(frozen))
    real = torch.ones_like(target, dtype=torch.bool)

    def live() -> int:
        loss = model(make_batch(source, mask, target, target.roll(-1, 1), real), Objective())
        loss.total.backward()
        del loss
        gc.collect()
        return sum(type(thing) in (Tensor, torch.nn.Parameter) for thing in gc.get_objects())

    live()
    assert live() == live()


def test_the_gradient_of_a_loop_can_be_taken_twice(
    source: Tensor, mask: Tensor, target: Tensor
) -> None:
    model = build("gru", ("bahdanau", "concat", False), 1)
    real = torch.ones_like(target, dtype=torch.bool)
    loss = model(make_batch(source, mask, target, target.roll(-1, 1), real), Objective())
    loss.total.backward(retain_graph=True)
    once = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    loss.total.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, 2 * once[name], rtol=1e-12, atol=1e-14)


def test_a_decoder_deeper_than_its_encoder_repeats_the_last_layer(
    source: Tensor, mask: Tensor
) -> None:
    model = tiny_model(cell="lstm", encoder_layers=1, decoder_layers=3, bridge="copy")
    start = model.encode(source, mask)[1].rows
    assert start.shape == (BATCH, 6, HIDDEN)
    torch.testing.assert_close(start[:, 2:4], start[:, :2])
    torch.testing.assert_close(start[:, 4:], start[:, :2])


@pytest.mark.parametrize(
    ("cell", "arrangement", "layers", "more"),
    [*((*one, {}) for one in EVERY if one[2] == 2), *FAMILIES],
)
def test_steps_in_cells_are_those_of_one_hypothesis_a_sentence(
    cell: str,
    arrangement: tuple[str, str, bool],
    layers: int,
    more: dict[str, object],
    source: Tensor,
    mask: Tensor,
    target: Tensor,
) -> None:
    """Any hypotheses of any sentences in any order, some of them more than one of a sentence."""
    model, slots = build(cell, arrangement, layers, **more), 3
    sentences, numbers = torch.tensor([4, 0, 0, 2, 4, 0]), torch.tensor([0, 0, 2, 1, 2, 1])
    cells, token = sentences * slots + numbers, torch.tensor([5, 6, 7, 6, 9, 5])
    with torch.no_grad():
        memory, start = model.encode(source, mask)
        _, state, _ = model.decoder.stepper(memory)(target[:, 0], start)
        chosen = state.select(sentences)
        step = model.decoder.stepper(memory, Cells(cells, slots))
        wide, after, looked = step(token, chosen)
        step = model.decoder.stepper(memory.select(sentences.numpy()))
        each, expected, weights = step(token, chosen)
    torch.testing.assert_close(wide, each, rtol=0, atol=1e-12)
    for one, other in zip(vars(after).values(), vars(expected).values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    if weights is not None:
        torch.testing.assert_close(looked, weights, rtol=0, atol=1e-12)


def test_rows_are_selected_and_joined(source: Tensor, mask: Tensor) -> None:
    memory, state = build("lstm", ("luong", "general", False), 1).encode(source, mask)
    chosen = state.select(torch.tensor([3, 3, 0]))
    assert len(state) == len(memory) == BATCH and len(chosen) == 3
    assert torch.equal(chosen.rows, state.rows[[3, 3, 0]])
    both = memory.select(torch.tensor([1])).join(memory)
    assert len(both) == BATCH + 1
    assert torch.equal(both.keys[1:], memory.keys) and torch.equal(both.mask[0], memory.mask[1])
