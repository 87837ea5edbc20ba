"""Pairs that do not belong together: sides exchanged, lines shifted.

Nothing is known of the languages: what is usual is learned from the corpus, so that a few wrong
pairs stand out against the rest.

    N rows   W words of all rows   D width of a vector   F farthest shift
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from dragoman.data.check.columns import Corpus, Counts, Numbers
from dragoman.data.check.report import Finding, Rows, counted, excerpt

_HASHES, _WIDTH, _FARTHEST, _WINDOW = 1 << 16, 32, 5, 10
_NEAR = 200
"""Windows that find the same shift so few rows apart are of one run."""
_ONE_LANGUAGE = 0.7
"""Where so much of the targets' words are words of the sources, both are of one language."""
_SURE = 4.0
"""Log-odds from which a text clearly belongs to a side."""
_DEVIATIONS = 5.0
"""How far a shift must fit better than none, in standard deviations of pairs drawn at random."""


class _Words(NamedTuple):
    """The words of one side, or its trigrams of characters."""

    ids: Numbers
    """A hash of each word, [W]."""
    rows: Numbers
    """The row of each word, [W]."""
    starts: Numbers
    """The first word of each row, [N]."""

    def sums(self, table: Numbers) -> Numbers:
        """Sum of what ``table`` [hashes, D] has for the words of each row: [N, D]."""
        columns = [np.bincount(self.rows, column[self.ids]) for column in table.T]
        return np.stack(columns, axis=1).astype(np.float32)


def misplaced(corpus: Corpus) -> tuple[Finding, Finding, bool]:
    """Pairs whose parts are right, but not where they stand.

    Returns:
        Those with exchanged sides, those of shifted lines, and whether the two sides are of two
        languages: with one language on both, neither can be told.
    """
    wrong, two_languages = np.zeros(0, np.int64), False
    source, target = corpus.source.words, corpus.target.words
    if sum(n for word, n in target.items() if word in source) < _ONE_LANGUAGE * target.total():
        wrong, two_languages = _swapped(*_cut(corpus, _trigrams, _trigrams))
    runs: list[tuple[int, int, int]] = []
    # With one language on both sides, a text is likest to itself: dialogues would seem shifted.
    if two_languages and len(corpus.lines) > 2 * _WINDOW:
        units = (_trigrams if _unspaced(c) else _words for c in (corpus.source, corpus.target))
        runs = list(_shifted(*_cut(corpus, *units)))
    starts = np.array([first for first, _, _ in runs], np.int64)
    rows = np.concatenate([starts[:0], *(np.arange(first, last + 1) for first, last, _ in runs)])

    def elsewhere(row: int) -> str:
        last, by = next((last, by) for first, last, by in runs if first <= row <= last)
        far, way = counted(abs(by), "line"), "down" if by > 0 else "up"
        return f"to line {corpus.lines[last]}: the right target stands {far} further {way}"

    swapped = corpus.finding("swapped sides", wrong, lambda row: excerpt(corpus.text(row)[0]))
    shifted = corpus.finding("shifted lines", starts, elsewhere, fixed=rows)
    return swapped, replace(shifted, count=len(rows)), two_languages


def _cut(corpus: Corpus, *units: Callable[[Any], tuple[Numbers, Numbers]]) -> Iterator[_Words]:
    """Both sides in ``units``: a function each that cuts a column."""
    for side, cut in zip(("source", "target"), units, strict=True):
        ids, lengths = zip(*(cut(batch.column(side)) for batch in corpus.batches), strict=True)
        each = np.concatenate(lengths)
        rows = np.repeat(np.arange(len(each)), each)
        yield _Words(np.concatenate(ids), rows, np.cumsum(each) - each)


def _unspaced(side: Counts) -> bool:
    """White space does not cut these texts into words that would come again."""
    tokens = sum(side.tokens)
    return tokens < 1.5 * len(side.tokens) or sum(side.characters) > 20 * tokens


def _trigrams(column: Any) -> tuple[Numbers, Numbers]:
    """Hashes of all trigrams of characters, and how many each text has."""
    texts = column.to_pylist()
    codes = np.frombuffer("\0".join(["", *texts, "", ""]).encode("utf-32-le"), np.uint32)
    codes, odd = codes.astype(np.uint64), np.uint64(0x9E3779B97F4A7C15)
    mixed = ((codes[:-2] * odd + codes[1:-1]) * odd + codes[2:]) * odd
    lengths = np.array([len(text) + 1 for text in texts])
    return (mixed[: lengths.sum()] >> np.uint64(48)).astype(np.uint16), lengths


