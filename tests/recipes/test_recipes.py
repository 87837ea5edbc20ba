"""Every recipe is read without a key to spare, and learns a few steps from a few pairs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import VERBS
from dragoman.config.toml import from_toml, to_toml

FOLDER = Path(__file__).resolve().parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))
SYSTEMS = {
    "eng-deu-bucketed",
    "fra-eng-bahdanau",
    "fra-eng-luong-dot",
    "fra-eng-luong-general",
    "fra-eng-luong-concat",
    "eng-fra-lstm",
    "eng-fra-lstm-vanilla",
    "fra-eng-batched-b2",
    "fra-eng-batched-b32",
    "question-answer",
    "commands",
    "grapheme-to-phoneme",
    "chat",
    "autoencoder",
    "dates",
    "inflection",
    "g2p-small",
    "transliteration",
}


def test_every_system_has_its_recipe() -> None:
    assert {path.stem for path in RECIPES} >= SYSTEMS


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_round_trips(path: Path, tmp_path: Path) -> None:
    """An unknown key or a value of a wrong type is an error of ``from_toml``."""
    config = from_toml(path)
    again = tmp_path / "again.toml"
    again.write_text(to_toml(config), encoding="utf-8")
    assert from_toml(again) == config


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_it_shows(path: Path) -> None:
    text = path.read_text("utf-8")
    comment = text[: text.index("\n[")]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert f"dragoman train PAIRS --recipe recipes/{path.name} --out " in comment
    assert "Dragoman" in comment
    assert set(re.findall(r"dragoman ([a-z]+)", comment)) <= VERBS.keys()
    assert not (FOLDER / "data").exists()


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_learns(path: Path, tmp_path: Path) -> None:
    rows = [
        (f"{a} {b} now", f"{c} {d} today too")
        for a, c in (("cats", "KATZEN"), ("dogs", "HUNDE"), ("men", "LEUTE"))
        for b, d in (("sleep", "SCHLAFEN"), ("sing", "SINGEN"), ("talk", "REDEN"))
    ]
    pairs, asked = tmp_path / "pairs.tsv", from_toml(path)
    tags = "\tV;PST" if asked.data.features_column else ""
    pairs.write_text("".join(f"{a}{tags}\t{b}\n" for a, b in rows * 6), encoding="utf-8")
    few = replace(
        asked.training, steps=2, epochs=0, validate_every=2, save_every="auto", report_every=1
    )
    outcome = dragoman.train(pairs, tmp_path / "m", replace(asked, training=few))
    assert outcome.state.step == 2
    kinds = [json.loads(line) for line in (tmp_path / "m" / "metrics.jsonl").open()]
    losses = [row["loss"] for row in kinds if row["kind"] == "train"]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    watched = [row["watched"] for row in kinds if row["kind"] == "validation"][-1]
    assert [one["source"] for one in watched] == list(asked.training.watch)
    assert len(dragoman.load(tmp_path / "m").translate([f"cats sing now{tags}", ""])) == 2
