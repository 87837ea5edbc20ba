"""No verb overwrites what it reads: every output is compared with every input."""

from __future__ import annotations

import os
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from dragoman.cli import VERBS, main
from dragoman.cli.parse import Writes
from dragoman.layout import ENTRIES, METRICS, WEIGHTS


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of pairs, a file of lines and what looks like a model folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.tsv").write_text("a\tb\n" * 20, encoding="utf-8")
    (tmp_path / "lines.svg").write_text("a\n", encoding="utf-8")
    (tmp_path / "m" / "corpus").mkdir(parents=True)
    for name in ("model.safetensors", "config.toml", "metrics.jsonl", "corpus/train.arrow"):
        (tmp_path / "m" / name).write_bytes(b"kept")
    (tmp_path / "soft").symlink_to("pairs.tsv")
    os.link(tmp_path / "pairs.tsv", tmp_path / "hard")
    os.link(tmp_path / "m" / METRICS, tmp_path / "hard-metrics")
    (tmp_path / "soft-weights").symlink_to("m/model.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "m", "pairs.tsv", "--outputs", "pairs.tsv"],
        ["evaluate", "m", "pairs.tsv", "--outputs", "./m/../pairs.tsv"],
        ["evaluate", "m", "pairs.tsv", "--outputs", "soft"],
        ["evaluate", "m", "soft", "--outputs", "hard"],
        ["evaluate", "m", "pairs.tsv", "lines.svg", "--outputs", "lines.svg"],
        ["evaluate", "m", "--outputs", "m/model.safetensors"],
        ["evaluate", "m", "--outputs", "m/report.html"],
        ["evaluate", "m", "--outputs", "soft-weights"],
        ["evaluate", "m", "--outputs", "hard-metrics"],
        ["evaluate", "m", "--outputs", "m/corpus/train.arrow"],
        ["lexicon", "m", "lines.svg", "--out", "lines.svg"],
        ["lexicon", "m", "lines.svg", "--memory", "pairs.tsv", "--out", "hard"],
        ["lexicon", "m", "lines.svg", "--out", "m/config.toml"],
        ["export", "m", "pairs.tsv", "--zip", "--out", "hard"],
        ["export", "m", "--zip", "--out", "m/model.safetensors"],
        ["export", "m", "--to", "argos", "--out", "hard-metrics"],
        ["explain", "m", "a", "--html", "m/report.html"],
        ["explain", "m", "a", "--attention", "b.svg", "--html", "m/README.md"],
        ["check", "pairs.tsv", "--fix", "hard"],
        ["check", "lines.svg", "--against", "pairs.tsv", "--fix", "soft"],
    ],
)
def test_an_input_is_never_overwritten(
    arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert main(arguments) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("verb", VERBS)
def test_every_path_that_a_verb_writes_is_marked(verb: str) -> None:
    module = import_module(f"dragoman.cli.{verb}")
    own = [c for c in vars(module).values() if getattr(c, "__module__", "") == module.__name__]
    (command,) = (c for c in own if hasattr(c, "__dataclass_fields__"))
    hints = get_type_hints(command, include_extras=True)
    written = {"out", "into", "outputs", "fix", "html", "attention"}
    for item in fields(command):
        marks: tuple[Any, ...] = getattr(hints[item.name], "__metadata__", ())
        assert (item.name in written) == any(isinstance(m, Writes) for m in marks), item.name


def test_the_entries_are_what_a_model_folder_holds() -> None:
    assert {WEIGHTS, METRICS, "corpus", "checkpoints"} < set(ENTRIES)
    assert len(set(ENTRIES)) == len(ENTRIES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "pairs.tsv", "--out", "-"], "--out: - is no folder"),
        (["demo", "--out", "-"], "--out: - is no folder"),
        (["train", "pairs.tsv", "--out", "-qd"], "-qd: there is no such option (./-qd if it is a"),
        (["check", "-dash.tsv"], "./-dash.tsv if it is a file; put -- before text that starts"),
        (["explain", "m", "-x"], "put -- before text that starts with a dash"),
    ],
)
def test_names_that_start_with_a_dash(
    arguments: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(place.iterdir())
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert set(place.iterdir()) == before