def _words(column: Any) -> tuple[Numbers, Numbers]:
    """Hashes of all words, in lower case and without punctuation, and how many each text has."""
    spaced = pc.replace_substring_regex(pc.utf8_lower(column), "[\\s\\pP]+", " ")
    lists = pc.split_pattern(pc.utf8_trim_whitespace(spaced), " ")
    words = pc.dictionary_encode(pc.list_flatten(lists))
    hashes = [zlib.crc32(word.encode()) % _HASHES for word in words.dictionary.to_pylist()]
    ids = np.array(hashes, np.uint16)[words.indices.to_numpy()]
    return ids, pc.list_value_length(lists).to_numpy()


def _swapped(*sides: _Words) -> tuple[Rows, bool]:
    """Rows whose source reads like the targets and whose target like the sources.

    Naive Bayes on trigrams of characters, each text judged by the others.
    """
    counts = np.stack([np.bincount(side.ids, minlength=_HASHES) for side in sides])
    prior = math.log(counts[0].sum() / counts[1].sum())
    odds = []
    for number, side in enumerate(sides):
        seen = [counts[n][side.ids] - (n == number) + 0.5 for n in (0, 1)]
        odds.append(np.add.reduceat(np.log(seen[0] / seen[1]) - prior, side.starts))
    wrong = (odds[0] < -_SURE) & (odds[1] > _SURE)
    right = (odds[0] > _SURE) & (odds[1] < -_SURE)
    if (wrong | right).mean() <= 0.9 or wrong.mean() >= 0.3:
        return np.zeros(0, np.int64), False
    # Once more without both texts of the pair: then it is right when its sides are exchanged.
    rows = []
    for row in np.flatnonzero(wrong).tolist():
        texts = [side.ids[slice(*np.searchsorted(side.rows, (row, row + 1)))] for side in sides]
        rest = counts - [np.bincount(text, minlength=_HASHES) for text in texts] + 0.5
        source, target = ((np.log(rest[0] / rest[1])[text] - prior).sum() for text in texts)
        rows += [row] if source < -_SURE and target > _SURE else []
    return np.array(rows, np.int64), True


def _shifted(source: _Words, target: _Words) -> Iterator[tuple[int, int, int]]:
    """First and last row of runs whose right targets stand some rows further, and how many.

    Each target word has a random direction, a text the sum of its words', a source word the sum of
    the texts that it was seen with (random indexing: Kanerva, Kristoferson and Holst 2000). A
    source then points where its target points; it is judged by the other pairs alone.
    """
    rows, seen = len(target.starts), np.bincount(target.ids, minlength=_HASHES)
    directions = np.random.default_rng(0).standard_normal((_HASHES, _WIDTH), np.float32)
    directions *= np.log1p(rows / np.maximum(1, seen))[:, None]
    points = _unit(target.sums(directions) - seen @ directions / rows)
    fits, mean, deviation = _fits(source, points, belongs=0)
    if mean < deviation:  # hardly better than chance: are all of them shifted?
        tried = (_fits(source, points, belongs=by) for by in (0, -2, -1, 1, 2))
        fits, mean, deviation = max(tried, key=lambda found: found[1])
    return _runs(fits, _DEVIATIONS * deviation * math.sqrt(2 * _WINDOW))


def _fits(source: _Words, points: Numbers, belongs: int) -> tuple[Numbers, float, float]:
    """How well each source fits the target so many rows further, [2 F + 1, N].

    Learned from the pairs of each source with the target ``belongs`` rows further. The second
    value is the mean fit of these, each judged by the others; the third the standard deviation of
    the fit of pairs that do not belong together.
    """
    around = np.pad(points, ((_FARTHEST, _FARTHEST), (0, 0)))
    near = [around[by : by + len(points)] for by in range(2 * _FARTHEST + 1)]
    own, seen = near[_FARTHEST + belongs], np.bincount(source.ids, minlength=_HASHES)
    learned = [np.bincount(source.ids, column[source.rows], _HASHES) for column in own.T]
    trust = np.log1p(len(points) / np.maximum(1, seen)) / (seen + 3)
    meant = source.sums(np.stack([*learned, np.ones(_HASHES)], axis=1) * trust[:, None])
    meant = _unit(meant[:, :-1] - own * meant[:, -1:])
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
