"""What pairs for training have in common with pairs for testing, and which words they lack."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dragoman.data.check.oddities import leave_out
from dragoman.data.check.report import Finding
from dragoman.data.check.survey import Hits, Numbers, Tally, numbers


def overlap(train: Tally, test: Tally, test_place: Callable[[int], str]) -> list[Hits]:
    """Pairs, sources and targets that are in both, but for case, punctuation and spaces."""
    sides = [(numbers(t.source.keys), numbers(t.target.keys)) for t in (train, test)]
    both = [source * np.int64(1_000_003) ^ target for source, target in sides]
    kinds = (
        ("test pairs", both, "are in the test as well"),
        ("test sources", [side[0] for side in sides], "have a source of the test"),
        ("test targets", [side[1] for side in sides], "have a target of the test"),
    )
    found: list[Hits] = []
    for kind, keys, meaning in kinds:
        rows, partners = _common(*keys)
        fresh = ~np.isin(rows, [row for hits in found for row in hits.rows])
        partner = dict(zip(rows[fresh].tolist(), partners[fresh].tolist(), strict=True))

        def detail(row: int, partner: dict[int, int] = partner) -> str:
            return f"as {test_place(partner[int(row)])}"

        harms = kind != "test targets"
        found.append(
            Hits(
                kind,
                "problem" if harms else "note",
                meaning,
                rows[fresh],
                detail,
                leave_out if harms else None,
            )
        )
    return found


def _common(ours: Numbers, theirs: Numbers) -> tuple[Numbers, Numbers]:
    """Rows of ``ours`` that are in ``theirs``, and the first row where each is."""
    known, first = np.unique(theirs, return_index=True)
    at = np.minimum(np.searchsorted(known, ours), len(known) - 1)
    rows = np.flatnonzero(known[at] == ours)
    return rows, first[at[rows]]


def unknown_words(train: Tally, test: Tally, test_file: str) -> Finding:
    """How many of the test's tokens, as white space separates them, the training never saw."""
    new = [
        sum(count for word, count in there.words.items() if word not in here.words)
        for here, there in ((train.source, test.source), (train.target, test.target))
    ]
    shares = [
        100 * n / s.words.total() for n, s in zip(new, (test.source, test.target), strict=True)
    ]
    meaning = "of {} are not in these pairs: {:.1f} % in its sources, {:.1f} % in its targets"
    meaning = meaning.format(test_file, *shares)
    return Finding("unknown words", "note", sum(new), meaning, unit="token")
