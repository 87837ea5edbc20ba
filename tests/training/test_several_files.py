"""Trainings on several files with weights: stopped, refit, and in two processes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dragoman import cli
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.training.run import train
from killed import kill_at
from ranks import two_ranks
from tools.differences import differences

pytestmark = pytest.mark.slow

PAIRS = [(f"a{i} b{j}", f"B{j} A{i}") for i in range(12) for j in range(10)]
OPTIONS = {"steps": 11, "batch_tokens": 40, "report_every": 1, "precision": "fp32"}


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join("\t".join(pair) + "\n" for pair in pairs), "utf-8")
    return path


def run(place: Path, out: str, family: str = "recurrent", **training: Any) -> str:
    """Train on half of the pairs, and on the others with a weight of 0.5; what was said."""
    main, also = write(place / "main.tsv", PAIRS[:60]), write(place / "also.tsv", PAIRS[60:])
    model = {"family": family, "embedding": 8, "hidden": 8, "dropout": 0.2}
    tree = {"model": model, "data": {"also": [f"{also}=0.5"]}, "training": OPTIONS | training}
    text = io.StringIO()
    config = merge(Config(), tree, place="test")
    train([main], place / out, config, console=Console(file=text, width=200))
    return text.getvalue()


@pytest.mark.parametrize("family", ["recurrent", "transformer", "hybrid"])
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    run(tmp_path, "whole", family, save_every=3)
    kill_at(monkeypatch, (1, 7), lambda: run(tmp_path, "parts", family, save_every=3))
    run(tmp_path, "parts", family, save_every=3)
    assert differences(tmp_path / "whole", tmp_path / "parts") == []


def test_all_files_are_refit_with_their_weights(tmp_path: Path) -> None:
    said = run(tmp_path, "m", steps=6, refit=True)
    drawn = 54 + 30  # an epoch; the held-out pairs come to it
    assert f"for {round(6 * (drawn + 6) / drawn)} steps" in said


def test_another_file_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "m")
    write(tmp_path / "also.tsv", PAIRS[50:])
    begin = ["train", str(tmp_path / "main.tsv"), "--out", str(tmp_path / "m")]
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    options += ["--embedding=8", "--hidden=8", "--dropout=0.2"]
    assert cli.main([*begin, *options, "--also", f"{tmp_path / 'also.tsv'}=0.5"]) == 2
    assert "holds a run on other data" in capsys.readouterr().err


def test_two_processes_learn_from_several_files(
    dragoman_command: list[str], tmp_path: Path
) -> None:
    main, also = write(tmp_path / "main.tsv", PAIRS[:60]), write(tmp_path / "also.tsv", PAIRS[60:])
    command = [*dragoman_command, "train", str(main), "--also", f"{also}=0.5", "--threads", "1"]
    command += ["--out", str(tmp_path / "m"), "--steps", "8", "--hidden", "8", "--embedding", "8"]
    assert "8 steps done" in two_ranks(command)


def test_several_files_are_named_after_one_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = [str(write(tmp_path / "p.tsv", PAIRS)), "--out", str(tmp_path / "n"), "--also"]
    assert cli.main(["train", *begin, "a.tsv=1", "--also", "b.tsv=2"]) == 2
    expected = "--data.also: is given twice (put all values after the first)"
    assert expected in capsys.readouterr().err
    assert cli.main(["train", *begin, "a.tsv=1", "b.tsv=2"]) == 2
    assert "a.tsv: no such file" in capsys.readouterr().err
