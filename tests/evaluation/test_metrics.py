"""Scores against numbers worked by hand and against sacreBLEU itself."""

from __future__ import annotations

import json
import math

import pytest
import sacrebleu

from dragoman.errors import DataError
from dragoman.evaluation.evaluate import Evaluation
from dragoman.evaluation.metrics import score_texts

OUTPUTS = ["The cat sat on the mat.", "A dog !", "", "It rains today, too."]
REFERENCES = ["The cat sat on a mat.", "A dog!", "Nothing.", "It rains today, too."]


def test_scores_are_sacrebleus() -> None:
    scores = score_texts(OUTPUTS, REFERENCES)
    assert scores["bleu"].value == sacrebleu.corpus_bleu(OUTPUTS, [REFERENCES]).score
    assert scores["chrf"].value == sacrebleu.corpus_chrf(OUTPUTS, [REFERENCES]).score
    assert scores["exact"].value == 25.0
    version = sacrebleu.__version__
    assert scores["bleu"].signature == (
        f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    )
    assert scores["chrf"].signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0")


def test_bleu_by_hand() -> None:
    # "a b c d e" against "a b c d f": precisions 4/5, 3/4, 2/3, 1/2; equal lengths, no penalty.
    value = score_texts(["a b c d e"], ["a b c d f"])["bleu"].value
    assert value == pytest.approx(100 * math.prod([4 / 5, 3 / 4, 2 / 3, 1 / 2]) ** 0.25)


def test_spaces_at_the_ends_are_no_error() -> None:
    assert score_texts([" a "], ["a"])["exact"].value == 100.0


@pytest.mark.parametrize(
    ("outputs", "references", "message"),
    [(["a"], ["a", "b"], "1 outputs for 2 references"), ([], [], "there is nothing to score")],
)
def test_what_cannot_be_scored(outputs: list[str], references: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_texts(outputs, references)


def test_an_evaluation_as_json() -> None:
    metrics = tuple(score_texts(OUTPUTS, REFERENCES).values())
    tree = json.loads(Evaluation("t.tsv", metrics, tuple(OUTPUTS), 1.5, "beam 5").to_json())
    assert tree["lines"] == 4 and tree["test"] == "t.tsv" and tree["search"] == "beam 5"
    assert tree["scores"]["exact match"]["value"] == 25.0
    assert tree["scores"]["BLEU"]["signature"].startswith("nrefs:1|")
