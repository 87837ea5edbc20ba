"""Intervals and tests: sacreBLEU's where it has them, else by enumeration and by what must hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from dragoman.data.samples import sample_pairs
from dragoman.errors import DataError
from dragoman.evaluation.metrics import Measure, compare, measures, percentage, with_intervals

TARGETS = [pair.target for pair in sample_pairs("phrases")[:211]]
REFERENCES = [(text,) for text in TARGETS]


def spoiled(every: int) -> list[str]:
    return [t if i % every else " ".join(t.split()[::-1]) for i, t in enumerate(TARGETS)]


def shares(values: list[float]) -> Measure:
    statistics = np.array([(value, 1) for value in values], float)
    return Measure("exact", "exact match", "", statistics, percentage)


def test_intervals_are_sacrebleus() -> None:
    found = with_intervals(measures(spoiled(3), REFERENCES, ("bleu", "chrf")))
    for metric, theirs in zip(found, (BLEU(force=True), CHRF()), strict=True):
        expected = theirs.corpus_score(spoiled(3), [TARGETS], n_bootstrap=1000)
        assert metric.value() == expected.score
        # Theirs are sums in float32.
        assert metric.interval is not None
        low, high = metric.interval
        assert (high - low) / 2 == pytest.approx(expected._ci, rel=1e-4)
        assert low < metric.value() < high


def test_an_interval_by_hand() -> None:
    # 36 of 100: the binomial's standard deviation is 4.8 points, 1.96 of them are 9.4.
    (metric,) = with_intervals([shares([1] * 36 + [0] * 64)])
    assert metric.value() == 36.0
    assert metric.interval == (pytest.approx(36 - 9.4, abs=1.1), pytest.approx(36 + 9.4, abs=1.1))


def test_one_sentence_has_no_interval() -> None:
    (metric,) = with_intervals([shares([1])])
    assert metric.value() == 100.0 and metric.interval is None


def test_a_difference_is_sacrebleus_and_its_p_value_that_of_one_loop() -> None:
    outputs = [spoiled(9), spoiled(7)]
    first, second = (measures(text, REFERENCES, ("bleu", "chrf")) for text in outputs)
    for n, (found, theirs) in enumerate(
        zip(compare(first, second), (BLEU(force=True), CHRF()), strict=True)
    ):
        a, b = (theirs.corpus_score(text, [TARGETS]).score for text in outputs)
        assert found.value == b - a < 0
        random, drawn = np.random.default_rng(12345), []
        for _ in range(1000):
            rows = random.integers(len(TARGETS), size=len(TARGETS)).tolist()
            drawn.append(second[n].value(rows) - first[n].value(rows))
        mean = sum(drawn) / len(drawn)
        far = sum(abs(value - mean) >= abs(found.value) for value in drawn)
        assert found.p == pytest.approx((far + 1) / 1001, abs=0.002)
        assert 0.01 < found.p < 0.9
        assert found.interval == (
            pytest.approx(sorted(drawn)[25]),
            pytest.approx(sorted(drawn)[-26]),
        )


def test_a_p_value_by_hand() -> None:
    # Of 400 sentences the second is right in 40 more and the first in 24 more: the difference of
    # two shares is 16 / 400, its standard deviation sqrt(64 - 16**2 / 400) / 400, z = 2.01.
    a = [1] * 24 + [0] * 40 + [1] * 336
    b = [0] * 24 + [1] * 40 + [1] * 336
    (found,) = compare([shares(a)], [shares(b)])  # type: ignore[arg-type]
    assert found.value == pytest.approx(4.0)
    assert found.p == pytest.approx(math.erfc(2.01 / math.sqrt(2)), abs=0.02)


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
