"""``dragoman runs``: folders made by hand, and real processes."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import to_toml
from dragoman.layout import METRICS
from dragoman.runs.display import row_lines
from made_runs import make_run, train_row, validation_row

END = {
    "kind": "end",
    "step": 100,
    "epoch": 2,
    "elapsed": 3700.0,
    "reason": "100 steps done",
    "interrupted": False,
}
ROWS = [train_row(50), validation_row(50), train_row(100), validation_row(100, best=False), END]


@pytest.fixture
def below(tmp_path: Path) -> Path:
    """Runs in every state, and folders that are none."""
    make_run(tmp_path / "a", ROWS)
    make_run(tmp_path / "b" / "stopped", [*ROWS[:2], END | {"interrupted": True, "step": 60}])
    make_run(tmp_path / "b" / "killed", ROWS[:1])
    make_run(tmp_path / "damaged", ROWS)
    (tmp_path / "damaged" / "config.toml").write_text("[model")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "config.toml").write_text("title = 'a web site'")
    make_run(tmp_path / ".hidden" / "x", ROWS)
    return tmp_path


def test_runs_are_found_with_state_and_scores(
    below: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = dragoman.find_runs(below)
    assert [(run.name, run.state, run.last["step"]) for run in found] == [
        ("a", "finished", 100),
        ("killed", "interrupted", 50),
        ("stopped", "interrupted", 60),
    ]
    assert found[0].best["step"] == 50 and found[1].best == {}
    assert main(["runs", str(below)]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = ["run", "state", "step", "time", "tokens/s", "MB", "loss", "BLEU", "chrF", "exact"]
    assert len(lines) == 4 and lines[0].split() == heads
    costs = ["finished", "100", "1:01:40", "1,075", "500"]
    assert lines[1].split()[1:] == [*costs, "0.080", "37.1", "40.0", "1.0", "%"]
    assert lines[2].split()[1:] == ["interrupted", "50", "0:05", "1,050", "450"]


def test_a_lock_tells_that_a_run_goes_on(below: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(below / "a" / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        main(["runs", str(below / "a")])
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "running"


def test_options_and_data_that_differ_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, cell, data in (
        ("a", "gru", "0123456789"),
        ("b", "lstm", "0123456789"),
        ("c", "gru", "ff"),
    ):
        make_run(tmp_path / name, ROWS)
        sizes = {"embedding": 8, "hidden": 8, "dropout": 0.1}
        config = Config(model=replace(Config().model, cell=cell, **sizes))  # type: ignore[arg-type]
        (tmp_path / name / "config.toml").write_text(to_toml(config), "utf-8")
        (tmp_path / name / "run.json").write_text(json.dumps({"data": data}), "utf-8")
    make_run(tmp_path / "d", ROWS)  # its record is damaged
    (tmp_path / "d" / "config.toml").write_text((tmp_path / "a" / "config.toml").read_text())
    (tmp_path / "d" / "run.json").write_text('{"data": 7}', "utf-8")
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[5:] == [
        "data: 01234567 (a, b); ff (c); 7 (d)",
        "model.cell: gru (a, c, d); lstm (b)",
    ]
    assert main(["runs", str(tmp_path / "a")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_is_left_out_is_told(below: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damaged runs, those of a newer format, and a folder without any, such as a bundle."""
    newer = make_run(below / "newer", ROWS) / "config.toml"
    newer.write_text(f'format = "99"\n{newer.read_text("utf-8").partition(chr(10))[2]}', "utf-8")
    assert main(["runs", str(below)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    lines = sorted(err.splitlines())
    assert len(lines) == 2 and all(s.startswith("dragoman runs: left out: ") for s in lines)
    assert "damaged/config.toml" in lines[0] and "has format '99', this version" in lines[1]
    assert main(["runs", str(below / "site")]) == 0
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("dragoman runs: no run there (a run has met")


@pytest.mark.parametrize(("arguments", "message"), [(["runs", "{d}/no"], "no such folder")])
def test_what_is_no_run_is_refused(
    below: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([a.format(d=below) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def wait_for(seen: object, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if seen():  # type: ignore[operator]
            return
        assert process.poll() is None, "the process ended before its time"
        time.sleep(0.1)
    raise AssertionError("it did not happen in a minute")


@pytest.mark.slow
def test_a_killed_run_is_called_interrupted(tmp_path: Path) -> None:
    lines = "".join(f"{a} {b}\t{b} {a}\n" for a in "abcdefgh" for b in "ijklmnop")
    (tmp_path / "p.tsv").write_text(lines, encoding="utf-8")
    folder = tmp_path / "m"
    command = [sys.executable, "-m", "dragoman"]
    training = subprocess.Popen(
        [
            *command,
            "train",
            str(tmp_path / "p.tsv"),
            "--out",
            str(folder),
            "--hidden",
            "16",
            "--embedding",
            "8",
            "--steps",
            "1000000",
            "--validate-every",
            "20",
            "--report-every",
            "10",
            "--patience",
            "0",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        metrics = folder / METRICS
        wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 5, training)
        (run,) = dragoman.find_runs(tmp_path)
        assert run.state == "running" and (folder / "report.html").exists()
        training.kill()
        training.wait(30)
        assert [run.state for run in dragoman.find_runs(tmp_path)] == ["interrupted"]
    finally:
        training.kill()


@pytest.mark.parametrize(
    ("row", "damaged"),
    [
        ("[" * 100_000, False),
        ('{"kind": "validation", "step": 70, "best": true, "loss": "abc"}', True),
        ('{"kind": "train", "step": 70, "elapsed": null}', True),
        ('{"kind": "train", "step": 70, "memory_mb": "x"}', True),
        ('{"kind": "train", "step": 70, "memory_mb": null, "tokens_per_second": null}', False),
        ('{"kind": "validation", "step": 70, "samples": null}', False),
        ('{"kind": "validation", "step": 70, "samples": [7]}', False),
    ],
)
def test_strange_rows_take_no_other_run_with_them(
    below: Path, row: str, damaged: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(below / "a" / METRICS, "a", encoding="utf-8") as file:
        file.write(f"{row}\n")
    assert main(["runs", str(below)]) == 0
    states = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:4]]
    assert states[1:] == ["interrupted", "interrupted"] and (states[0] == "damaged") == damaged


def test_a_run_too_short_for_a_report_interval_shows_no_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "short", [validation_row(30), END])
    assert main(["runs", str(tmp_path)]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[1:5] == ["finished", "100", "1:01:40", "0.133"]


def test_a_folder_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "\x1b[31mred\x07", ROWS)
    assert main(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "\\x1b[31mred\\x07" in out and "\x1b" not in out and "\x07" not in out


def test_a_sample_cannot_command_the_terminal() -> None:
    sample = {"source": "\x1b[31mred\x1b]0;title\x07 🎉", "reference": "", "output": "\x9b2J"}
    out = "".join(row_lines(validation_row(50) | {"samples": [sample]}))
    assert "\\x1b[31mred\\x1b]0;title\\x07 🎉" in out and "\\x9b2J" in out
    assert "\x1b" not in out and "\x9b" not in out
