"""Bootstrap intervals of scores, and paired bootstrap tests of two models on the same sentences.

    N sentences   K statistics of a sentence   R resamples   M scores

Resamples are drawn with sacreBLEU's generator and seed, so that intervals are those of its
``--confidence``. Its ``--paired-bs`` counts the differences of one sign only; a p-value here counts
both, and counts a difference equal to the observed one, so that equal outputs have p = 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dragoman.errors import DataError
from dragoman.evaluation.metrics import Measure

SEED, RESAMPLES = 12345, 1000
_CLOSE = 1e-9
"""Differences that are nearer to each other than this are equal, except for rounding."""

Values = npt.NDArray[np.float64]


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


def with_intervals(measures: Sequence[Measure]) -> tuple[Measure, ...]:
    """Each score with its bootstrap interval (Koehn 2004); a single sentence has no interval."""
    if len(measures[0].statistics) < 2:
        return tuple(measures)
    pairs = zip(measures, _resampled(measures), strict=True)
    return tuple(replace(measure, interval=_middle(scores)) for measure, scores in pairs)


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
    both = [(m, theirs[key]) for m in first if (key := (m.key, m.signature)) in theirs]
    if not both:
        return ()
    ours, others = map(_resampled, zip(*both, strict=True))
    found = []
    for (a, b), differences in zip(both, others - ours, strict=True):
        value = b.value() - a.value()
        chance = np.abs(differences - differences.mean()) >= abs(value) - _CLOSE
        p = (int(chance.sum()) + 1) / (len(differences) + 1)
        found.append(Difference(a.name, value, _middle(differences), p))
    return tuple(found)


def _resampled(measures: Sequence[Measure]) -> Values:
    """Scores of N sentences drawn with replacement, [M, R]."""
    lines, random, scores = len(measures[0].statistics), np.random.default_rng(SEED), []
    for _ in range(RESAMPLES):
        times = np.bincount(random.integers(lines, size=lines), minlength=lines)  # [N]
        scores.append([m.formula(times @ m.statistics) for m in measures])
    return np.array(scores).T


def _middle(scores: Values) -> tuple[float, float]:
    """The bounds of the middle 95 %."""
    ordered, cut = np.sort(scores), len(scores) // 40
    return float(ordered[cut]), float(ordered[-cut - 1])
