"""Pairs that do not belong together: sides exchanged, lines shifted.

Nothing is known of the languages: what is usual is learned from the corpus, so that a few wrong
pairs stand out against the rest. Words are not needed: texts are cut into trigrams of characters.

    N rows   W trigrams of all rows   H hashes   D width of a vector   F farthest shift
"""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz.fuzz import ratio
from rapidfuzz.process import cpdist

from dragoman.data.check.columns import Corpus
from dragoman.data.check.report import Finding, Numbers, excerpt
from dragoman.data.pairs import counted

_HASHES, _WIDTH, _FARTHEST = 1 << 16, 64, 5
_ROUNDS = 2
"""Times that shifts are looked for with what was learned from pairs put right."""
_FEWEST = 20
"""Shifts are not looked for in so few rows."""
_ONE_LANGUAGE = 0.7
"""Share of common words from which both sides are taken to be of one language."""
_FORMS = 70.0
"""Mean likeness of source and target, of 100, from which they are taken to be forms of one word or
sentence: 76 to 90 in inflection, at most 57 between languages and in spelling to sound."""
_SAMPLE = 20_000
"""Rows by which it is judged whether sources and targets are forms of one word."""
_SURE = 4.0
"""Log-odds from which a text clearly belongs to a side."""
_CHANGE = 30.0
"""Log-odds by which another shift must explain a run of rows better."""
_CLEAR = 0.3
"""Standard deviations by which shifted rows must fit their targets better than others near."""


class _Trigrams(NamedTuple):
    """All trigrams of characters of one side."""

    ids: Numbers
    """A hash of each trigram, [W]."""
    bounds: Numbers
    """Row n has the trigrams from ``bounds[n]`` to ``bounds[n + 1]``, [N + 1]."""
    seen: Numbers
    """Count of each hash, [H]."""

    def sums(self, table: Numbers) -> Numbers:
        """Sum of what ``table`` [H, D] has for the trigrams of each row: [N, D]."""
        return _sums(table, self.ids, self.bounds[:-1])


def misplaced(corpus: Corpus) -> tuple[Finding, Finding, bool]:
    """Find pairs whose parts are right, but not where they stand.

    Returns:
        The pairs with exchanged sides, those of shifted lines, and whether the sides are of two
        languages; with one language on both sides neither can be found.
    """
    every, wrong, two_languages = np.arange(len(corpus.lines)), np.zeros(0, np.int64), False
    shifts = np.zeros_like(every)
    source, target = (side.statistics.words for side in (corpus.source, corpus.target))
    first = [side.texts.slice(0, _SAMPLE).to_pylist() for side in (corpus.source, corpus.target)]
    are_forms = cpdist(*first, scorer=ratio).mean() > _FORMS
    if not are_forms and (source & target).total() < _ONE_LANGUAGE * target.total():
        sides = _trigrams(corpus.source.texts), _trigrams(corpus.target.texts)
        wrong, two_languages = _swapped(*sides)
        # With one language on both sides, a text is likest to itself: dialogues would seem shifted.
        if two_languages and len(every) > _FEWEST:
            shifts = _shifted(*sides)
    takes, edges = every + shifts, (np.flatnonzero(np.diff(shifts)) + 1).tolist()
    takes[(takes < 0) | (takes >= len(every))] = -1
    for edge in edges:  # found but for a row or two; and no target is taken twice
        reach = 1 + abs(int(shifts[edge] - shifts[edge - 1]))
        takes[max(0, edge - reach) : edge + reach] = -1
    runs = {first: end for first, end in pairwise((0, *edges, len(every))) if shifts[first]}

    def run(at: int) -> str:
        far, way = counted(abs(int(shifts[at])), "line"), "down" if shifts[at] > 0 else "up"
        return f"to line {corpus.lines[runs[at] - 1]}: the right target stands {far} further {way}"

    def moved(row: int) -> str:
        taken = f"takes the target of line {corpus.lines[takes[row]]}"
        return taken if takes[row] >= 0 else "no target near it is surely its own"

    rows, starts = np.flatnonzero(takes != every), np.array(list(runs), np.int64)
    swapped = corpus.finding("swapped sides", wrong, lambda row: excerpt(corpus.text(row)[0]))
    shifted = corpus.finding("shifted lines", starts, run, rows)
    shifted = replace(shifted, count=len(rows), detail=moved, moves=takes[rows])
    return swapped, shifted, two_languages


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


