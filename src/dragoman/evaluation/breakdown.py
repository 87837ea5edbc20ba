"""Scores of parts of a test set: by source length, by rarest word, and of unseen sources."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Sequence

from dragoman.data.sameness import sentence_key
from dragoman.evaluation.measure import Measure

_LENGTHS = {0: "0–4", 5: "5–8", 9: "9–16", 17: "17–32", 33: "33+"}
"""Ranges of a source's length in tokens, by their first number."""
_COUNTS = {0: "0 ×", 1: "1–9 ×", 10: "10–99 ×", 100: "100–999 ×", 1000: "1000+ ×"}
"""Ranges of a word's count in the training sources, by their first number."""
_SEEN = {0: "unseen", 1: "seen"}
"""Whether a source is among the training sources."""

Breakdown = dict[str, dict[str, dict[str, float]]]
"""By kind of part and then by part: the number of its ``lines``, and its scores by name."""


def breakdown(
    measures: Sequence[Measure],
    sources: Sequence[str],
    lengths: Sequence[int],
    learned: Sequence[str] | None,
) -> Breakdown:
    """Score lines by the length of their source, by how often the rarest word of the source is in
    the training sources, and by whether the source is a training source.

    Args:
        measures: the scores.
        sources: of the lines.
        lengths: number of tokens of each source.
        learned: the training sources; compared without case and punctuation. None: unknown, then
            lines are scored by length alone.
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
    """Number of lines and scores of each range; ``numbers`` has one number for each line."""
    rows: dict[str, list[int]] = {name: [] for name in ranges.values()}
    for row, number in enumerate(numbers):
        rows[list(rows)[bisect(list(ranges), number) - 1]].append(row)
    return {
        name: {"lines": len(some), **{m.name: m.value(some) for m in measures}}
        for name, some in rows.items()
        if some
    }
