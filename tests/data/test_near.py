"""Held-out words that are near copies of words to learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.config.options import Config
from dragoman.data.near import near_copies
from dragoman.data.prepare import prepare

STEMS = ["gora", "velik", "stol", "pazar", "kniga", "doma", "zemja", "radost", "mladez", "konec"]


@pytest.mark.parametrize(
    ("held_out", "learned", "share"),
    [
        (["kittens", "abcde"] * 10, ["kitten", "xyz"], 0.5),  # 1 edit of 7 letters
        (["kitten"] * 20, ["mitten", "sittin"], 1.0),  # 1 of 6
        (["kitten"] * 19, ["mitten"], 0.0),  # too few to tell
        (["kitten"] * 900, ["mitten"], 1.0),
        (["cats"] * 20, ["bats", "car"], 0.0),  # 1 of 4
        (["kittens"] * 20, [], 0.0),
        ([], ["kitten"], 0.0),
        (["a kitten", "a\u00a0mitten", "kitten"] * 20, ["kitten", "a kitten"], 0.0),  # no words
    ],
)
def test_the_share_of_near_copies(held_out: list[str], learned: list[str], share: float) -> None:
    assert near_copies(held_out, learned) == share


@pytest.mark.parametrize(
    ("endings", "told"), [(["", "x", "y", "z", "w", "v"], True), ([""], False)]
)
def test_a_training_tells_of_held_out_words_whose_other_forms_it_learns(
    endings: list[str], told: bool, tmp_path: Path
) -> None:
    stems = [one + two for one in STEMS for two in STEMS if one != two]
    words = [stem + ending for stem in stems for ending in endings]
    (tmp_path / "p.tsv").write_text("".join(f"{w}\t{' '.join(w)}\n" for w in words), "utf-8")
    said: list[str] = []
    prepare([tmp_path / "p.tsv"], tmp_path, Config(), said.append)
    assert any("of held-out sources resemble others" in line for line in said) is told
