"""Answers without a model, and scores by kind of source."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.options import SideOptions
from dragoman.data.corpus import write_corpus
from dragoman.data.pairs import Pair
from dragoman.data.source import encode_pairs
from dragoman.data.text import TRAIN
from dragoman.data.tokenizer import UNK
from dragoman.data.vocabulary import train_tokenizer
from dragoman.evaluation import baselines
from dragoman.evaluation.baselines import nearest, no_better, training_pairs
from dragoman.evaluation.evaluate import breakdown
from dragoman.evaluation.metrics import measures

TEXTS = st.lists(st.text("abA é語", max_size=9), min_size=1, max_size=9)


def slow_nearest(query: str, texts: list[str]) -> int:
    def ngrams(text: str) -> set[str]:
        framed = f"<<{text.casefold()}>"
        return {framed[i : i + 3] for i in range(len(framed) - 2)}

    ours = ngrams(query)
    dice = [2 * len(ours & ngrams(t)) / (len(ours) + len(ngrams(t))) for t in texts]
    return dice.index(max(dice))


@given(TEXTS, TEXTS)
def test_the_nearest_source_is_found(queries: list[str], texts: list[str]) -> None:
    assert nearest(queries, texts) == [slow_nearest(query, texts) for query in queries]


def test_the_nearest_source_by_hand() -> None:
    texts = ["Où est la gare ?", "Il est à la gare.", "oui", ""]
    assert nearest(["OÙ EST LA GARE ?", "Il est à la plage.", "", "\ud800"], texts) == [0, 1, 3, 0]


def stored(
    folder: Path, pairs: list[tuple[str, str]], *, copy: bool = False
) -> baselines.TrainingPairs | None:
    level = replace(SideOptions(), level="word", vocabulary=100)
    sides = [train_tokenizer([pair[side] for pair in pairs[:4]], level) for side in (0, 1)]
    (folder / "corpus").mkdir()
    encoded = zip(*encode_pairs(pairs, sides, copy=copy), strict=True)
    numbered = [Pair(*texts, line) for line, texts in enumerate(pairs, 1)]
    examples = zip(repeat(TRAIN, len(pairs)), numbered, *encoded, strict=True)
    write_corpus(folder / "corpus" / "train.arrow", examples)
    return training_pairs(folder, *sides)


PAIRS = [("un chat !", "one cat!"), ("un chien", "one dog"), ("ce chien", "one dog"), ("x y", "z")]


def test_training_pairs_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = stored(tmp_path, PAIRS)
    assert found is not None and found.sources == tuple(source for source, _ in PAIRS)
    assert found.baselines(["un chat ?", "chien", "xx y"]) == {
        "frequent": ["one dog"] * 3,
        "nearest": ["one cat!", "one dog", "z"],
    }
    monkeypatch.setattr(baselines, "_MOST", 2)
    again = training_pairs(tmp_path, found.target, found.target)
    assert again is not None and len(again.sources) == 2 and again.total == 4


def test_copied_words_of_training_targets_are_unknown(tmp_path: Path) -> None:
    found = stored(tmp_path, [*PAIRS, ("Tom", "Tom cat")], copy=True)
    assert found is not None and found.targets[4][0] == UNK
    assert found.baselines(["<unk>"])["nearest"] == ["<unk> cat"]


def test_without_training_pairs_there_are_none(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["a"], replace(SideOptions(), level="word", vocabulary=9))
    assert training_pairs(tmp_path, tokenizer, tokenizer) is None
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.arrow").write_bytes(b"of another version")
    assert training_pairs(tmp_path, tokenizer, tokenizer) is None


def test_scores_of_parts() -> None:
    sources = ["un chat", "Un  chien !", "un rat", ""]
    outputs, right = ["a", "b", "x", "y"], [("a",), ("b",), ("c",), ("d",)]
    exact = measures(outputs, right, ("exact",))
    learned = ["un chien", *["un chat"] * 9]
    found = breakdown(exact, sources, [2, 5, 40, 0], learned)
    shown = {
        kind: {name: (part["lines"], part["exact match"]) for name, part in parts.items()}
        for kind, parts in found.items()
    }
    assert shown == {
        "source tokens": {"0–4": (2, 50), "5–8": (1, 100), "33+": (1, 0)},
        "rarest word": {"0 ×": (2, 0), "1–9 ×": (2, 100)},
        "source": {"unseen": (2, 0), "seen": (2, 100)},
    }
    assert list(breakdown(exact, sources, [1] * 4, None)) == ["source tokens"]


def test_a_model_that_no_baseline_reaches_has_no_verdict() -> None:
    others = {"copy": {"BLEU": 3.0, "chrF": 20.0}, "nearest": {"BLEU": 19.0, "chrF": 20.0}}
    assert no_better({"BLEU": 19.1, "chrF": 20.1}, others) == ""
    assert no_better({"BLEU": 0.0}, {"copy": {"BLEU": 0.0}}) == ""  # nothing is compared with 0
    assert no_better({"BLEU": 1.0}, {}) == ""


def test_a_model_that_a_baseline_reaches_is_called_no_better() -> None:
    others = {"copy": {"BLEU": 3.0, "chrF": 20.0}, "nearest": {"BLEU": 33.2, "chrF": 18.0}}
    assert no_better({"chrF": 25.0, "BLEU": 20.84}, others) == (
        "No better than answers without a model: BLEU 20.8, but 33.2 of the answers 'nearest'."
    )
    assert no_better({"chrF": 20.0}, others).endswith("chrF 20.0, but 20.0 of the answers 'copy'.")
