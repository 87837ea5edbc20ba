"""What ``benchmarks/scale.py`` measures on the way to its constants, at small size."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import constants
from benchmarks.constants import Check, Measured, alone, prepared, read, run, trained, write_pairs
from benchmarks.cost import Constants, Line, Model
from benchmarks.memory import own_memory
from benchmarks.scale import markdown, parser
from dragoman.model.folder import load_folder


def test_files_without_tatoeba_have_synthetic_pairs(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.tsv", 7, tmp_path)
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    assert len(rows) == 7 and all(len(row) == 2 and all(row) for row in rows)


@pytest.mark.slow
def test_a_preparation_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "p.tsv", 300, tmp_path)
    held = np.ones(300_000_000 // 8)  # of this process, not of the one that is measured
    found = alone(prepared, pairs, tmp_path / "m")
    assert found["processor"] > 0 and found["wall"] > 0
    kept = sum(path.stat().st_size for path in (tmp_path / "m" / "corpus").iterdir())
    assert found["disk"] == kept > 0
    assert 30e6 < found["memory"] < 300e6 and held.nbytes


@pytest.mark.slow
def test_a_training_tells_its_weights_time_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "STEPS", 24)
    pairs = write_pairs(tmp_path / "p.tsv", 300, tmp_path)
    found = trained(pairs, tmp_path / "m", 8)
    model = load_folder(tmp_path / "m").model
    assert found.model.weights == sum(p.numel() for p in model.parameters())
    assert found.processor > 0 and found.wall > 0 and found.memory > 50e6
    assert 7 <= found.tokens_a_pair <= 22
    assert read(tmp_path / "m", 8, 1, int(found.memory)) == found


@pytest.mark.slow
def test_a_training_from_a_prepared_corpus_takes_its_vocabularies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "STEPS", 24)
    pairs = write_pairs(tmp_path / "p.tsv", 300, tmp_path)
    alone(prepared_with_words, pairs, tmp_path / "corpus", 9)
    found = trained(tmp_path / "corpus", tmp_path / "m", 8)
    assert len(load_folder(tmp_path / "m").target) < 20 and found.memory > 50e6


def prepared_with_words(pairs: Path, folder: Path, words: int) -> None:
    """In a process of its own: a preparation with so many words."""
    constants.WORDS = words
    prepared(pairs, folder)


def test_mapped_files_are_no_memory_of_a_process(tmp_path: Path) -> None:
    path, before = tmp_path / "file", own_memory(os.getpid())
    np.ones(20_000_000).tofile(path)
    mapped = np.memmap(path, mode="r")
    assert mapped.sum() > 0
    assert own_memory(os.getpid()) < before + 80e6
    held = np.ones(20_000_000)
    assert own_memory(os.getpid()) > before + 120e6 and held.nbytes


def test_the_last_words_of_a_command_that_fails_are_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    with pytest.raises(RuntimeError, match="no such thing"):
        run(command, tmp_path / "m")


def test_a_check_is_a_row_of_a_table() -> None:
    assert Check("disk", "MB", 110.0, 100.0).line() == "| disk | MB | 110 | 100 | 1.10 |"


def test_the_report_has_every_prediction(tmp_path: Path) -> None:
    line = Line(1.0, 1e-6)
    found = Constants(line, line, line, line, memory_a_pair=8.0, tokens_a_pair=10.0)
    model, checks = Model(10_000_000, 30e6), [Check("disk", "MB", 110.0, 100.0)]
    measured = Measured(found, Line(0.01, 1e-11), 1e9, model, {"a step": 0.3}, checks)
    asked = parser().parse_args(["--pairs", "1e6", "1e9", "--devices", "1", "2", "1024"])
    asked.busy = 0.5
    text = markdown(asked, measured)
    assert "| disk | MB | 110 | 100 | 1.10 |" in text and "| a step, by the clock | 0.3 s |" in text
    assert "| 1e+09 | 16.7 min |" in text  # 1 s and a microsecond a pair
    # 50 million tokens on one core: 0.31 s for a thousand; two exchange 40 MB in 0.032 s a step.
    assert "| 1e+06 | 4.3 h, 0.22, 0 % | 2.4 h, 0.24, 9 % | " in text
    assert text.count("| 1e+06 |") == 3  # the data, and two kinds of devices
