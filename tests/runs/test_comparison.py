"""Runs side by side: hand-made folders with known numbers, and what is made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from safetensors.numpy import save_file

import dragoman
from dragoman.cli import main
from dragoman.cli.compare import grid, layout
from dragoman.config.options import Config
from dragoman.config.toml import to_toml
from dragoman.errors import FolderError, OptionError, UsageError
from dragoman.runs.comparison import short_names
from dragoman.runs.figures import comparison_figure

Row = dict[str, Any]


def trained(step: int, loss: float | None, elapsed: float) -> Row:
    return {"kind": "train", "step": step, "loss": loss, "tokens": 11 * step, "elapsed": elapsed}


def validated(step: int, loss: float, bleu: float, elapsed: float) -> Row:
    return {
        "kind": "validation",
        "step": step,
        "loss": loss,
        "bleu": bleu,
        "token_accuracy": bleu / 200,
        "elapsed": elapsed,
    }


SLOW = [
    trained(10, 4.0, 60.0),
    validated(10, 3.5, 12.0, 66.0),
    trained(20, 2.25, 120.0),
    validated(20, 2.5, 31.0, 126.0),
    trained(30, 2.0, 180.0),
    validated(30, 2.75, 31.0, 3725.4),
]
FAST = [trained(10, 3.0, 6.0), validated(10, 2.0, 20.0, 7.0), trained(20, None, 12.0)]


def begun(folder: Path, rows: list[Row] | None, **model: Any) -> Path:
    """A run folder with these measurements; nothing more when there are none."""
    folder.mkdir(parents=True)
    config = Config(model=replace(Config().model, embedding=7, **{"hidden": 13} | model))
    (folder / "config.toml").write_text(to_toml(config), "utf-8")
    if rows is not None:
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows), "utf-8")
    return folder


def whole(folder: Path) -> Path:
    """Give a run the rest of what a training leaves: 5 x 3 + 7 weights, 3 pairs, step 34."""
    save_file({"a": np.zeros((5, 3)), "b": np.zeros(7)}, folder / "model.safetensors")
    (folder / "run.json").write_text(
        json.dumps({"data": "0123456789abcdef", "facts": {"pairs": 3}})
    )
    for step in (28, 34):
        saved = folder / f"checkpoints/step-{step:08d}"
        saved.mkdir(parents=True)
        state = {"step": step, "tokens": 11 * step, "elapsed": 3000.0}
        (saved / "state.json").write_text(json.dumps(state))
    (folder / "checkpoints/step-00000040.partial").mkdir()
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    one = whole(begun(tmp_path / "slow" / "m", SLOW, cell="lstm", dropout=0.25))
    return [one, begun(tmp_path / "fast" / "m", FAST, hidden=26)]


def test_the_table_has_every_number(runs: list[Path]) -> None:
    assert grid(dragoman.compare(runs)) == [
        ["", "slow", "fast"],
        ["model.cell", "lstm", "gru"],
        ["model.hidden", "13", "26"],
        ["model.dropout", "0.25", "auto"],
        ["pairs", "3 of 01234567", "– of unknown"],
        ["parameters", "22", "–"],
        ["steps", "34", "20"],
        ["target tokens", "374", "220"],
        ["time", "1:02:05", "0:00:12"],
        ["training loss", "2.000", "–"],  # the last window of the second was not finite
        ["best loss", "2.500 at 20", "2.000 at 10"],
        ["best token accuracy", "15.5 % at 20", "10.0 % at 10"],
        ["best BLEU", "31.0 at 20", "20.0 at 10"],
    ]


def test_json_has_the_same(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *map(str, runs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differing"] == {
        "model.cell": ["lstm", "gru"],
        "model.hidden": [13, 26],
        "model.dropout": [0.25, "auto"],
    }
    assert found["runs"][0] == {
        "name": "slow",
        "folder": str(runs[0]),
        "data": "0123456789abcdef",
        "pairs": 3,
        "parameters": 22,
        "steps": 34,
        "tokens": 374,
        "seconds": 3725.4,
        "training_loss": 2.0,
        "best": {
            "loss": {"value": 2.5, "step": 20},
            "bleu": {"value": 31.0, "step": 20},
            "token_accuracy": {"value": 0.155, "step": 20},
        },
    }
    assert found["runs"][1]["pairs"] is None and found["runs"][1]["parameters"] is None


def test_runs_on_different_data_are_called_so_above_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folders = [whole(begun(tmp_path / name, SLOW)) for name in "abc"]
    names = list(map(str, folders))
    assert main(["compare", *names]) == 0
    assert "data" not in capsys.readouterr().out.splitlines()[0]
    (folders[2] / "run.json").write_text('{"data": "fedcba9876543210"}')
    assert main(["compare", *names]) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "the runs used different data, so scores are not comparable: 01234567 (a, b), fedcba98 (c)"
    )
    (folders[1] / "run.json").unlink()
    assert main(["compare", *names, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["different_data"] == (
        "not every run says which data it used, so scores may not be comparable; known: "
        "01234567 (a), fedcba98 (c)"
    )


def test_weights_that_are_only_in_a_checkpoint_are_counted(runs: list[Path]) -> None:
    for place, count in (("checkpoints/step-00000028", 9), ("checkpoints/step-00000034", 17)):
        save_file({"a": np.zeros(count)}, runs[0] / place / "model.safetensors")
    (runs[0] / "model.safetensors").unlink()
    assert dragoman.compare(runs)[0].parameters == 17


def test_what_all_share_is_not_in_the_table(tmp_path: Path) -> None:
    same = [whole(begun(tmp_path / name, None)) for name in "ab"]
    labels = [row[0] for row in grid(dragoman.compare(same))]
    assert labels == ["", "parameters", "steps", "target tokens", "time", "training loss"]


def test_names_are_what_distinguishes() -> None:
    def short(*paths: str) -> list[str]:
        return short_names([Path(path) for path in paths])

    assert short("/x/runs/a/m", "/x/runs/b/m") == ["a", "b"]
    assert short("/x/runs/a/1/m", "/x/runs/b/1/m", "/x/runs/b/2/m") == ["a/1", "b/1", "b/2"]
    assert short("/x/m", "/x/a/m") == ["m", "a/m"]
    assert short("/x", "/x/a") == ["x", "x/a"]


def test_ten_runs_fit_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    many = [begun(tmp_path / f"hidden-{n}" / "m", SLOW, hidden=n) for n in range(20, 40, 2)]
    assert main(["compare", *map(str, many)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and not any("…" in line for line in lines)
    first = [line for line in lines if "hidden-38" in line]
    assert len(first) == len(list(layout(grid(dragoman.compare(many)), 80))) == 2
    assert "38" in first[0] and "2.500 at 20" in "".join(first)
    assert len(list(layout(grid(dragoman.compare(many[:2])), 80))) == 1


def test_the_figure_has_a_line_for_each_run_that_has_the_measure(runs: list[Path]) -> None:
    found = dragoman.compare(runs)
    figure = comparison_figure({f"_{run.name}$": run.rows for run in found})
    assert [a.get_ylabel() for a in figure.axes[:3]] == [
        "training loss (nats a token)",
        "held-out loss (nats a token)",
        "held-out BLEU",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [2] * 6
    over_steps, over_time = figure.axes[2].lines, figure.axes[5].lines
    assert list(over_steps[0].get_xdata()) == [10, 20, 30]
    assert list(over_time[0].get_xdata()) == pytest.approx([1.1, 2.1, 62.09])
    assert list(over_time[0].get_ydata()) == [12.0, 31.0, 31.0]
    assert list(figure.axes[0].lines[1].get_xdata()) == [10]  # step 20 was not finite
    for number in (0, 1):
        assert len({to_hex(axes.lines[number].get_color()) for axes in figure.axes}) == 1
    labels = [text.get_text().strip() for text in figure.legends[0].get_texts()]
    assert labels == [r"_slow\$", r"_fast\$"]


def test_a_plot_is_written_only_when_asked_for(runs: list[Path], tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    assert main(["compare", *map(str, runs)]) == 0
    assert set(tmp_path.rglob("*")) == before
    assert main(["compare", *map(str, runs), "--plot", str(tmp_path / "c.SVG")]) == 0
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "c.SVG"}
    assert "wall time (minutes)" in (tmp_path / "c.SVG").read_text("utf-8")


def test_bad_input(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="compare needs two or more runs"):
        dragoman.compare(runs[:1])
    with pytest.raises(UsageError, match="m: is named twice"):
        dragoman.compare([runs[0], runs[1], runs[0] / ".." / "m"])
    with pytest.raises(FolderError, match=r"nowhere: no such folder"):
        dragoman.compare([runs[0], tmp_path / "nowhere"])
    with pytest.raises(FolderError, match=r"slow: is not a model folder: it has no config.toml"):
        dragoman.compare([runs[1], tmp_path / "slow"])
    names = list(map(str, runs))
    assert main(["compare", *names, "--plot", str(tmp_path / "no" / "c.png")]) == 2
    assert "--plot: no such folder" in capsys.readouterr().err
    assert main(["compare", *names, "--plot", "c.txt"]) == 2
    assert "--plot: 'c.txt' has no ending of a picture" in capsys.readouterr().err
    (runs[1] / "config.toml").write_text("[model]\nhiden = 3\n")
    with pytest.raises(OptionError, match=r"unknown option 'model.hiden'"):
        dragoman.compare(runs)


def test_a_damaged_run_is_named(runs: list[Path]) -> None:
    with open(runs[0] / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"kind": "validation", "step": 0, "loss": []}\n')
    with pytest.raises(FolderError, match="run.json or metrics.jsonl is damaged"):
        dragoman.compare(runs)


def test_runs_without_measurements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = [str(begun(tmp_path / name, None)) for name in "ab"]
    assert main(["compare", *new, "--plot", str(tmp_path / "c.png")]) == 2
    assert "nothing to draw: no run has measured yet" in capsys.readouterr().err
    assert main(["compare", *new]) == 0
    assert "steps" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))
