"""Scores of parts of a test set: by source length, by rarest word, and of unseen sources."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dragoman.data.invisible import sentence_key
from dragoman.evaluation.metrics import Measure, Texts

_LENGTHS = {0: "0–4", 5: "5–8", 9: "9–16", 17: "17–32", 33: "33+"}
"""Ranges of a source's length in tokens, by their first number."""
_COUNTS = {0: "0 ×", 1: "1–9 ×", 10: "10–99 ×", 100: "100–999 ×", 1000: "1000+ ×"}
"""Ranges of a word's count in the training sources, by their first number."""
_SEEN = {0: "unseen", 1: "seen"}
"""Whether a source is among the training sources."""

Breakdown = dict[str, dict[str, dict[str, float]]]
"""By kind of part and then by part: the number of its ``lines``, and its scores by name."""


def breakdown(
    measures: Sequence[Measure], sources: Texts, lengths: Sequence[int], learned: Texts | None
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
    numbers = {"source tokens": (_LENGTHS, lengths)}
    if learned is not None:
        known = [sentence_key(text) for text in learned]
        words = Counter(word for text in known for word in text.split())
        keys, seen = [sentence_key(text) for text in sources], set(known)
        rarest = [min((words[word] for word in key.split()), default=0) for key in keys]
        numbers |= {"rarest word": (_COUNTS, rarest), "source": (_SEEN, [k in seen for k in keys])}
    found: Breakdown = {}
    for kind, (ranges, values) in numbers.items():
        places = np.searchsorted(list(ranges), values, "right") - 1
        found[kind] = {}
        for place, name in enumerate(ranges.values()):
            if rows := np.flatnonzero(places == place).tolist():
                scores = {measure.name: measure.value(rows) for measure in measures}
                found[kind][name] = {"lines": len(rows), **scores}
    return found