def _swapped(*sides: _Trigrams) -> tuple[Numbers, bool]:
    """Rows whose source reads like the targets and whose target like the sources.

    Naive Bayes, each text judged by the others. The second value tells whether nearly every text
    clearly belongs to a side.
    """
    counts = np.stack([side.seen for side in sides]) + 0.5
    prior = math.log(counts[0].sum() / counts[1].sum())
    others = [np.log(np.maximum(counts - own, 0.5)) for own in ([[1], [0]], [[0], [1]])]
    judged = zip(sides, others, strict=True)
    source, target = (side.sums((a - b - prior)[:, None])[:, 0] for side, (a, b) in judged)
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


def _shifted(source: _Trigrams, target: _Trigrams) -> Numbers:
    """How many rows further the right target of each row stands, [N].

    Each trigram of the targets has a random direction, a text the sum of its trigrams', a trigram
    of the sources the sum of the texts that it was seen with (random indexing: Kanerva,
    Kristoferson and Holst 2000). A source then points where its target points; it is judged by
    the other pairs alone. Where few pairs are right as they stand, every shift is tried as that of
    all rows, and the one that fits best is where the search begins.
    """
    size = len(source.bounds) - 1
    directions = np.random.default_rng(0).standard_normal((_HASHES, _WIDTH), np.float32)
    directions *= np.log1p(size / np.maximum(1, target.seen))[:, None]
    points = _unit(target.sums(directions) - target.seen @ directions / size)
    around = np.pad(points, ((_FARTHEST, _FARTHEST), (0, 0)))
    near = [around[by : by + size] for by in range(2 * _FARTHEST + 1)]
    fits = _fits(source, points, near)
    if fits[_FARTHEST].mean() - fits.mean() < fits.std() / 2:
        tries = ((_fits(source, other, near), by) for by, other in enumerate(near))
        fits, _ = max(tries, key=lambda tried: tried[0][tried[1]].mean())
    shifts = _runs(fits)
    for _ in range(_ROUNDS if shifts.any() else 0):
        shifts = _runs(fits := _fits(source, around[np.arange(size) + shifts + _FARTHEST], near))
    # Where sources tell little of their targets, many rows fit any target near them a little more.
    for shift in np.unique(shifts):
        means, at = fits[:, shifts == shift].mean(axis=1), shift + _FARTHEST
        if means[at] < np.delete(means, at).max() + _CLEAR * fits.std():
            shifts[shifts == shift] = 0
    return shifts


def _fits(source: _Trigrams, own: Numbers, near: list[Numbers]) -> Numbers:
    """How well each source fits the target so many rows further, [2 F + 1, N].

    Args:
        source: the sources.
        own: what each was seen with, [N, D]; the others tell where it points.
        near: the targets so many rows further, 2 F + 1 times [N, D].
    """
    found = np.flatnonzero(source.seen)
    order = np.argsort(source.ids.astype(np.uint16), kind="stable")
    rows = np.repeat(np.arange(len(own)), np.diff(source.bounds))[order]
    seen, learned = source.seen[found], np.zeros((_HASHES, _WIDTH), np.float32)
    learned[found] = _sums(own, rows, np.cumsum(seen) - seen)
    trust = np.log1p(len(own) / np.maximum(1, source.seen)) / (source.seen + 3)
    trust = trust.astype(np.float32)[:, None]
    meant = _unit(source.sums(learned * trust) - own * source.sums(trust))
    return np.stack([(meant * other).sum(1) for other in near])


def _unit(vectors: Numbers) -> Numbers:
    vectors /= np.maximum(1e-6, np.linalg.norm(vectors, axis=1, keepdims=True))
    return vectors


def _runs(fits: Numbers) -> Numbers:
    """Cut the rows into few runs of one shift each: the shift of each row, [N].

    At first no row is shifted. Again and again the run takes another shift that is explained best
    by it, while that makes the rows more likely by ``_CHANGE``.

    Args:
        fits: how well each source fits the target so many rows further, [2 F + 1, N].
    """
    every, found = np.arange(fits.shape[1]), np.full(fits.shape[1], _FARTHEST)
    means = fits.mean(axis=1)
    chance = np.delete(fits, means.argmax(), axis=0).std()
    # The log-odds of a right pair grow with its fit as those of two normal distributions do.
    odds = fits * (means.max() - np.median(means)) / max(0.05, chance) ** 2
    while True:
        # A few rows alone, which may be alike by chance, do not make a run.
        better = np.clip(odds - odds[found, every], -_CHANGE / 6, _CHANGE / 6)
        gains = np.cumsum(np.pad(better, ((0, 0), (1, 0))), axis=1)
        rises = gains - np.minimum.accumulate(gains, axis=1)
        shift, end = np.unravel_index(rises.argmax(), rises.shape)
        if rises[shift, end] < _CHANGE:
            return found - _FARTHEST
        found[gains[shift, :end].argmin() : end] = shift
