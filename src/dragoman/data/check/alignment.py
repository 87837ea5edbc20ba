"""Pairs that do not belong together: sides exchanged, lines shifted.

Nothing is known of the languages: what is usual is learned from the corpus, so that a few wrong
pairs stand out against the rest.

    N rows of a chunk   D width of a vector   F farthest shift
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dragoman.data.check.oddities import Column

Numbers = npt.NDArray[Any]

_BUCKETS, _WIDTH, _FARTHEST, _WINDOW, _ROWS = 1 << 16, 32, 5, 10, 1 << 14
_ENOUGH = 200_000
"""Rows from which the meaning of words is learned, spread over the corpus."""
_SURE = 4.0
"""Log-odds from which a text clearly belongs to a side."""
_DEVIATIONS = 5.0
"""How far a shift must fit better than none, in standard deviations of pairs drawn at random."""


def swapped(batches: Sequence[Any]) -> tuple[Numbers, bool]:
    """Rows whose source reads like the targets and whose target like the sources.

    Naive Bayes on trigrams of characters, each text judged by the others.

    Returns:
        The rows, and whether the sides can be told apart; none where they cannot: one language
        on both, say.
    """
    counts = np.zeros((2, _BUCKETS))
    for batch in batches:
        for side, name in enumerate(("source", "target")):
            counts[side] += np.bincount(_trigrams(batch.column(name))[0], minlength=_BUCKETS)
    prior = np.log(counts[0].sum() / counts[1].sum())
    scores: list[Numbers] = []
    for batch in batches:
        both = []
        for side, name in enumerate(("source", "target")):
            grams, lengths = _trigrams(batch.column(name))
            own = [counts[s][grams] - (s == side) + 0.5 for s in (0, 1)]
            starts = np.cumsum(lengths) - lengths
            both.append(np.add.reduceat(np.log(own[0] / own[1]) - prior, starts))
        scores.append(np.stack(both))
    source, target = np.concatenate(scores, axis=1)
    wrong = (source < -_SURE) & (target > _SURE)
    right = (source > _SURE) & (target < -_SURE)
    told_apart = (wrong | right).mean() > 0.9 and wrong.mean() < 0.3
    return np.flatnonzero(wrong & told_apart), bool(told_apart)


def _trigrams(column: Column) -> tuple[Numbers, Numbers]:
    """Buckets of all trigrams, and how many each text has."""
    texts = column.to_pylist()
    codes = np.frombuffer("\0".join(["", *texts, "", ""]).encode("utf-32-le"), np.uint32)
    codes = codes.astype(np.uint64)
    odd = np.uint64(0x9E3779B97F4A7C15)
    mixed = ((codes[:-2] * odd + codes[1:-1]) * odd + codes[2:]) * odd
    lengths = np.array([len(text) + 1 for text in texts])
    return (mixed[: lengths.sum()] >> np.uint64(48)).astype(np.int64), lengths


@dataclass(frozen=True, slots=True)
class Run:
    """Rows ``first`` to ``last``, whose right targets stand ``by`` rows further down."""

    first: int
    last: int
    by: int


def shifted(batches: Sequence[Any], *, by_character: tuple[bool, bool]) -> list[Run]:
    """Runs of rows whose source belongs to the target of another row near by.

    Each target word has a random direction, a text the sum of its words', a source word the sum of
    the texts that it was seen with (random indexing: Kanerva, Kristoferson and Holst 2000). A
    source then points where its target points; it is judged by the other pairs alone.
    """
    source = _Words.of(batches, "source", by_character[0])
    target = _Words.of(batches, "target", by_character[1])
    if len(source.starts) <= 2 * _WINDOW:
        return []
    fits = _fits(source, target, belongs=0)
    if fits.mean < fits.deviation:  # hardly better than chance: are all of them shifted?
        others = (_fits(source, target, belongs=by) for by in (-2, -1, 1, 2))
        fits = max((fits, *others), key=lambda found: found.mean)
    return list(_runs(fits))


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one side, as buckets."""

    ids: Numbers
    starts: Numbers
    """Where each text begins, and the end, [rows + 1]."""

    @classmethod
    def of(cls, batches: Sequence[Any], name: str, by_character: bool) -> _Words:
        cut = _trigrams if by_character else _words
        ids, lengths = zip(*(cut(batch.column(name)) for batch in batches), strict=True)
        starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return cls(np.concatenate([part.astype(np.uint16) for part in ids]), starts)

    def within(self, first: int, last: int) -> tuple[Numbers, Numbers, Numbers]:
        """The words of some rows, the row of each counted from ``first``, each text's first."""
        starts = self.starts[first : last + 1] - self.starts[first]
        rows = np.repeat(np.arange(last - first), np.diff(starts))
        return self.ids[self.starts[first] : self.starts[last]], rows, starts[:-1]

    def weights(self) -> tuple[Numbers, Numbers]:
        """How often each bucket was seen, and how much it tells (inverse frequency)."""
        counts = np.bincount(self.ids, minlength=_BUCKETS)
        rows = len(self.starts) - 1
        return counts, np.log1p(rows / np.maximum(1, counts)).astype(np.float32)


