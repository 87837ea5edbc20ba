"""The model card: what it says, and that nobody's own words are written over."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

import dragoman
from dragoman.cli.parse import parse
from dragoman.cli.train import Train
from dragoman.config.options import Config
from dragoman.config.toml import flat, merge
from dragoman.runs.history import History
from dragoman.runs.report import card_text, write_card
from made_runs import HOSTILE, make_run, train_row, validation_row

FACTS = {
    "pairs": 1234,
    "held out": 99,
    "source": {"level": "word", "tokens": 7},
    "target": {"level": "char", "tokens": 8},
}


def test_a_card_names_data_scores_and_what_its_author_must_add(tmp_path: Path) -> None:
    rows = [train_row(50), validation_row(50), validation_row(60, best=False, bleu=1.0)]
    write_card(make_run(tmp_path / "m", rows, facts=FACTS))
    text = (tmp_path / "m" / "README.md").read_text("utf-8")
    _, front, body = text.split("---\n", 2)
    tree = yaml.safe_load(front)
    assert tree["library_name"] == "dragoman" and "license" not in tree and "language" not in tree
    assert ", BLEU 37.1," in body and "- BLEU: nrefs:1\n" in body and "- **Licence**" in body
    assert (
        "Pairs of text from p.tsv: 1,234 to learn from, 99 held out.\n\n- &lt;/script&gt;" in body
    )
    assert "60 steps in 0:06. This command" in body
    assert "<img" not in body and "dragoman translate m" in body


def test_an_edited_card_is_left_alone(tmp_path: Path) -> None:
    folder, card = make_run(tmp_path / "m", [validation_row(50)]), tmp_path / "m" / "README.md"
    write_card(folder)
    first = card.read_text("utf-8")
    make_run(folder, [validation_row(60)])
    write_card(folder)
    second = card.read_text("utf-8")
    assert second != first
    for edited in (second.replace("**Languages**", "Breton"), second + "\nMine.", "", "Mine."):
        card.write_text(edited, encoding="utf-8")
        write_card(folder)
        assert card.read_text("utf-8") == edited


def test_a_card_without_scores_or_record(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "m: 'x'", [])
    (folder / "run.json").unlink()
    text = card_text(History.of(folder))
    assert "None yet: the run was not validated." in text and "did not record which" in text
    assert yaml.safe_load(text.split("---\n")[1])["library_name"] == "dragoman"


def test_the_command_asks_for_what_was_asked(tmp_path: Path) -> None:
    asked = merge(
        Config(),
        {
            "data": {
                "reverse": True,
                "header": False,
                "columns": [2, 1],
                "separator": ";",
                "fields": ["a b", "c"],
            },
            "source": {"byte_fallback": True},
            "model": {"bidirectional": False, "hidden": 64},
            "training": {
                "learning_rate": 1e-4,
                "watch": [HOSTILE, "b"],
                "buckets": [[1, 2]],
                "parts": ["encoder"],
                "clip": 0.0,
                "budget": "1h",
            },
            "search": {"beam": 3},
        },
        place="test",
    )
    folder = make_run(tmp_path, [], asked, files=["a b.de", "c'd.en"], out="m o")
    words = shlex.split(History.of(folder).command())
    assert words[:2] == ["dragoman", "train"]
    again, _ = parse(Train, words[2:])
    assert [str(path) for path in again.pairs] == ["a b.de", "c'd.en"] and str(again.out) == "m o"
    assert {name: value for name, value in flat(again).items() if "." in name} == flat(asked)


@pytest.mark.slow
def test_a_card_s_scores_are_those_of_evaluation(tmp_path: Path) -> None:
    lines = [f"{a} {b} <b>\t{b.upper()} {a.upper()}" for a in "abcdefghij" for b in "klmnopqrst"]
    (tmp_path / "p.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    small = {"embedding": 8, "hidden": 16}
    training = {
        "steps": 60,
        "validate_every": 30,
        "batch_tokens": 100,
        "precision": "fp32",
        "report_every": 10,
        "watch": [HOSTILE],
    }
    config = merge(Config(), {"model": small, "training": training}, place="test")
    outcome = dragoman.train(tmp_path / "p.tsv", tmp_path / "m", config)
    model = dragoman.load(tmp_path / "m")
    found = {m.name: m for m in model.evaluate(beam=1).measures}
    card = (tmp_path / "m" / "README.md").read_text("utf-8")
    for name in ("BLEU", "chrF"):
        assert f"{name} {found[name].value():.1f}" in card
        assert f"- {name}: {found[name].signature}\n" in card
    assert f"exact {found['exact match'].value():.1f} %" in card
    history = History.of(tmp_path / "m")
    assert (
        history.record["facts"]["pairs"] == 90 and history.best["step"] == outcome.state.best_step
    )
    for row in history.kind("validation"):
        for sample in row["samples"]:
            assert all(sum(weights) == pytest.approx(100, abs=3) for weights in sample["attention"])
            assert len(sample["attention"][0]) == len(sample["source_tokens"]) + 1
    assert all(
        0 < row["utilisation"] < 2 and row["memory_mb"] > 50 for row in history.kind("train")
    )
