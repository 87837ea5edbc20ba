"""What a run leaves for people: a failure there is said, and the run stands."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from dragoman.runs import report
from made_runs import make_run, train_row, validation_row


@pytest.mark.parametrize("error", [OSError("no space"), RuntimeError("odd"), KeyError("odd")])
def test_no_failure_of_report_or_card_ends_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(folder: Path) -> None:
        raise error

    folder = make_run(tmp_path / "m", [train_row(50), validation_row(50)])
    monkeypatch.setattr(report, "write_report", fail)
    console = Console(file=io.StringIO(), width=200)
    report.write_documents(folder, console)
    said = capsys.readouterr().err
    assert f"dragoman: report.html is not written: {type(error).__name__}: " in said
    assert (folder / "README.md").exists()
    assert isinstance(console.file, io.StringIO) and "report: " in console.file.getvalue()


def test_a_damaged_run_is_concluded_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(
        tmp_path / "m", [{"kind": "validation", "step": 1, "best": True, "loss": "x"}]
    )
    (folder / "run.json").write_text('{"asked": 7}')
    console = Console(file=io.StringIO(), width=200)
    report.write_documents(folder, console)
    said = capsys.readouterr().err
    assert said.startswith("dragoman: report.html is not written: AttributeError: ")
    assert "\ndragoman: README.md is not written: " in said and said.count("\n") == 2
    assert not list(folder.glob("*.html")) + list(folder.glob("*.md"))


@pytest.mark.slow
def test_a_training_without_a_place_for_a_font_cache_ends_well(tmp_path: Path) -> None:
    lines = "".join(f"{a} {b}\t{b} {a}\n" for a in "abcdefgh" for b in "ijklmnop")
    (tmp_path / "p.tsv").write_text(lines, encoding="utf-8")
    # Where matplotlib finds neither a home nor a temporary folder it raises OSError.
    blocked = tmp_path / "matplotlib.py"
    blocked.write_text("raise OSError('no writable cache directory')", encoding="utf-8")
    command = [sys.executable, "-m", "dragoman"]
    train = ["train", "p.tsv", "--out", "m", "--hidden", "8", "--embedding", "8", "--steps", "5"]
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [*command, *train], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert {"model.safetensors", "report.html", "README.md"} <= {
        path.name for path in (tmp_path / "m").iterdir()
    }
    plot = ["explain", "m", "a b", "--attention", "c.png"]
    done = subprocess.run(
        [*command, *plot], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 1 and b"c.png: cannot be drawn: no writable cache" in done.stderr
    assert b"Traceback" not in done.stderr
