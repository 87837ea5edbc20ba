"""Batches that memory does not hold: the probe leaves no trace, and lowers the size of a batch."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge
from dragoman.data.plans import longest_batch, plan_batches
from dragoman.errors import OptionError
from dragoman.model.folder import load_folder
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training import run as room
from dragoman.training import start
from dragoman.training.run import train
from dragoman.training.state import Run


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pairs of 2 to 13 words."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [[f"w{(i * j) % 7}" for j in range(2 + i % 12)] for i in range(120)]
    lines = [f"{' '.join(r)}\t{' '.join(reversed(r))}" for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(**training: object) -> Config:
    given = {
        "steps": 6,
        "batch_tokens": 90,
        "report_every": 1,
        "precision": "fp32",
        "warmup": 2,
        "validate_every": 99,
        "validation_sample": 2,
        "scheduled_sampling": "token",
    } | training
    small = {"embedding": 12, "hidden": 16, "dropout": 0.2}
    return merge(Config(), {"model": small, "training": given}, place="test")


def go(pairs: Path, out: Path, config: Config) -> str:
    said = io.StringIO()
    train([pairs], out, config, console=Console(file=said, width=200))
    return said.getvalue()


def losses(out: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [(row["loss"], row["gradient_norm"]) for row in rows if row["kind"] == "train"]


def test_the_longest_batch_is_run_first_and_leaves_no_trace(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = Seq2Seq.forward

    def watched(self: Seq2Seq, batch: Any, objective: Any) -> Any:
        if self.training:
            sizes.append(batch.source.numel() + batch.target_in.numel())
        return real(self, batch, objective)

    monkeypatch.setattr(Seq2Seq, "forward", watched)
    go(pairs, tmp_path / "probed", options(epochs=1, steps=0))
    probed, sizes = sizes, []
    assert probed[0] == max(probed[1:])
    monkeypatch.setattr(room, "fit_batches", lambda run: "")
    go(pairs, tmp_path / "plain", options(epochs=1, steps=0))
    assert probed[1:] == sizes
    assert losses(tmp_path / "probed") == losses(tmp_path / "plain")
    one, other = (load_folder(tmp_path / name).model for name in ("probed", "plain"))
    for name, tensor in one.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(tensor, other.state_dict()[name]), name  # type: ignore[union-attr]


def test_the_longest_batch_counts_padding_on_both_sides() -> None:
    source, target = np.array([9, 1, 1, 3, 3], np.int32), np.array([1, 1, 1, 6, 2], np.int32)
    plan = [np.array([0, 1]), np.array([3, 4]), np.array([2])]
    assert longest_batch(plan, source, target) is plan[0]  # 2 x (10 + 2) against 2 x (4 + 7)
    plan = plan_batches(source, target, 7, seed=1, epoch=0)
    assert longest_batch(plan, source, target).tolist() == [0]


def test_batches_that_memory_does_not_hold_are_made_smaller_before_the_first_step(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 60)
    said = go(pairs, tmp_path / "m", options(schedule="constant"))
    note = "Memory does not hold the longest batch: training.batch_tokens is lowered to 22."
    assert said.count(note) == 1 and "in parts" not in said
    assert load_config(tmp_path / "m").training.batch_tokens == 22
    assert json.loads((tmp_path / "m" / "run.json").read_text())["notes"][-1] == note
    asked = {"steps": 8, "schedule": "constant"}
    said = go(pairs, tmp_path / "m", options(**asked))  # with the batch that was asked for at first
    assert "resuming at step 6" in said and note not in said
    monkeypatch.undo()
    go(pairs, tmp_path / "asked", options(**asked, batch_tokens=22))
    assert losses(tmp_path / "m")[:6] == losses(tmp_path / "asked")[:6]


def test_batches_of_a_number_of_pairs_are_made_smaller_too(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 60)
    said = go(pairs, tmp_path / "m", options(batching="sentences", batch_sentences=16))
    assert "training.batch_sentences is lowered to 2." in said


def test_the_smallest_memory_of_all_processes_decides(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = iter([1.0, 0.0])  # another process does not hold the first size that it tries
    real = room.fit_batches

    def of_two(run: Run) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(run.processes, "largest", lambda here: [max(here, next(other))])
            return real(run)

    monkeypatch.setattr(room, "fit_batches", of_two)
    assert "training.batch_tokens is lowered to 45." in go(pairs, tmp_path / "m", options())


def test_a_pair_that_memory_does_not_hold_refuses_the_run(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 20)
    with pytest.raises(OptionError, match=r"training: memory does not hold one pair of 28 tokens"):
        go(pairs, tmp_path / "m", options())
    assert not (tmp_path / "m").exists()


def test_a_model_that_memory_does_not_hold_is_refused(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = SimpleNamespace(total=1000)
    monkeypatch.setattr(start.psutil, "virtual_memory", lambda: little)
    with pytest.raises(OptionError, match="model: it takes 0 GB to train"):
        go(pairs, tmp_path / "m", options())


def limit(monkeypatch: pytest.MonkeyPatch, positions: int) -> None:
    """Let memory hold so many positions of a batch in training."""
    real = Seq2Seq.forward

    def small(self: Seq2Seq, batch: Any, objective: Any) -> Any:
        if self.training and batch.source.numel() + batch.target_in.numel() > positions:
            raise MemoryError
        return real(self, batch, objective)

    monkeypatch.setattr(Seq2Seq, "forward", small)
