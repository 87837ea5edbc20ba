"""The bench: what it counts is counted again by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.data.batches import Batch
from dragoman.data.prepare import Prepared
from dragoman.errors import OptionError, TrainingError
from dragoman.training import bench as room
from dragoman.training import step as step_room
from dragoman.training.bench import bench, choose_batches, measure
from dragoman.training.folder import begin
from dragoman.training.state import Run
from dragoman.training.step import StepResult

PAIRS = 8 * 7
LENGTHS = (1, 2, 3, 5, 6, 8, 9, 13)
quiet = Console(quiet=True).print


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure no longer than the rounds take."""
    monkeypatch.setattr(room, "LEAST_SECONDS", 0.0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """56 pairs of words, 7 of each of 8 lengths: n + 1 words to the left, n to the right."""
    path = tmp_path_factory.mktemp("bench") / "pairs.tsv"
    rows = [(n, i) for n in LENGTHS for i in range(7)]
    words = [" ".join([f"w{i}"] * (n + 1)) + "\t" + " ".join([f"v{i}"] * n) for n, i in rows]
    path.write_text("\n".join(words) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def begun(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Prepared]:
    """A run that was begun, of a GRU without attention and frills."""
    config = merge(
        Config(),
        {
            "data": {"validation": 0},
            "model": {
                "embedding": 5,
                "hidden": 13,
                "attention": "none",
                "dropout": 0.1,
                "bidirectional": False,
            },
            "training": {
                "precision": "fp32",
                "threads": 1,
                "optimizer": "rmsprop",
                "momentum": 0.9,
            },
        },
        place="test",
    )
    out = tmp_path_factory.mktemp("begun")
    return out, begin([pairs], out, config, Console(quiet=True).print)


def test_samples_and_tokens_are_counted_exactly(begun: tuple[Path, Prepared]) -> None:
    folder, prepared = begun
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    threads = torch.get_num_threads()
    found = measure(folder, prepared, 7)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert torch.get_num_threads() == threads
    # Eight batches of seven are all pairs: as many tokens a sample as the data has.
    tokens = 7 * sum(n + 1 for n in LENGTHS)
    assert found.tokens_per_second / found.samples_per_second == pytest.approx(tokens / PAIRS)
    assert found.sentences == 7
    assert found.utilisation is not None and 0 < found.utilisation < 1.5
    assert found.memory_mb > 50


def test_a_round_is_spread_over_the_lengths() -> None:
    lengths = np.array([1 + i // 6 for i in range(90)], dtype=np.int32)
    batches = choose_batches(lengths, lengths, 6, seed=1)
    assert [len(rows) for rows in batches] == [6] * 8
    widths = [max(lengths[i] for i in rows) for rows in batches]
    assert widths == [1, 3, 5, 7, 9, 11, 13, 15]


def test_the_table_ends_where_memory_does(
    pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = step_room._backward

    def small(run: Run, scale: torch.Tensor, batch: Batch) -> object:
        if len(batch.source) > 4:
            raise MemoryError
        return real(run, scale, batch)

    monkeypatch.setattr(step_room, "_backward", small)
    with pytest.raises(TrainingError, match=r"does not hold 8 sentences \(smaller --sizes, or a"):
        list(bench([pairs], Config(), quiet, sizes=[8, 16]))
    assert main(["bench", str(pairs), "--sizes", "8", "4", "2"]) == 1
    streams = capsys.readouterr()
    assert [line.split()[0] for line in streams.out.splitlines()] == ["batch", "2", "4"]
    assert streams.err.endswith("hold 8 sentences (smaller --sizes, or a smaller model)\n")


def test_bad_sizes(pairs: Path) -> None:
    for sizes in ([4, 0], [4, 52]):
        with pytest.raises(OptionError, match="--sizes: a batch has 1 to 51 of these pairs"):
            list(bench([pairs], Config(), quiet, sizes=sizes))


@pytest.mark.parametrize("fixed", [True, False])
def test_a_fixed_order_is_measured_where_it_is_asked_for(
    begun: tuple[Path, Prepared], fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, prepared = begun
    options = replace(prepared.config.training, deterministic=fixed)
    seen: list[bool] = []
    real = room.train_step

    def step(run: Run, batch: Batch) -> StepResult:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return real(run, batch)

    monkeypatch.setattr(room, "train_step", step)
    measure(folder, replace(prepared, config=replace(prepared.config, training=options)), 4)
    assert set(seen) == {fixed}


@pytest.mark.slow
def test_the_command_measures_the_sizes_asked_for(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text("[model]\nhidden = 12\nembedding = 6\nattention = 'none'\n")
    asked = ["--sizes", "6", "2", "--recipe", str(tmp_path / "r.toml")]
    assert main(["bench", str(pairs), *asked]) == 0
    head, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert head == ["batch", "samples/s", "tokens/s", "MB", "utilisation"]
    assert [row[0] for row in rows] == ["2", "6"]
    for _, samples, tokens, memory, share in rows:
        assert float(tokens.replace(",", "")) > float(samples.replace(",", "")) > 0
        assert float(memory.replace(",", "")) > 50 and share.endswith("%")


def test_the_default_sizes_are_those_that_the_pairs_fill(
    pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "measure", lambda folder, prepared, size: size)
    assert list(bench([pairs], Config(), quiet)) == [1, 2, 4, 8, 16, 32]
