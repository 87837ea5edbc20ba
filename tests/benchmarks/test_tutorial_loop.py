"""The tutorial's two variants are the same model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.tutorial_loop import Tutorial, batches
from benchmarks.words import Words
from benchmarks.workloads import Workload

TINY = Workload("tiny", "", embedding=5, hidden=6, layers=2, directions="sum", dropout=0.0)
SIZES = 13, 17


def loss(score: str, energies: str, w: Workload = TINY) -> tuple[float, torch.Tensor]:
    """The loss of one fixed batch, and a gradient that passes through all of the model."""
    torch.manual_seed(3)
    model = Tutorial(w, SIZES, score, energies).double()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -0.6, 0.6)
    source = torch.tensor([[4, 5, 6], [7, 8, 3], [9, 3, 0], [3, 0, 0]])
    target = torch.tensor([[4, 5, 16], [7, 3, 9], [3, 0, 3]])
    value = model(source, torch.tensor([4, 3, 2]), target)
    value.backward()
    gradient = model.encoder.embedding.weight.grad
    assert gradient is not None
    return value.item(), gradient


@pytest.mark.parametrize("score", ["dot", "general", "concat"])
@pytest.mark.parametrize("directions", ["sum", "concat"])
def test_energies_one_by_one_or_at_once_give_the_same_loss(score: str, directions: str) -> None:
    w = replace(TINY, directions=directions)
    looped, batched = (loss(score, energies, w) for energies in ("looped", "batched"))
    assert looped[0] == pytest.approx(batched[0], rel=1e-6)
    torch.testing.assert_close(looped[1], batched[1], rtol=1e-5, atol=1e-9)


def test_attention_is_seen_in_the_loss() -> None:
    values = {score: loss(score, "batched")[0] for score in ("dot", "general", "concat", "none")}
    assert len({round(value, 6) for value in values.values()}) == 4


def test_batches_are_sorted_by_source_and_end_in_the_end_token(tmp_path: Path) -> None:
    texts = {
        "train.src": "a\na b c\na b\n",
        "train.tgt": "x\nx x x\nx q\n",
        "vocabulary.src": "a\nb\nc\n",
        "vocabulary.tgt": "x\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    source, lengths, target = next(batches(Words(tmp_path), 16, "cpu"))
    assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
    for column, length in zip(source.t().tolist(), lengths.tolist(), strict=True):
        assert column[:length] == [*[4, 5, 6][: length - 1], 3]
        assert not any(column[length:])
    answers = {2: [4, 3], 4: [4, 4, 4, 3], 3: [4, 1, 3]}  # "q" is unknown
    for column, length in zip(target.t().tolist(), lengths.tolist(), strict=True):
        assert [token for token in column if token] == answers[length]
