"""Scores by kind of source: its length, its rarest word, whether it was learned from."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Sequence

from dragoman.data.sameness import sentence_key
from dragoman.evaluation.metrics import Measure

_LENGTHS = {0: "0–4", 5: "5–8", 9: "9–16", 17: "17–32", 33: "33+"}
"""Ranges of a source's length in the model's tokens, by where they begin."""
_COUNTS = {0: "0 ×", 1: "1–9 ×", 10: "10–99 ×", 100: "100–999 ×", 1000: "1000+ ×"}
"""Ranges of how often a word stands in the training sources."""
_SEEN = {0: "unseen", 1: "seen"}

Breakdown = dict[str, dict[str, dict[str, float]]]
"""Kind of division, part, and its ``lines`` and scores."""


def breakdown(
    measures: Sequence[Measure],
    sources: Sequence[str],
    lengths: Sequence[int],
    learned: Sequence[str] | None,
) -> Breakdown:
    """Score the lines in parts: by source length, by how often the rarest word of the source stands
    in the training sources, and by whether the source is one of them.

    Args:
        measures: the scores.
        sources: of the lines.
        lengths: tokens of each source.
        learned: the training sources, if they are known; compared but for case and punctuation.
    """
    found = {"source tokens": _parts(measures, _LENGTHS, lengths)}
    if learned is not None:
        known = [sentence_key(text) for text in learned]
        words = Counter(word for text in known for word in text.split())
        keys, seen = [sentence_key(text) for text in sources], set(known)
        rarest = [min((words[word] for word in key.split()), default=0) for key in keys]
        found["rarest word"] = _parts(measures, _COUNTS, rarest)
        found["source"] = _parts(measures, _SEEN, [key in seen for key in keys])
    return found


def _parts(
    measures: Sequence[Measure], ranges: dict[int, str], numbers: Sequence[int]
) -> dict[str, dict[str, float]]:
    """The lines and scores of each of ``ranges`` that has one of the ``numbers``."""
    rows: dict[str, list[int]] = {name: [] for name in ranges.values()}
    for row, number in enumerate(numbers):
        rows[list(rows)[bisect(list(ranges), number) - 1]].append(row)
    return {
        name: {"lines": len(some), **{m.name: m.value(some) for m in measures}}
        for name, some in rows.items()
        if some
    }
