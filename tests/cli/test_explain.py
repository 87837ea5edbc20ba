"""``dragoman explain``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import main
from dragoman.config.options import Config, ModelOptions, SideOptions, TrainingOptions

PAIRS = "".join(
    f"{a} {b} !\t{c} {d}!\n"
    for a, c in (("un", "one"), ("deux", "two"), ("trois", "three"), ("six", "six"))
    for b, d in (("chat", "cat"), ("chien", "dog"), ("pain", "bread"), ("œuf", "egg"))
)


pytestmark = pytest.mark.slow  # trains two models first


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of words with attention, and one of characters without."""
    place = tmp_path_factory.mktemp("explain")
    (place / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    for name, level, attention in (("m", "word", "luong"), ("c", "char", "none")):
        side = SideOptions(level=level)  # type: ignore[arg-type]
        model = ModelOptions(embedding=8, hidden=16, attention=attention)  # type: ignore[arg-type]
        training = TrainingOptions(steps=60, precision="fp32", validate_every=60)
        config = Config(source=side, target=side, model=model, training=training)
        dragoman.train(place / "pairs.tsv", place / name, config)
    return place / "m", place / "c"


def test_a_sentence_is_explained(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(folders[0]), "un chat zzz !"]) == 0
    text = capsys.readouterr().out
    assert "<unk> (zzz) 1" in text and "Step by step ──" in text
    assert main(["explain", str(folders[1]), "un chat !", "--target", "one cat!"]) == 0
    text = capsys.readouterr().out
    assert "batch loss" in text and "energy" not in text
    assert main(["explain", str(folders[0]), "un chat !", "--json", "--beam", "2"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["values"]["weights"]["shape"][2] == 4 and len(data["answer"]["hypotheses"]) <= 2


def test_a_page_and_pictures(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, picture = tmp_path / "e.html", tmp_path / "e.svg"
    assert (
        main(
            [
                "explain",
                str(folders[0]),
                "un chat zzz",
                "--html",
                str(page),
                "--attention",
                str(picture),
            ]
        )
        == 0
    )
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert picture.read_text("utf-8").count(">zzz</text>") == 1
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--html", "no/such/e.html"], "--html: no such folder: no/such"),
        (["--html", "."], "--html: . is a folder"),
        (["--attention", "e.gif"], "'e.gif' has no ending of a picture .one of .png"),
    ],
)
def test_wrong_options_are_seen_at_once(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "nothing-here", "un chat", *more]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_no_map_without_attention(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(folders[1]), "un", "--attention", str(tmp_path / "e.png")]) == 2
    assert "--attention: this model has no attention" in capsys.readouterr().err
    assert main(["explain", str(folders[1]), " "]) == 2
    assert "the sentence has 0 tokens" in capsys.readouterr().err
