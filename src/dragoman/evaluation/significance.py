"""Bootstrap intervals of scores, and paired bootstrap tests of two models on the same sentences.

    N sentences   K statistics of a sentence   R resamples   M scores

Resamples are drawn with sacreBLEU's generator and seed, so that intervals are those of its
``--confidence``. Its ``--paired-bs`` counts the differences of one sign only; a p-value here counts
both, and counts a difference equal to the observed one, so that equal outputs have p = 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dragoman.errors import DataError
from dragoman.evaluation.metrics import Measure

SEED, RESAMPLES = 12345, 1000
_CLOSE = 1e-9
"""Differences that are nearer to each other than this are equal, except for rounding."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """The value of one score."""

    name: str
    value: float
    """In percent, except perplexity."""
    signature: str
    """How it was computed; in sacreBLEU's notation where the score is sacreBLEU's."""
    interval: tuple[float, float] | None = None
    """Bounds of the middle 95 % of bootstrap resamples; None where they were not computed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A second model's score minus a first one's."""

    name: str
    value: float
    interval: tuple[float, float]
    """Bounds of the middle 95 % of the differences in resamples of the same sentences."""
    p: float
    """Two-sided p-value of the paired bootstrap test (Koehn 2004): how often a resample differs
    from the mean of all resamples by at least as much as the two scores differ."""


def scored(measures: Sequence[Measure]) -> tuple[Metric, ...]:
    """Each score with its bootstrap interval (Koehn 2004); a single sentence has no interval."""
    alone = len(measures[0].statistics) < 2
    return tuple(
        Metric(m.name, m.value(), m.signature, None if alone else _middle(scores))
        for m, scores in zip(measures, _resampled(measures), strict=True)
    )


def compare(first: Sequence[Measure], second: Sequence[Measure]) -> tuple[Difference, ...]:
    """Differences of two models' scores on the same sentences.

    Only scores of equal signature are compared: perplexities of other tokens, for example, are not
    comparable.

    Raises:
        DataError: the models answered different numbers of lines.
    """
    if len(first[0].statistics) != len(second[0].statistics):
        raise DataError("these evaluations are of different lines: they do not compare")
    theirs = {(m.key, m.signature): m for m in second}
    ours = [m for m in first if (m.key, m.signature) in theirs]
    if not ours:
        return ()
    others = [theirs[m.key, m.signature] for m in ours]
    found = []
    for a, b, differences in zip(ours, others, _resampled(others) - _resampled(ours), strict=True):
        value = b.value() - a.value()
        chance = np.abs(differences - differences.mean()) >= abs(value) - _CLOSE
        p = (int(chance.sum()) + 1) / (len(differences) + 1)
        found.append(Difference(a.name, value, _middle(differences), p))
    return tuple(found)


def _resampled(measures: Sequence[Measure]) -> Values:
    """Scores of N sentences drawn with replacement, [M, R]."""
    statistics = np.hstack([m.statistics for m in measures])  # [N, sum of K]
    lines = len(statistics)
    random = np.random.default_rng(SEED)
    draws = (random.integers(lines, size=lines) for _ in range(RESAMPLES))
    sums = np.stack([np.bincount(draw, minlength=lines) @ statistics for draw in draws])
    cuts = np.cumsum([m.statistics.shape[1] for m in measures])[:-1]
    parts = zip(measures, np.split(sums, cuts, axis=1), strict=True)
    return np.array([[m.formula(row) for row in part] for m, part in parts])


def _middle(scores: Values) -> tuple[float, float]:
    """The bounds of the middle 95 %."""
    ordered, cut = np.sort(scores), len(scores) // 40
    return float(ordered[cut]), float(ordered[-cut - 1])
