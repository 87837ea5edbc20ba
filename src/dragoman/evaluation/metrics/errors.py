"""Error rate: edits (Levenshtein 1966) to the nearest reference, as percent of its length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from dragoman.evaluation.measure import Measure, References, percentage, symbols


def measure(outputs: Sequence[str], references: References, characters: bool) -> Measure:
    """A sentence adds its edits and the length of its nearest reference."""
    pairs = zip(outputs, references, strict=True)
    edits = np.array([_edits(output, right, characters) for output, right in pairs], float)
    unit, cut = ("character", "characters") if characters else ("token", "split at white space")
    how = f"to the nearest reference, {cut}"
    return Measure("errors", f"{unit} error rate", how, edits, percentage, higher=False)


def _edits(output: str, references: Sequence[str], characters: bool) -> tuple[int, int]:
    """Edits to the nearest reference (the first of several) and its length."""
    said = symbols(output, characters)
    right = [symbols(text, characters) for text in references]
    distances = [(Levenshtein.distance(said, tokens), len(tokens)) for tokens in right]
    return min(distances, key=lambda pair: pair[0])
