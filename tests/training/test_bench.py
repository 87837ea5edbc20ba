"""The bench: what it counts is counted again by hand; processes that die are survived."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge, to_toml
from dragoman.data.batches import Batch, PairsInMemory
from dragoman.data.source import Source
from dragoman.errors import OptionError, TrainingError
from dragoman.training import bench as room
from dragoman.training.bench import Throughput, bench, choose_batches, in_own_process, measure
from dragoman.training.folder import begin
from dragoman.training.machine import threads_restored
from dragoman.training.state import Run
from dragoman.training.step import StepResult

PAIRS = 8 * 7
LENGTHS = (1, 2, 3, 5, 6, 8, 9, 13)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """56 pairs of words, 7 of each of 8 lengths: n + 1 words to the left, n to the right."""
    path = tmp_path_factory.mktemp("bench") / "pairs.tsv"
    rows = [(n, i) for n in LENGTHS for i in range(7)]
    words = [" ".join([f"w{i}"] * (n + 1)) + "\t" + " ".join([f"v{i}"] * n) for n, i in rows]
    path.write_text("\n".join(words) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def folder(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    begin([pairs], out, config, Console(quiet=True).print)
    return out


def test_samples_and_tokens_are_counted_exactly(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = measure(folder, 7, 0.0)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    # Eight batches of seven are all pairs: as many tokens a sample as the data has.
    tokens = 7 * sum(n + 1 for n in LENGTHS)
    assert found.tokens_per_second / found.samples_per_second == pytest.approx(tokens / PAIRS)
    assert found.batch_tokens == pytest.approx(tokens / 8)
    assert found.sentences == 7 and found.spread >= 0
    assert found.utilisation is not None and 0 < found.utilisation < 1.5
    assert found.memory is None or found.memory > 50e6


def test_a_round_is_spread_over_the_lengths() -> None:
    lengths = [1 + i // 6 for i in range(90)]
    ids = [np.zeros(n, dtype=np.int32) for n in lengths]
    batches, longest = choose_batches(PairsInMemory([Source(one) for one in ids], ids), 6, seed=1)
    assert [len(rows) for rows in batches] == [6] * 8 and len(longest) == 6
    widths = [max(lengths[i] for i in rows) for rows in batches]
    assert widths == [1, 3, 5, 7, 9, 11, 13, 15] and max(lengths[i] for i in longest) == 15


def row(sentences: int, tokens: float, memory: int | None = 10) -> Throughput:
    return Throughput(sentences, 9.6 * sentences, tokens / 9.6, tokens, 0.0, memory, None)


@pytest.mark.slow
def test_a_process_that_memory_does_not_hold_is_survived() -> None:
    assert in_own_process(divmod, 17, 5) == (3, 2)
    assert in_own_process(exec, "import os; os.kill(os.getpid(), 9)") is None  # as the system does
    with pytest.raises(TrainingError, match="ended with exit code 3"):
        in_own_process(os._exit, 3)
    assert in_own_process(bytearray, 10**17) is None
    allocator = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    assert in_own_process(exec, f'raise RuntimeError("{allocator}")') is None
    with pytest.raises(RuntimeError, match="something else"):
        in_own_process(exec, "raise RuntimeError('something else')")


def test_the_table_ends_where_memory_does(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        room, "in_own_process", lambda work, place, size, _: row(size, 5.0) if size < 8 else None
    )
    found = list(bench(pairs, sizes=[2, 4, 8, 16], say=said.append))
    assert [r.sentences for r in found] == [2, 4]
    assert said[-1] == "8 sentences a batch: memory does not hold them, the table ends before"
    with pytest.raises(TrainingError, match=r"memory does not hold 8 sentences \(a smaller model"):
        list(bench(pairs, sizes=[8, 16]))


def test_bad_sizes(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match="--sizes: a batch has at least 1 sentence"):
        list(bench([pairs], sizes=[4, 0]))
    with pytest.raises(OptionError, match="--sizes: there are only 51 pairs to learn from"):
        list(bench(pairs, sizes=[4, 52]))
    with pytest.raises(OptionError, match="--seconds: inf is no time to measure for"):
        list(bench([pairs], seconds=float("inf")))


@pytest.mark.parametrize("fixed", [True, False])
def test_a_fixed_order_is_measured_where_it_is_asked_for(
    folder: Path, tmp_path: Path, fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "m")
    config = load_config(folder)
    config = replace(config, training=replace(config.training, deterministic=fixed))
    (tmp_path / "m" / "config.toml").write_text(to_toml(config))
    seen: list[bool] = []
    real = room.train_step

    def step(run: Run, batch: Batch) -> StepResult:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return real(run, batch)

    monkeypatch.setattr(room, "train_step", step)
    with threads_restored():
        measure(tmp_path / "m", 4, 0.0)
    assert set(seen) == {fixed}


@pytest.mark.slow
def test_a_size_is_measured_in_a_process_of_its_own(folder: Path) -> None:
    found = in_own_process(measure, folder, 4, 0.0)
    assert found.sentences == 4 and found.samples_per_second > 0


@pytest.mark.slow
def test_the_command_measures_the_sizes_asked_for(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "in_own_process", lambda work, *arguments: work(*arguments))
    (tmp_path / "r.toml").write_text("[model]\nhidden = 12\nembedding = 6\nattention = 'none'\n")
    asked = ["--sizes", "6", "2", "--seconds", "0", "--recipe", str(tmp_path / "r.toml")]
    assert main(["bench", str(pairs), *asked, "--json"]) == 0
    streams = capsys.readouterr()
    found = json.loads(streams.out)
    assert [r["sentences"] for r in found["rows"]] == [2, 6] and found["fastest"] in (2, 6)
    assert set(found["rows"][0]) == {
        "sentences",
        "batch_tokens",
        "samples_per_second",
        "tokens_per_second",
        "spread",
        "memory",
        "utilisation",
    }
    assert "2 sentences a batch: " in streams.err and "samples/s" in streams.err


def test_the_table_names_the_fastest_size(
    pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {2: 480.0, 4: 960.0, 8: 1200.0, 16: 1100.0}
    monkeypatch.setattr(
        room, "in_own_process", lambda work, place, size, _: row(size, rates[size], size * 10**6)
    )
    assert main(["bench", str(pairs), "--sizes", "2", "4", "8", "16"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == (
        "fastest: 8 sentences a batch (77 target tokens): 1,200 tokens/s in 8 MB"
    )
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert cells[2] == ["8", "125", "0%", "1,200", "8", "–"]
