"""What comes more than once: in the pairs, on both sides of one, or in the test as well.

All is judged by hashes of whole texts, with or without case, punctuation and spaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from dragoman.data.check.columns import Corpus, Numbers, numbers
from dragoman.data.check.report import Finding, excerpt


def duplicates(corpus: Corpus) -> Finding:
    """Pairs that repeat an earlier one to the letter."""
    _, first, group = np.unique(corpus.pairs, return_index=True, return_inverse=True)
    earlier = first[group]
    repeats = np.flatnonzero(earlier != np.arange(len(group)))
    return corpus.finding(
        "duplicates", repeats, lambda row: f"as line {corpus.lines[earlier[row]]}"
    )


def untranslated(corpus: Corpus, *, two_languages: bool) -> Finding:
    """Pairs with the same text on both sides.

    Long ones are wrong between ``two_languages``; within one they show what needs no change, and
    one or two words may be names.
    """
    same = np.flatnonzero(numbers(corpus.source.texts) == numbers(corpus.target.texts))
    same = same[: 0 if len(same) > corpus.usual else None]
    texts = [corpus.text(row)[0] for row in same.tolist()]
    worded = np.array([any(map(str.isalpha, text)) for text in texts], bool)
    long = np.array([two_languages and len(text.split()) > 2 for text in texts], bool)
    found = corpus.finding(
        "untranslated",
        same[worded],
        lambda row: excerpt(corpus.text(row)[0]),
        fixed=same[worded & long],
    )
    return found if two_languages else replace(found, severity="note")


def shared(corpus: Corpus) -> Iterator[Finding]:
    """Different pairs that have one side in common, but for case, punctuation and spaces."""
    distinct = np.sort(np.unique(corpus.pairs, return_index=True)[1])
    for name, counts, meaning in (
        ("sources", corpus.source, "several right answers; split them by source"),
        ("targets", corpus.target, "different sources have one target"),
    ):
        keys = numbers(counts.keys)[distinct]
        _, first, number = np.unique(keys, return_index=True, return_counts=True)
        most = [at for at in np.lexsort((first, -number))[: corpus.shown] if number[at] > 1]
        places = tuple(f"{corpus.place(distinct[first[at]])}: {number[at]} pairs" for at in most)
        told = f"case and punctuation apart: {meaning}"
        yield Finding(f"shared {name}", "note", int(number[number > 1].sum()), told, places)


def overlap(train: Corpus, test: Corpus) -> Iterator[Finding]:
    """Pairs, sources and targets that are in both, but for case, punctuation and spaces."""
    sides = [(numbers(each.source.keys), numbers(each.target.keys)) for each in (train, test)]
    sources, targets = zip(*sides, strict=True)
    both = [source * np.int64(1_000_003) ^ target for source, target in sides]
    earlier: list[int] = []
    for kind, (ours, theirs) in (
        ("test pairs", both),
        ("test sources", sources),
        ("test targets", targets),
    ):
        known, first = np.unique(theirs, return_index=True)
        at = np.minimum(np.searchsorted(known, ours), len(known) - 1)
        rows = np.setdiff1d(np.flatnonzero(known[at] == ours), earlier)
        earlier += rows.tolist()
        yield train.finding(kind, rows, partial(_as_in, test, first[at]))


def _as_in(test: Corpus, partner: Numbers, row: int) -> str:
    return f"as {test.place(partner[row])}"


def unknown_words(train: Corpus, test: Corpus) -> Finding:
    """How many of the test's tokens, as white space separates them, the training never saw."""
    sides = ((train.source.words, test.source.words), (train.target.words, test.target.words))
    new = [sum(n for word, n in there.items() if word not in here) for here, there in sides]
    shares = [100 * n / there.total() for n, (_, there) in zip(new, sides, strict=True)]
    meaning = "of {} are not in these pairs: {:.1f} % in its sources, {:.1f} % in its targets"
    meaning = meaning.format(test.file, *shares)
    return Finding("unknown words", "note", sum(new), meaning, unit="token")
