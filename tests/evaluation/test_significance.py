"""Intervals and tests: sacreBLEU's where it has them, else by enumeration and by what must hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from dragoman.data.samples import sample_pairs
from dragoman.errors import DataError
from dragoman.evaluation.metrics import Measure, measures, share
from dragoman.evaluation.significance import compare, scored

TARGETS = [pair.target for pair in sample_pairs("phrases")[:211]]
REFERENCES = [(text,) for text in TARGETS]


def spoiled(every: int) -> list[str]:
    return [t if i % every else " ".join(t.split()[::-1]) for i, t in enumerate(TARGETS)]


def shares(values: list[float]) -> Measure:
    statistics = np.array([(value, 1) for value in values], float)
    return Measure("exact", "exact match", "", statistics, share)


def test_intervals_are_sacrebleus() -> None:
    found = scored(measures(spoiled(3), REFERENCES, ("bleu", "chrf")))
    for metric, theirs in zip(found, (BLEU(force=True), CHRF()), strict=True):
        expected = theirs.corpus_score(spoiled(3), [TARGETS], n_bootstrap=1000)
        assert metric.value == expected.score
        # Theirs are sums in float32.
        assert metric.interval is not None
        low, high = metric.interval
        assert (high - low) / 2 == pytest.approx(expected._ci, rel=1e-4)
        assert low < metric.value < high


def test_an_interval_by_hand() -> None:
    # 36 of 100: the binomial's standard deviation is 4.8 points, 1.96 of them are 9.4.
    (metric,) = scored([shares([1] * 36 + [0] * 64)])
    assert metric.value == 36.0
    assert metric.interval == (pytest.approx(36 - 9.4, abs=1.1), pytest.approx(36 + 9.4, abs=1.1))


def test_one_sentence_has_no_interval() -> None:
    (metric,) = scored([shares([1])])
    assert metric.value == 100.0 and metric.interval is None


def test_p_values_agree_with_sacrebleus() -> None:
    systems = [("a", spoiled(9)), ("b", spoiled(7))]
    _, theirs = PairedTest(systems, {"BLEU": BLEU(force=True), "chrF": CHRF()}, [TARGETS])()
    ours = compare(*(measures(text, REFERENCES, ("bleu", "chrf")) for _, text in systems))
    for found, name in zip(ours, ("BLEU", "chrF2"), strict=True):
        a, b = theirs[name]
        assert found.value == b.score - a.score < 0  # type: ignore[union-attr]
        assert found.p == pytest.approx(b.p_value, abs=0.02)  # type: ignore[union-attr]
        assert 0.01 < found.p < 0.9
        assert found.interval[0] < found.value < found.interval[1]


def test_a_p_value_by_enumeration() -> None:
    a, b = [0, 0, 1, 0, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 1, 1, 1]
    gaps = np.array(b) - np.array(a)
    seen = abs(gaps.sum())
    all_signs = [abs((gaps * signs).sum()) for signs in product((1, -1), repeat=len(gaps))]
    exact = np.mean([gap >= seen for gap in all_signs])
    (found,) = compare([shares(a)], [shares(b)])  # type: ignore[arg-type]
    assert found.value == pytest.approx(100 * 4 / 9)
    assert found.p == pytest.approx(exact, abs=0.02)


def test_equal_outputs_differ_by_nothing() -> None:
    one = measures(spoiled(3), REFERENCES)
    for found in compare(one, one):
        assert (found.value, found.interval, found.p) == (0, (0, 0), 1)


def test_only_scores_of_the_same_kind_are_compared() -> None:
    one, other = shares([1, 0, 1]), replace(shares([1, 1, 1]), signature="another")
    assert compare([one], [other]) == ()
    assert len(compare([one, replace(one, key="more")], [one])) == 1
    with pytest.raises(DataError, match="of different lines: they do not compare"):
        compare([one], [shares([1, 0])])
