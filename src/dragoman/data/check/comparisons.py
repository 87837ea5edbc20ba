"""Compares pairs with each other: repetitions, overlap with a test, unusual lengths.

Repetitions are judged by hashes of whole texts: without case, punctuation and spaces, unless these
are what the pairs are about.
"""

from dataclasses import replace

import numpy as np

from dragoman.data.check.columns import Corpus
from dragoman.data.check.report import Finding, Numbers, excerpt

_SYSTEMATIC = 5
"""Fewest pairs, or sentences in several forms, that show that the form counts."""


def form_counts(corpus: Corpus) -> bool:
    """Whether case, punctuation and spaces are what the pairs are about, so that they count.

    It is so where sides differ in nothing else in some of the pairs (*i think so* and *I think
    so.*), and where a sentence in several forms has another target in each (*12 - 3*, *12 * 3*).
    """
    source, target = corpus.source, corpus.target
    only = (source.keys == target.keys) & (source.hashes != target.hashes)
    if only.sum() >= max(_SYSTEMATIC, len(corpus.lines) / 500):
        return True
    _, group = np.unique(source.keys, return_inverse=True)

    def distinct(values: Numbers) -> Numbers:
        """How many different values the pairs of each group have."""
        return np.bincount(group[np.unique(values, return_index=True)[1]])

    answers, pairs = (distinct(_joined(each, target.keys)) for each in (group, source.hashes))
    several = distinct(source.hashes) > 1
    # As many pairs of a form and an answer as answers: no two forms have an answer in common.
    apart = pairs == answers
    return bool((several & apart).sum() >= max(_SYSTEMATIC, 10 * (several & ~apart).sum()))


def _joined(source: Numbers, target: Numbers) -> Numbers:
    """A hash of each pair, of hashes of its sides."""
    return source * np.int64(1_000_003) ^ target


def duplicates(corpus: Corpus) -> Finding:
    """Pairs that repeat an earlier one to the letter."""
    pairs = _joined(corpus.source.hashes, corpus.target.hashes)
    _, first, group = np.unique(pairs, return_index=True, return_inverse=True)
    same = first[group]
    repeats = np.flatnonzero(same != np.arange(len(group)))
    return corpus.finding("duplicates", repeats, lambda row: f"as line {corpus.lines[same[row]]}")


def untranslated(corpus: Corpus, *, two_languages: bool) -> Finding:
    """Pairs with the same text on both sides.

    Sentences are wrong between ``two_languages`` and come first; within one they show what needs no
    change. Words and names are the same in many languages: alone they are no reason to warn.
    """
    same = np.flatnonzero(corpus.source.hashes == corpus.target.hashes)
    same = same[: 0 if len(same) > corpus.usual else None]
    texts = [corpus.text(row)[0] for row in same.tolist()]
    worded = np.array([any(map(str.isalpha, text)) for text in texts], bool)
    # Words of names and titles begin with capitals.
    words = [sum(w[0].isalpha() and not w[0].isupper() for w in t.split()) for t in texts]
    long = worded & (np.array(words, np.int64) > 2) & two_languages
    rows, told = np.r_[same[long], same[worded & ~long]], lambda row: excerpt(corpus.text(row)[0])
    found = corpus.finding("untranslated", rows, told, fixed=same[long])
    return found if long.any() else replace(found, severity="note")


def overlap(train: Corpus, test: Corpus) -> Finding:
    """Pairs whose source is in the test as well; its form counts where :func:`form_counts`."""
    exact = form_counts(train)
    ours, theirs = (each.source.hashes if exact else each.source.keys for each in (train, test))
    known, first = np.unique(theirs, return_index=True)
    at = np.searchsorted(known, ours).clip(max=len(known) - 1)
    rows = np.flatnonzero(known[at] == ours)
    return train.finding("test sources", rows, lambda row: f"as {test.place(first[at[row]])}")


def length_ratio(corpus: Corpus, misplaced: Numbers) -> Finding:
    """Pairs whose lengths stand in another proportion than those of the rest, farthest first.

    ``--fix`` leaves out those far beyond the limit, but none with a side of one word, which may
    be an abbreviation. Rows that are known to be ``misplaced`` are not reported again.
    """
    source, target = corpus.source.characters, corpus.target.characters
    # Five characters more on each side: for short texts a large ratio says little.
    ratios = np.log((target + 5) / (source + 5))
    low, middle, high = np.percentile(ratios, [16, 50, 84])
    limit = max(3 * (high - low), np.log(2.5))
    far = np.abs(ratios - middle)
    far[misplaced] = 0.0
    worst = np.argsort(-far, kind="stable")
    rows, fixed = worst[: (far > limit).sum()], worst[: (far > 1.5 * limit).sum()]
    fixed = fixed[np.minimum(corpus.source.tokens, corpus.target.tokens)[fixed] > 1]
    detail = "{} against {} characters".format
    return corpus.finding("length ratio", rows, lambda row: detail(source[row], target[row]), fixed)
