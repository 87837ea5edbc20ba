"""How large a batch may be: the probe leaves no trace, and what is fastest is found."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dragoman.cli import main
from dragoman.config.folder import load_config
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import merge
from dragoman.data.plans import longest_batch, plan_batches
from dragoman.errors import OptionError, TrainingError
from dragoman.model.folder import load_folder
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training import run as room
from dragoman.training import sizing
from dragoman.training.loop import Run
from dragoman.training.run import train
from dragoman.training.sizing import Trial, fastest, measure_size, measure_sizes, sizes_to_try


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

    def small(self: Seq2Seq, batch: Any, objective: Any) -> Any:
        if batch.source.numel() + batch.target_in.numel() > 120:
            raise MemoryError
        return real(self, batch, objective)

    monkeypatch.setattr(Seq2Seq, "forward", small)
    said = go(pairs, tmp_path / "m", options())
    assert said.count("out of memory; from here on") == said.count("step 0: out of memory") == 1


def test_several_processes_say_which_batch_memory_does_not_hold(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(self: Seq2Seq, batch: Any, objective: Any) -> Any:
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


def test_the_fastest_batch_is_the_smallest_that_none_outruns() -> None:
    def trials(*rates: float) -> Iterator[Trial]:
        yield from (Trial(64 << i, rate) for i, rate in enumerate(rates))
        raise AssertionError("asked for more")

    def of(found: Trial | None) -> int:
        return found.batch_tokens if found else 0

    assert of(fastest(trials(100, 180, 188, 185))) == 128  # not a twentieth faster
    assert of(fastest(trials(100, 180, 170, 300, 310, 300))) == 512  # one bad moment is forgiven
    assert of(fastest([Trial(64, 100), Trial(128, 200)])) == 128
    assert fastest([]) is None


def test_sizes_leave_an_epoch_enough_updates() -> None:
    assert sizes_to_try(900) == [256]
    assert sizes_to_try(50 * 1100) == [256, 512, 1024]
    assert sizes_to_try(10**9)[-1] == 16_384


def test_measuring_leaves_no_trace_in_the_run(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "SMALLEST", 20)
    monkeypatch.setattr(sizing, "LEAST_BATCHES", 10)
    monkeypatch.setattr(sizing, "SECONDS", 0.0)
    rates = {20: 100.0, 40: 200.0, 80: 205.0}

    def scripted(run: Run, size: int) -> float:
        assert measure_size(run, size) > 0
        return rates[size]

    monkeypatch.setattr(sizing, "measure_size", scripted)
    said = go(pairs, tmp_path / "found", options(batch_tokens="fastest"))
    assert "fastest batch here: 40 target tokens (tokens/s of 20: 100, 40: 200, 80: 205)" in said
    assert load_config(tmp_path / "found").training.batch_tokens == 40
    go(pairs, tmp_path / "given", options(batch_tokens=40))
    assert losses(tmp_path / "found") == losses(tmp_path / "given")
    # The same command goes on with the number; it measures nothing.
    monkeypatch.setattr(sizing, "measure_size", None)
    said = go(pairs, tmp_path / "found", options(batch_tokens="fastest", steps=8))
    assert "resuming at step 6" in said and "8 steps done" in said


def test_sizes_end_where_memory_or_time_does(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "SMALLEST", 20)
    monkeypatch.setattr(sizing, "LEAST_BATCHES", 10)
    seen: list[list[int]] = []

    def measured(run: Run) -> Iterator[Trial]:
        for end in ("memory in parts", "memory to come", "time"):
            tried: list[int] = []

            def one(run: Run, size: int, end: str = end, tried: list[int] = tried) -> float:
                tried.append(size)
                if size == 40 and end == "memory in parts":
                    run.state.positions = 10
                if size == 40 and end == "memory to come":
                    monkeypatch.setattr(sizing, "peak_memory", lambda device: 1 << 60)
                if size == 40 and end == "time":
                    monkeypatch.setattr(sizing, "TOGETHER", -1.0)
                return 1.0

            with monkeypatch.context() as patch:
                patch.setattr(sizing, "peak_memory", lambda device: None)
                patch.setattr(sizing, "measure_size", one)
                given = [trial.batch_tokens for trial in measure_sizes(run)]
            run.state.positions = 0
            seen.append(tried)
            assert given == tried[: 1 if end == "memory in parts" else 2]
        yield Trial(33, 1.0)

    monkeypatch.setattr(sizing, "measure_sizes", measured)
    go(pairs, tmp_path / "m", options(batch_tokens="fastest", steps=1))
    assert seen == [[20, 40]] * 3
    assert load_config(tmp_path / "m").training.batch_tokens == 33


def test_where_the_fastest_batch_cannot_be_asked_for(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OptionError, match="'fastest' needs training.batching 'tokens'"):
        check_options(options(batch_tokens="fastest", batching="sentences"))
    monkeypatch.setattr(room.Accelerator, "num_processes", 2)
    with pytest.raises(OptionError, match="measured in one process, here are 2"):
        go(pairs, tmp_path / "m", options(batch_tokens="fastest"))


def test_batch_auto_on_the_command_line(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def begun(files: object, out: object, config: Config, **_: object) -> None:
        asked.append(config.training.batch_tokens)
        raise OptionError("enough")

    monkeypatch.setattr("dragoman.api.train", begun)
    for size in ("auto", "700"):
        assert main(["train", str(pairs), "--out", str(tmp_path / "m"), "--batch", size]) == 2
    assert asked == ["fastest", 700]
    assert main(["train", str(pairs), "--out", str(tmp_path / "m"), "--batch", "some"]) == 2
    assert "--batch" in capfd.readouterr().err
