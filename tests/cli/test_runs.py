"""``dragoman runs`` and ``dragoman watch``: folders made by hand, and real processes."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import main
from dragoman.layout import METRICS
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
    assert main(["runs", str(below), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(Path(run["folder"]).name, run["state"], run["step"]) for run in found] == [
        ("a", "finished", 100),
        ("killed", "interrupted", 50),
        ("stopped", "interrupted", 60),
    ]
    assert found[0]["seconds"] == 3700.0 and found[0]["memory_mb"] == 500.0
    assert found[0]["best_step"] == 50 and found[0]["best"]["bleu"] == ROWS[1]["bleu"]
    assert found[0]["tokens_per_second"] == 1075.0 and found[1]["best"] == {}
    assert [run.summary() for run in dragoman.find_runs(below)] == found
    assert main(["runs", str(below)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].split()[:4] == ["run", "state", "step", "time"]
    assert lines[1].split()[1:4] == ["finished", "100", "1:01:40"] and "37.1" in lines[1]


def test_a_lock_tells_that_a_run_goes_on(below: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(below / "a" / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        main(["runs", str(below / "a"), "--json"])
    assert json.loads(capsys.readouterr().out)[0]["state"] == "running"


def test_watch_once_says_where_a_run_stands(
    below: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(below / "a"), "--once"]) == 0
    said = capsys.readouterr().out
    assert "step 100: loss 0.040, perplexity 0.50" in said
    assert "50 %, 0:12 left, 0:10 gone, step 100, loss 0.050, 1,100 tokens/s, 500 MB" in said
    assert "step 50" not in said and "finished" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "{d}/no"], "no such folder"),
        (["watch", "{d}/no"], "no such folder"),
        (["watch", "{d}/site/.."], "is not a model folder"),
        (["watch", "{d}/damaged"], "is not TOML"),
    ],
)
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
def test_a_killed_run_is_watched_to_its_end_and_called_interrupted(tmp_path: Path) -> None:
    lines = "".join(f"{a} {b}\t{b} {a}\n" for a in "abcdefgh" for b in "ijklmnop")
    (tmp_path / "p.tsv").write_text(lines, encoding="utf-8")
    folder = tmp_path / "m"
    command = [sys.executable, "-m", "dragoman"]
    # What a shell starts in the background ignores Ctrl-C, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
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
    watching: list[subprocess.Popen[bytes]] = []
    try:
        metrics = folder / METRICS
        wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 5, training)
        (run,) = dragoman.find_runs(tmp_path)
        assert run.state == "running" and (folder / "report.html").exists()
        logs = [tmp_path / "1.log", tmp_path / "2.log"]
        for log in logs:
            with open(log, "wb") as out:
                watching.append(
                    subprocess.Popen(
                        [*command, "watch", str(folder)], stdout=out, stderr=subprocess.STDOUT
                    )
                )
        for log, process in zip(logs, watching, strict=True):
            wait_for(lambda log=log: log.read_text().count("tokens/s") > 3, process)
        watching[0].send_signal(signal.SIGINT)
        assert watching[0].wait(30) == 0 and "Traceback" not in logs[0].read_text()
        training.kill()
        training.wait(30)
        assert watching[1].wait(30) == 0
        assert "interrupted" in logs[1].read_text().splitlines()[-1]
        assert [run.state for run in dragoman.find_runs(tmp_path)] == ["interrupted"]
    finally:
        signal.signal(signal.SIGINT, before)
        for process in (training, *watching):
            process.kill()


@pytest.mark.parametrize(
    ("row", "left_out"),
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
    below: Path, row: str, left_out: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(below / "a" / METRICS, "a", encoding="utf-8") as file:
        file.write(f"{row}\n")
    assert main(["runs", str(below), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3 - left_out
    assert main(["runs", str(below)]) == 0
    capsys.readouterr()
    status, said = main(["watch", "--once", str(below / "a")]), capsys.readouterr().err
    damaged = "a: run.json or metrics.jsonl is damaged: "
    assert (status, said) == (0, "") or (status == 2 and damaged in said and said.count("\n") == 1)
    assert status == 2 if left_out else True


def test_a_run_too_short_for_a_report_interval_shows_no_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "short", [validation_row(30), END])
    assert main(["runs", str(tmp_path), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert run["tokens_per_second"] is None and run["memory_mb"] is None
    assert main(["runs", str(tmp_path)]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[1:5] == ["finished", "100", "1:01:40", "0.133"]


def test_a_folder_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = {"source": "\x1b[31mred\x1b]0;title\x07 🎉", "reference": "", "output": "\x9b2J"}
    make_run(tmp_path / "a", [validation_row(50) | {"samples": [sample]}])
    assert main(["watch", "--once", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out
    assert "\\x1b[31mred\\x1b]0;title\\x07 🎉" in out and "\\x9b2J" in out
    assert "\x1b" not in out and "\x9b" not in out