def _words(column: Column) -> tuple[Numbers, Numbers]:
    """Buckets of all words, in lower case and without punctuation, and how many each text has."""
    spaced = pc.replace_substring_regex(pc.utf8_lower(column), "[\\s\\pP]+", " ")
    lists = pc.split_pattern(pc.utf8_trim_whitespace(spaced), " ")
    words = pc.dictionary_encode(pc.list_flatten(lists))
    buckets = [zlib.crc32(word.encode()) % _BUCKETS for word in words.dictionary.to_pylist()]
    return np.array(buckets)[words.indices.to_numpy()], pc.list_value_length(lists).to_numpy()


@dataclass(frozen=True, slots=True)
class _Fits:
    """How well the source of each row fits the target so many rows further, [2 F + 1, rows]."""

    scores: Numbers
    mean: float
    """Of the pairs that were learned from, each judged by the others."""
    deviation: float
    """Standard deviation of pairs that do not belong together."""


def _fits(source: _Words, target: _Words, belongs: int) -> _Fits:
    """Learn from the pairs of each source with the target ``belongs`` rows further."""
    rows = len(source.starts) - 1
    seen, tells = target.weights()
    random = np.random.default_rng(0).standard_normal((_BUCKETS, _WIDTH), np.float32)
    directions = random * tells[:, None]
    middle = seen.astype(np.float32) @ directions / rows

    def pointing(first: int, last: int) -> Numbers:
        """Unit vectors of targets, [N, D]; zero where there is no such row."""
        low, high = max(0, first), min(rows, last)
        ids, _, starts = target.within(low, high)
        vectors = _unit(np.add.reduceat(directions[ids], starts, axis=0) - middle)
        return np.pad(vectors, ((low - first, last - high), (0, 0)))

    # The last span takes in what would be too short to look beyond.
    edges = [*range(0, max(1, rows - _FARTHEST), _ROWS), rows]
    spans = list(pairwise(edges))
    studied = spans[:: max(1, rows // _ENOUGH)]
    learned = np.zeros((_BUCKETS, _WIDTH), np.float32)
    for first, last in studied:
        ids, of, _ = source.within(first, last)
        points = pointing(first + belongs, last + belongs)
        for axis in range(_WIDTH):
            learned[:, axis] += np.bincount(ids, points[of, axis], _BUCKETS)
    seen, tells = source.weights()
    trust = (tells / (seen + 3))[:, None]
    scores = np.zeros((2 * _FARTHEST + 1, rows), np.float16)
    chance = []
    for first, last in spans:
        ids, of, starts = source.within(first, last)
        near = pointing(first - _FARTHEST, last + _FARTHEST)
        own = near[_FARTHEST + belongs :][: last - first]
        others = learned[ids] - own[of] if (first, last) in studied else learned[ids]
        meant = _unit(np.add.reduceat(others * trust[ids], starts, axis=0))
        for by in range(2 * _FARTHEST + 1):
            scores[by, first:last] = (meant * near[by : by + last - first]).sum(1)
        chance.append((meant * np.roll(own, len(own) // 2, axis=0)).sum(1))
    mean = float(scores[_FARTHEST + belongs].mean(dtype=np.float64))
    return _Fits(scores, mean, float(np.concatenate(chance).std()))


def _unit(vectors: Numbers) -> Numbers:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Numbers = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-6)
    return unit


def _runs(fits: _Fits) -> Iterator[Run]:
    """Runs in which another shift fits much better than none, in a window of rows."""
    rows = fits.scores.shape[1]
    best, by = np.zeros(rows - _WINDOW + 1), np.zeros(rows - _WINDOW + 1, np.int8)
    for shift in range(2 * _FARTHEST + 1):
        sums = np.cumsum(np.pad(_gains(fits, shift), (1, 0)), dtype=np.float64)
        windows = sums[_WINDOW:] - sums[:-_WINDOW]
        by[windows > best] = shift
        best = np.maximum(best, windows)
    needed = _DEVIATIONS * fits.deviation * math.sqrt(2 * _WINDOW)
    found = np.flatnonzero((best > needed) & (needed > 0))
    # Windows that touch and agree are one run.
    breaks = (np.diff(found) > _WINDOW) | (np.diff(by[found]) != 0)
    for group in np.split(found, np.flatnonzero(breaks) + 1):
        if len(group):
            shift = int(by[group[0]])
            low, high = max(0, group[0] - _WINDOW), min(rows, group[-1] + 2 * _WINDOW)
            first, last = _greatest(_gains(fits, shift)[low:high])
            yield Run(low + first, low + last, shift - _FARTHEST)


def _gains(fits: _Fits, shift: int) -> Numbers:
    """How much better each row fits with a shift than without."""
    gains: Numbers = np.subtract(fits.scores[shift], fits.scores[_FARTHEST], dtype=np.float32)
    return gains


def _greatest(values: Numbers) -> tuple[int, int]:
    """First and last place of the stretch with the greatest sum (Kadane)."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    lowest = np.minimum.accumulate(sums)[:-1]
    last = int(np.argmax(sums[1:] - lowest))
    return int(np.argmin(sums[: last + 1])), last
