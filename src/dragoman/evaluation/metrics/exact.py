"""Exact match: the share of outputs that equal a reference, except for white space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dragoman.evaluation.measure import Measure, References, percentage, plain


def measure(outputs: Sequence[str], references: References, characters: bool) -> Measure:
    """A sentence adds 1 if it matches, and 1 to the number of sentences."""
    same = [
        (plain(o) in map(plain, right), 1) for o, right in zip(outputs, references, strict=True)
    ]
    how = "whole lines, but for white space"
    return Measure("exact", "exact match", how, np.array(same, float), percentage)
