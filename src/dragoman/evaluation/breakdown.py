"""Scores by kind of source: its length, its rarest word, whether it was learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dragoman.data.sameness import sentence_key
from dragoman.evaluation.metrics import Measure

_LENGTHS = (0, 5, 9, 17, 33)
"""Where a new range of lengths begins, in the model's tokens."""
_COUNTS = (0, 1, 10, 100, 1000)
"""Where a new range begins of how often a word stands in the training sources."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a test set."""

    name: str
    lines: tuple[int, ...]
    """Which, counted from 0."""
    scores: dict[str, float]
    """By the names of the measures."""


def breakdown(
    measures: Sequence[Measure], sources: Sequence[str], lengths: Sequence[int],
    learned: Sequence[str] | None,
) -> dict[str, tuple[Part, ...]]:  # fmt: skip
    """Score the lines in parts: by source length, by how often the rarest word of the source stands
    in the training sources, and by whether the source is one of them.

    Args:
        measures: the scores.
        sources: of the lines.
        lengths: tokens of each source.
        learned: the training sources, if they are known; compared but for case and punctuation.
    """
    found = {"source tokens": _parts(measures, _ranges(_LENGTHS), _which(lengths, _LENGTHS))}
    if learned is not None:
        known = [sentence_key(text) for text in learned]
        words = Counter(word for text in known for word in text.split())
        keys, seen = [sentence_key(text) for text in sources], set(known)
        rarest = [min((words[word] for word in key.split()), default=0) for key in keys]
        counts = _which(rarest, _COUNTS)
        found["rarest word"] = _parts(measures, [f"{name} ×" for name in _ranges(_COUNTS)], counts)
        found["source"] = _parts(measures, ("unseen", "seen"), [key in seen for key in keys])
    return found


def _which(numbers: Sequence[int], begins: Sequence[int]) -> list[int]:
    """The range that each number is in."""
    return [int(place) - 1 for place in np.digitize(numbers, begins)]


def _ranges(begins: Sequence[int]) -> list[str]:
    """``(0, 5, 9)`` as ``0–4``, ``5–8``, ``9+``."""
    ends = (begin - 1 for begin in begins[1:])
    whole = [f"{a}–{b}" if a < b else str(a) for a, b in zip(begins[:-1], ends, strict=True)]
    return [*whole, f"{begins[-1]}+"]


def _parts(
    measures: Sequence[Measure], names: Sequence[str], labels: Iterable[int]
) -> tuple[Part, ...]:
    """The parts that have lines, in the order of ``names``; a line's label is its part's place."""
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(int(label), []).append(row)
    return tuple(
        Part(names[label], tuple(rows[label]), {m.name: m.value(rows[label]) for m in measures})
        for label in sorted(rows)
    )
