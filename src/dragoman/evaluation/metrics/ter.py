"""Translation edit rate (Snover et al. 2006), as sacreBLEU computes it."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.ter import TER

from dragoman.evaluation.measure import Measure, References, sacrebleu_measure

_MOST_WORK = 2e7
"""Largest sum of cubed line lengths. TER tries to shift every span of words, which takes about half
a microsecond times this sum."""


def measure(outputs: Sequence[str], references: References, characters: bool) -> Measure | None:
    """Edits and shifts of words, as percent of the reference's length; None for long lines."""
    lengths = (
        max(len(output.split()), len(text.split()))
        for output, right in zip(outputs, references, strict=True)
        for text in right
    )
    if sum(length**3 for length in lengths) > _MOST_WORK:
        return None
    return sacrebleu_measure("ter", "TER", TER(), outputs, references, higher=False)
