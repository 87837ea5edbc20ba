"""chrF (Popović 2015), as sacreBLEU computes it."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF

from dragoman.evaluation.measure import Measure, References, sacrebleu_measure


def measure(outputs: Sequence[str], references: References, characters: bool) -> Measure:
    """F-score of n-grams of up to six characters."""
    return sacrebleu_measure("chrf", "chrF", CHRF(), outputs, references)
