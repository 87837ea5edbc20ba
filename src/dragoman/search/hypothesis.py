"""A finished output, and the score by which outputs are ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.search.trail import Weights

Number = TypeVar("Number", float, npt.NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One output for one source."""

    ids: tuple[int, ...]
    """Target ids, without begin and end tokens."""
    log_prob: float
    """Natural logarithm of its probability, end token included."""
    score: float
    """By which hypotheses are ranked: see :func:`normalized` and :func:`coverage`."""
    complete: bool
    """It ended by itself, not at the length limit."""
    steps: tuple[float, ...]
    """The share of each token in ``log_prob``: T + 1 numbers, or T."""
    weights: Weights | None = None
    """Attention over the source at each of its tokens and, if it is complete, the end: [T + 1, S]
    or [T, S]. None unless it was asked for, or is needed to copy an unknown word."""


def normalized(log_prob: Number, length: Number, options: SearchOptions) -> Number:
    """``log_prob`` divided by a power of the length, which counts the end token.

    ``average``: length ** penalty, with a penalty of 1 the mean log-probability of a token.
    ``wu``: ((5 + length) / 6) ** penalty (Wu 2016, eq. 14).
    """
    if options.normalization == "wu":
        length = (length + 5) / 6
    divided: Number = log_prob / length**options.length_penalty
    return divided


def coverage(weights: Weights, source: int, options: SearchOptions) -> float:
    """Wu 2016, eq. 14: what each of the ``source`` tokens lacks of an attention of 1 in all.

    It is never above 0 and only rises while a hypothesis grows.
    """
    received = weights[:, :source].sum(0, dtype=np.float64)
    return options.coverage_penalty * float(np.log(received.clip(1e-9, 1.0)).sum())
