"""A score as statistics that each sentence adds, apart from the formula that scores their sum.

    N sentences   K statistics of a sentence

So the score of all sentences, of some, and of bootstrap resamples come from one computation
(the design of sacreBLEU, Post 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

Sums = npt.NDArray[np.float64]
References = Sequence[Sequence[str]]
"""For each sentence the texts that are right, at least one."""


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
class Measure:
    """A score of N sentences before their statistics are added up."""

    key: str
    """Its name in options and files: ``bleu``."""
    name: str
    """Its name for people: ``BLEU``."""
    signature: str
    """How it is computed."""
    statistics: Sums
    """What each sentence adds, [N, K]."""
    formula: Callable[[Sums], float]
    """The score of added statistics [K]."""
    higher: bool = True
    """Whether higher is better."""

    def value(self, rows: Sequence[int] | slice = slice(None)) -> float:
        """The score of the chosen sentences; default: all."""
        return self.formula(self.statistics[rows].sum(0))


def sacrebleu_measure(
    key: str,
    name: str,
    metric: Any,
    outputs: Sequence[str],
    references: References,
    *,
    higher: bool = True,
) -> Measure:
    """The measure of a metric of sacreBLEU, with its numbers and its signature."""
    ragged = [list(column) for column in zip_longest(*references)]  # None where there are fewer
    statistics = np.array(metric._extract_corpus_statistics(list(outputs), ragged), float)

    def formula(sums: Sums) -> float:
        return float(metric._compute_score_from_stats(sums.tolist()).score)

    return Measure(key, name, str(metric.get_signature()), statistics, formula, higher)


def percentage(sums: Sums) -> float:
    """The first statistic as percent of the second; 0 where that is 0."""
    return 100 * float(sums[0] / sums[1]) if sums[1] else 0.0


def plain(text: str) -> str:
    """``text`` with single spaces between words and none at its ends."""
    return " ".join(text.split())


def symbols(text: str, characters: bool) -> list[str]:
    """Split a text into what errors and lengths are counted in: characters, or words."""
    return list(plain(text)) if characters else text.split()
