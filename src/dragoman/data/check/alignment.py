"""Pairs that do not belong together: sides exchanged, lines shifted.

Nothing is known of the languages: what is usual is learned from the corpus, so that a few wrong
pairs stand out against the rest. Words are not needed: texts are cut into trigrams of characters.

    N rows   W trigrams of all rows   H hashes   D width of a vector   F farthest shift
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dragoman.data.check.columns import Corpus, Numbers
from dragoman.data.check.report import Finding, Rows, counted, excerpt

_HASHES, _WIDTH, _FARTHEST, _WINDOW = 1 << 16, 32, 5, 10
_NEAR = 200
"""Windows that find the same shift so few rows apart are of one run."""
_ONE_LANGUAGE = 0.7
"""Where the sides have so much of their words in common, both are of one language."""
_SURE = 4.0
"""Log-odds from which a text clearly belongs to a side."""
_DEVIATIONS = 5.0
"""How far a shift must fit better than none, in standard deviations of pairs drawn at random."""


class _Trigrams(NamedTuple):
    """All trigrams of characters of one side."""

    ids: Numbers
    """A hash of each trigram, [W]."""
    bounds: Numbers
    """Row n has the trigrams from ``bounds[n]`` to ``bounds[n + 1]``, [N + 1]."""
    seen: Numbers
    """How often each hash comes, [H]."""

    def sums(self, table: Numbers) -> Numbers:
        """Sum of what ``table`` [H, D] has for the trigrams of each row: [N, D]."""
        return _sums(table, self.ids, self.bounds[:-1])


def misplaced(corpus: Corpus) -> tuple[Finding, Finding, bool]:
    """Find pairs whose parts are right, but not where they stand.

    Returns:
        The pairs with exchanged sides, those of shifted lines, and whether the two sides are of
        two languages: with one language on both, neither can be told.
    """
    wrong, two_languages, runs = np.zeros(0, np.int64), False, list[tuple[int, int, int]]()
    source, target = corpus.source.words, corpus.target.words
    if (source & target).total() < _ONE_LANGUAGE * target.total():
        sides = _trigrams(corpus.source.texts), _trigrams(corpus.target.texts)
        wrong, two_languages = _swapped(*sides)
        # With one language on both sides, a text is likest to itself: dialogues would seem shifted.
        if two_languages and len(corpus.lines) > 2 * _WINDOW:
            runs = list(_shifted(len(corpus.lines), *sides))
    starts = np.array([first for first, _, _ in runs], np.int64)
    rows = np.concatenate([starts[:0], *(np.arange(first, last + 1) for first, last, _ in runs)])

    def elsewhere(row: int) -> str:
        last, by = next((last, by) for first, last, by in runs if first <= row <= last)
        far, way = counted(abs(by), "line"), "down" if by > 0 else "up"
        return f"to line {corpus.lines[last]}: the right target stands {far} further {way}"

    swapped = corpus.finding("swapped sides", wrong, lambda row: excerpt(corpus.text(row)[0]))
    shifted = corpus.finding("shifted lines", starts, elsewhere, fixed=rows)
    return swapped, replace(shifted, count=len(rows)), two_languages


def _sums(table: Numbers, rows: Numbers, starts: Numbers) -> Numbers:
    """Sum of the ``rows`` of ``table`` from each of the ``starts`` to the next."""
    columns = np.ascontiguousarray(table.T)
    return np.stack([np.add.reduceat(column[rows], starts) for column in columns], axis=1)


def _trigrams(texts: Any) -> _Trigrams:
    """Cut the texts of a column; two characters U+0000 stand around each."""
    ids, lengths, odd = [], [0], np.uint64(0x9E3779B97F4A7C15)
    for chunk in texts.chunks:
        lines = chunk.to_pylist()
        joined = "\0\0".join(["", *lines, ""]).encode("utf-32-le")
        codes = np.frombuffer(joined, np.uint32).astype(np.uint64)
        mixed = ((codes[:-2] * odd + codes[1:-1]) * odd + codes[2:]) * odd
        ids.append((mixed >> np.uint64(48)).astype(np.int64))
        lengths += (len(line) + 2 for line in lines)
    every = np.concatenate(ids)
    return _Trigrams(every, np.cumsum(lengths), np.bincount(every, minlength=_HASHES))


def _swapped(*sides: _Trigrams) -> tuple[Rows, bool]:
    """Rows whose source reads like the targets and whose target like the sources.

    Naive Bayes, each text judged by the others. The second value tells whether nearly every text
    clearly belongs to a side.
    """
    counts = np.stack([side.seen for side in sides]) + 0.5
    prior = math.log(counts[0].sum() / counts[1].sum())
    others = [np.log(np.maximum(counts - own, 0.5)) for own in ([[1], [0]], [[0], [1]])]
    source, target = (
        side.sums((logs[0] - logs[1] - prior)[:, None])[:, 0]
        for side, logs in zip(sides, others, strict=True)
    )
    wrong = (source < -_SURE) & (target > _SURE)
    right = (source > _SURE) & (target < -_SURE)
    if (wrong | right).mean() <= 0.9 or wrong.mean() >= 0.3:
        return np.zeros(0, np.int64), False
    # Once more without both texts of the pair: then it is right when its sides are exchanged.
    rows = []
    for row in np.flatnonzero(wrong).tolist():
        texts = [side.ids[slice(*side.bounds[row : row + 2])] for side in sides]
        rest = np.log(counts - [np.bincount(text, minlength=_HASHES) for text in texts])
        odds = [(rest[0] - rest[1] - prior)[text].sum() for text in texts]
        rows += [row] if odds[0] < -_SURE and odds[1] > _SURE else []
    return np.array(rows, np.int64), True


def _shifted(size: int, source: _Trigrams, target: _Trigrams) -> Iterator[tuple[int, int, int]]:
    """First and last row of runs whose right targets stand some rows further, and how many.

    Each trigram of the targets has a random direction, a text the sum of its trigrams', a trigram
    of the sources the sum of the texts that it was seen with (random indexing: Kanerva,
    Kristoferson and Holst 2000). A source then points where its target points; it is judged by
    the other pairs alone.
    """
    directions = np.random.default_rng(0).standard_normal((_HASHES, _WIDTH), np.float32)
    directions *= np.log1p(size / np.maximum(1, target.seen))[:, None]
    points = _unit(target.sums(directions) - target.seen @ directions / size)
    for belongs in (0, -1, 1, -2, 2):  # are all of them shifted?
        fits, mean, deviation = _fits(source, points, belongs)
        if mean > deviation:  # better than chance
            yield from _runs(fits, _DEVIATIONS * deviation * math.sqrt(2 * _WINDOW))
            return


def _fits(source: _Trigrams, points: Numbers, belongs: int) -> tuple[Numbers, float, float]:
    """How well each source fits the target so many rows further, [2 F + 1, N].

    Learned from the pairs of each source with the target ``belongs`` rows further. The second
    value is the mean fit of these, each judged by the others; the third the standard deviation of
    the fit of pairs that do not belong together.
    """
    around = np.pad(points, ((_FARTHEST, _FARTHEST), (0, 0)))
    near = [around[by : by + len(points)] for by in range(2 * _FARTHEST + 1)]
    own = near[_FARTHEST + belongs]
    found, order = (
        np.flatnonzero(source.seen),
        np.argsort(source.ids.astype(np.uint16), stable=True),
    )
    rows = np.repeat(np.arange(len(own)), np.diff(source.bounds))[order]
    seen, learned = source.seen[found], np.zeros((_HASHES, _WIDTH), np.float32)
    learned[found] = _sums(own, rows, np.cumsum(seen) - seen)
    trust = np.log1p(len(own) / np.maximum(1, source.seen)) / (source.seen + 3)
    trust = trust.astype(np.float32)[:, None]
    meant = _unit(source.sums(learned * trust) - own * source.sums(trust))
    fits = np.stack([(meant * other).sum(1) for other in near])
    chance = (meant * np.roll(own, len(own) // 2, axis=0)).sum(1)
    return fits, float(fits[_FARTHEST + belongs].mean()), float(chance.std())


def _unit(vectors: Numbers) -> Numbers:
    vectors /= np.maximum(1e-6, np.linalg.norm(vectors, axis=1, keepdims=True))
    return vectors


def _runs(fits: Numbers, needed: float) -> Iterator[tuple[int, int, int]]:
    """Runs in which another shift fits much better than none, in a window of rows."""
    sums = np.cumsum(np.pad(fits - fits[_FARTHEST], ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    windows = sums[:, _WINDOW:] - sums[:, :-_WINDOW]
    by, found = windows.argmax(axis=0), np.flatnonzero(windows.max(axis=0) > max(needed, 1e-6))
    # Windows that are near each other and agree are one run.
    breaks = (np.diff(found) > _NEAR) | (np.diff(by[found]) != 0)
    end = 0
    for group in np.split(found, np.flatnonzero(breaks) + 1):
        if len(group):
            shift, low = by[group[0]], max(end, group[0] - _WINDOW)
            # The stretch with the greatest sum (Kadane).
            total = sums[shift, low : group[-1] + 2 * _WINDOW + 1]
            last = int(np.argmax(total[1:] - np.minimum.accumulate(total)[:-1]))
            first, end = int(np.argmin(total[: last + 1])), low + last + 1
            yield int(low + first), int(low + last), int(shift) - _FARTHEST
