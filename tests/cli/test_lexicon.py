"""``dragoman lexicon``: a model's pronunciations in the formats that speech programs read."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import main

PHONES = {"b": "B", "a": "AA", "d": "D", "o": "OW", "n": "N"}
WORDS = ["".join(word) for n in (2, 3) for word in product(PHONES, repeat=n)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that spells words of five letters in phones."""
    place = tmp_path_factory.mktemp("lexicon")
    pairs = (f"{word}\t{' '.join(PHONES[c] for c in word)}\n" for word in WORDS)
    (place / "pairs.tsv").write_text("".join(pairs))
    asked = ["train", str(place / "pairs.tsv"), "--out", str(place / "m"), "--steps", "40"]
    asked += ["--hidden", "24", "--embedding", "12", "--refit", "False", "--learning-rate", "0.02"]
    assert main(asked) == 0
    return place / "m"


def test_each_word_has_its_phones(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("bad\n\nnod \nbad\ndon\n")
    (tmp_path / "memory").write_text("nod\tN AO D\nnod\tN AA D\n")
    out, asked = tmp_path / "lexicon.txt", ["lexicon", str(folder), str(tmp_path / "words")]
    assert main([*asked, "--out", str(out), "--memory", str(tmp_path / "memory")]) == 0
    bad, don = (one.text for one in dragoman.load(folder).translate(["bad", "don"]))
    assert out.read_text() == f"bad {bad}\nnod N AO D\ndon {don}\n"


def test_several_pronunciations_have_their_probabilities(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("bad\nnod\n")
    out, asked = tmp_path / "l", ["lexicon", str(folder), str(tmp_path / "words")]
    asked += ["--out", str(out), "--n-best", "3", "--beam", "3", "--probabilities"]
    assert main(asked) == 0
    lines = [line.split() for line in out.read_text().splitlines()]
    assert [word for word, *_ in lines] == sorted(word for word, *_ in lines)
    for word in ("bad", "nod"):
        shares = [float(share) for found, share, *_ in lines if found == word]
        phones = {tuple(rest) for found, _, *rest in lines if found == word}
        assert max(shares) == 1 and 2 <= len(phones) == len(shares) <= 3
        assert {*sum(phones, ())} <= {*PHONES.values()}


def test_what_no_lexicon_can_hold_is_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    words, out = tmp_path / "words", tmp_path / "l"
    words.write_text("bad\nnod on\n")
    assert main(["lexicon", str(folder), str(words), "--out", str(out)]) == 2
    assert "words:2: 'nod on' has spaces" in capsys.readouterr().err
    assert not out.exists()
    assert main(["lexicon", str(folder), str(words), "--out", str(words)]) == 2
    assert "would overwrite" in capsys.readouterr().err
