"""BLEU (Papineni et al. 2002), as sacreBLEU computes it."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

from dragoman.evaluation.measure import Measure, References, sacrebleu_measure


def measure(outputs: Sequence[str], references: References, characters: bool) -> Measure:
    """Precision of n-grams of up to four words, and a penalty for short outputs."""
    return sacrebleu_measure("bleu", "BLEU", BLEU(force=True), outputs, references)
