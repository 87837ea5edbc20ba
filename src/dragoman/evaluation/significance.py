"""How far a score may be chance: bootstrap intervals, and tests of two models on the same lines.

    N sentences   K numbers that each adds to a score   R resamples or trials   M scores

Resamples are sacreBLEU's own (same generator, same seed), so its ``--confidence`` has the same
bounds. Its p-values are not ours: where a shuffle gives just the difference that was seen, we count
it as chance, so that two equal outputs have p = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dragoman.errors import DataError
from dragoman.evaluation.metrics import Measure, Metric

SEED, RESAMPLES, TRIALS = 12345, 1000, 10_000
_BLOCK = 1 << 20
"""Random choices made at a time."""
_CLOSE = 1e-9
"""Differences that differ by less are the same number, rounded otherwise."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """A second model's score minus a first one's."""

    name: str
    value: float
    interval: tuple[float, float]
    """Holds 95 % of the differences in resamples of the same sentences."""
    p: float
    """How often the difference is at least as large, either way, when it is left to chance which
    model gave which output of a sentence (approximate randomisation, Noreen 1989)."""


def scored(measures: Sequence[Measure]) -> tuple[Metric, ...]:
    """Each score with its interval (Koehn 2004); one sentence, with its one resample, has none."""
    alone = len(measures[0].statistics) < 2
    return tuple(
        Metric(m.name, m.value(), m.signature, None if alone else _middle(scores))
        for m, scores in zip(measures, _resampled(measures), strict=True)
    )


def compare(first: Sequence[Measure], second: Sequence[Measure]) -> tuple[Difference, ...]:
    """Differences of two models' scores on the same sentences.

    Scores that both have, with equal signatures: perplexities over other tokens do not compare.

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
    apart = _resampled(others) - _resampled(ours)  # [M, R]
    rows = zip(ours, others, apart, _chances(ours, others), strict=True)
    return tuple(
        Difference(a.name, b.value() - a.value(), _middle(scores), p) for a, b, scores, p in rows
    )


def _resampled(measures: Sequence[Measure]) -> Values:
    """Scores of sentences drawn with replacement, as many as there are: [M, R]."""
    statistics = np.hstack([m.statistics for m in measures])  # [N, sum of K]
    lines = len(statistics)
    random = np.random.default_rng(SEED)
    sums = [
        np.bincount(random.integers(lines, size=lines), minlength=lines) @ statistics
        for _ in range(RESAMPLES)
    ]
    return _scores(measures, np.stack(sums))


def _scores(measures: Sequence[Measure], sums: Values) -> Values:
    """From sums [R, sum of K] to scores [M, R]."""
    cuts = np.cumsum([m.statistics.shape[1] for m in measures])[:-1]
    parts = zip(measures, np.split(sums, cuts, axis=1), strict=True)
    return np.array([[m.formula(row) for row in part] for m, part in parts])


def _middle(scores: Values) -> tuple[float, float]:
    """The bounds of the middle 95 %."""
    ordered, cut = np.sort(scores), len(scores) // 40
    return float(ordered[cut]), float(ordered[-cut - 1])


def _chances(first: Sequence[Measure], second: Sequence[Measure]) -> list[float]:
    """The p-value of each score's difference."""
    ours = np.hstack([m.statistics for m in first])  # [N, sum of K]
    change = np.hstack([m.statistics for m in second]) - ours
    random = np.random.default_rng(SEED)
    block = max(1, _BLOCK // len(ours))
    swaps = [
        random.integers(2, size=(min(block, TRIALS - start), len(ours))).astype(float) @ change
        for start in range(0, TRIALS, block)
    ]
    swapped = np.concatenate(swaps)  # [R, sum of K]
    apart = _scores(first, ours.sum(0) + swapped)
    apart -= _scores(first, ours.sum(0) + change.sum(0) - swapped)  # [M, R]
    seen = np.array([abs(b.value() - a.value()) for a, b in zip(first, second, strict=True)])
    fewer = (np.abs(apart) < seen[:, None] - _CLOSE).sum(1)
    return [float(p) for p in (TRIALS - fewer + 1) / (TRIALS + 1)]
