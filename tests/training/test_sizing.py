"""How large a batch may be: the probe leaves no trace, and what is fastest is found."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dragoman.config import Config, merge
from dragoman.data.plans import longest_batch, plan_batches
from dragoman.errors import TrainingError
from dragoman.model.folder import load_folder
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training import run as room
from dragoman.training.loop import Run
from dragoman.training.run import train


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pairs of 2 to 13 words."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [[f"w{(i * j) % 7}" for j in range(2 + i % 12)] for i in range(120)]
    lines = [f"{' '.join(r)}\t{' '.join(reversed(r))}" for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(**training: object) -> Config:
    given = {"steps": 6, "batch_tokens": 90, "report_every": 1, "precision": "fp32", "warmup": 2,
             "validate_every": 3, "scheduled_sampling": "token"} | training  # fmt: skip
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

    def watched(self: Seq2Seq, *inputs: Any) -> Any:
        if self.training:
            sizes.append(inputs[0].numel() + inputs[2].numel())
        return real(self, *inputs)

    monkeypatch.setattr(Seq2Seq, "forward", watched)
    go(pairs, tmp_path / "probed", options(epochs=1, steps=0))
    probed, sizes = sizes, []
    assert probed[0] == max(probed[1:])
    monkeypatch.setattr(room, "probe_longest", lambda run: None)
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


def test_want_of_memory_shows_before_the_first_step(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Seq2Seq.forward

    def small(self: Seq2Seq, *inputs: Any) -> Any:
        if inputs[0].numel() + inputs[2].numel() > 120:
            raise MemoryError
        return real(self, *inputs)

    monkeypatch.setattr(Seq2Seq, "forward", small)
    said = go(pairs, tmp_path / "m", options())
    assert said.count("out of memory; from here on") == said.count("step 0: out of memory") == 1


def test_several_processes_say_which_batch_memory_does_not_hold(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: Seq2Seq, *inputs: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(Seq2Seq, "forward", none)
    real = room.probe_longest

    def of_two(run: Run) -> None:
        monkeypatch.setattr(type(run.accelerator), "num_processes", 2)
        try:
            real(run)
        finally:
            monkeypatch.undo()

    monkeypatch.setattr(room, "probe_longest", of_two)
    with pytest.raises(TrainingError, match=r"the longest batch, [0-9]+ tokens \(lower --train"):
        go(pairs, tmp_path / "m", options())
