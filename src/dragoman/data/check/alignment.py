"""Pairs that do not belong together: sides exchanged, lines shifted.

Nothing is known of the languages: what is usual is learned from the corpus, so that a few wrong
pairs stand out against the rest. Words are not needed: texts are cut into trigrams of characters.

    N rows   W trigrams of all rows   H hashes   D width of a vector   F farthest shift   B blocks
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dragoman.data.check.columns import Corpus, Numbers
from dragoman.data.check.report import Finding, Rows, excerpt
from dragoman.data.pairs import counted

_HASHES, _FARTHEST, _BLOCK = 1 << 16, 5, 8
_WIDE, _NARROW, _MANY = 128, 32, 12_000
"""Width of a vector: the first up to so many rows, where each must tell more; else the second."""
_FEWEST = 20
"""Shifts are not looked for in so few rows."""
_ONE_LANGUAGE = 0.7
"""Share of common words from which both sides are taken to be of one language."""
_SURE = 4.0
"""Log-odds from which a text clearly belongs to a side."""
_CHANGE = 30.0
"""Log-odds by which a change of the shift must explain the rows better."""
_UNSURE = 12.0
"""Log-odds up to which another place of a change is as likely."""
_ROUNDS = 6
"""Most times that shifts are looked for with what was learned from pairs put right."""


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
    shifts, takes = np.zeros_like(every), every
    source, target = corpus.source.words, corpus.target.words
    if (source & target).total() < _ONE_LANGUAGE * target.total():
        sides = _trigrams(corpus.source.texts), _trigrams(corpus.target.texts)
        wrong, two_languages = _swapped(*sides)
        # With one language on both sides, a text is likest to itself: dialogues would seem shifted.
        if two_languages and len(every) > _FEWEST:
            shifts, takes = _shifted(len(every), *sides)
    changes = np.flatnonzero(np.diff(shifts, prepend=0, append=0))

    def run(first: int) -> str:
        last = int(changes[np.searchsorted(changes, first, "right")]) - 1
        far, way = counted(abs(int(shifts[first])), "line"), "down" if shifts[first] > 0 else "up"
        return f"to line {corpus.lines[last]}: the right target stands {far} further {way}"

    def moved(row: int) -> str:
        taken = f"takes the target of line {corpus.lines[takes[row]]}"
        return taken if takes[row] >= 0 else "no target near it is surely its own"

    rows, starts = np.flatnonzero(takes != every), changes[:-1]
    swapped = corpus.finding("swapped sides", wrong, lambda row: excerpt(corpus.text(row)[0]))
    shifted = corpus.finding("shifted lines", starts[shifts[starts] != 0], run, rows)
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


def _swapped(*sides: _Trigrams) -> tuple[Rows, bool]:
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


def _shifted(size: int, source: _Trigrams, target: _Trigrams) -> tuple[Rows, Rows]:
    """Find the rows whose right targets stand some rows further.

    Each trigram of the targets has a random direction, a text the sum of its trigrams', a trigram
    of the sources the sum of the texts that it was seen with (random indexing: Kanerva,
    Kristoferson and Holst 2000). A source then points where its target points; it is judged by
    the other pairs alone. What is found is put right, and learned from in the next round.

    Returns:
        How many rows further the right target of each row stands [N]; and the row whose target
        each is to take [N]: its own, another, or -1 where none near it is surely right.
    """
    width = _WIDE if size < _MANY else _NARROW
    directions = np.random.default_rng(0).standard_normal((_HASHES, width), np.float32)
    directions *= np.log1p(size / np.maximum(1, target.seen))[:, None]
    points = _unit(target.sums(directions) - target.seen @ directions / size)
    every, best = np.arange(size), -math.inf
    for belongs in (0, -1, 1, -2, 2):  # are all of them shifted?
        start, at = np.full(size, belongs), _FARTHEST + belongs
        fits, chance = _fits(source, points, start)
        mean, near = fits[at].mean(), max(fits[at - 1].mean(), fits[at + 1].mean())
        if mean > best:
            best, found, shifts, weight = float(mean), fits, start, float(mean) / chance**2
        if mean > max(chance / 2, 1.3 * near):
            break
    for _ in range(_ROUNDS):
        before = shifts
        shifts, unsure = _runs(found * max(0.0, weight))
        if np.array_equal(shifts, before):
            break
        found, _ = _fits(source, points, shifts)
        own, last = _FARTHEST + shifts, len(found) - 1
        beside = found[np.maximum(own - 1, 0), every] + found[np.minimum(own + 1, last), every]
        ahead = found[own, every] - beside / 2
        weight = float(2 * ahead.mean() / max(1e-6, ahead.var()))
    fit, stays = found[_FARTHEST + shifts, every], found[_FARTHEST]
    run = np.cumsum(np.diff(shifts, prepend=shifts[:1]) != 0)
    if (np.bincount(run, fit - stays) < 0).any():
        # Learned from what was put right, a run fits worse than before: its lines are only alike.
        shifts, fit, unsure = np.zeros_like(every), stays, np.zeros(size, bool)
    takes = every + shifts
    takes[unsure | (takes < 0) | (takes >= size)] = -1
    # A target that two rows would take goes to the one that it fits better.
    most = np.full(size + 1, -np.inf)
    np.maximum.at(most, takes, fit)
    takes[fit < most[takes]] = -1
    return shifts, takes


def _fits(source: _Trigrams, points: Numbers, belongs: Numbers) -> tuple[Numbers, float]:
    """How well each source fits the target so many rows further, [2 F + 1, N].

    Learned from the pairs of each source with the target ``belongs`` [N] rows further; each is
    judged by the others. The second value is the standard deviation of the fit of pairs that do
    not belong together.
    """
    size = len(points)
    around = np.pad(points, ((_FARTHEST, _FARTHEST), (0, 0)))
    own = around[np.arange(size) + belongs + _FARTHEST]
    found = np.flatnonzero(source.seen)
    order = np.argsort(source.ids.astype(np.uint16), kind="stable")
    rows = np.repeat(np.arange(size), np.diff(source.bounds))[order]
    seen, learned = source.seen[found], np.zeros((_HASHES, points.shape[1]), np.float32)
    learned[found] = _sums(own, rows, np.cumsum(seen) - seen)
    trust = np.log1p(size / np.maximum(1, source.seen)) / (source.seen + 3)
    trust = trust.astype(np.float32)[:, None]
    meant = _unit(source.sums(learned * trust) - own * source.sums(trust))
    near = (around[by : by + size] for by in range(2 * _FARTHEST + 1))
    fits = np.stack([(meant * other).sum(1) for other in near])
    chance = (meant * np.roll(own, size // 2, axis=0)).sum(1)
    return fits, max(0.05, float(chance.std()))  # none of texts that are all alike


def _unit(vectors: Numbers) -> Numbers:
    vectors /= np.maximum(1e-6, np.linalg.norm(vectors, axis=1, keepdims=True))
    return vectors


def _runs(odds: Numbers) -> tuple[Rows, Rows]:
    """Cut the rows into runs of one shift each: the few changes that explain them best (Viterbi).

    Args:
        odds: log-odds of each shift for each row, [2 F + 1, N].

    Returns:
        The shift of each row [N], and whether the row lies where the place of a change is not
        sure [N].
    """
    size, same = odds.shape[1], np.arange(len(odds))
    blocks = np.add.reduceat(odds, np.arange(0, size, _BLOCK), axis=1).T  # [B, 2 F + 1]
    score = np.where(same == _FARTHEST, 0.0, -_CHANGE)
    origins = []
    for gain in blocks:
        top = int(score.argmax())
        stays = score >= score[top] - _CHANGE
        origins.append(np.where(stays, same, top))
        score = np.where(stays, score, score[top] - _CHANGE) + gain
    state, states = int(score.argmax()), list[int]()
    for origin in reversed(origins):
        states.append(state)
        state = int(origin[state])
    shifts, unsure = np.repeat(states[::-1], _BLOCK)[:size], np.zeros(size, bool)
    for edge in (np.flatnonzero(np.diff(shifts)) + 1).tolist():
        before, after = shifts[edge - 1], shifts[edge]
        low, high = max(0, edge - 2 * _BLOCK), min(size, edge + 2 * _BLOCK)
        # The place of the change, to the row: where the sum of both parts is greatest.
        sums = np.cumsum(np.append(0.0, odds[before, low:high] - odds[after, low:high]))
        place, likely = low + int(sums.argmax()), np.flatnonzero(sums > sums.max() - _UNSURE)
        shifts[low:place], shifts[place:high] = before, after
        unsure[low + likely[0] : low + likely[-1]] = True
    return shifts - _FARTHEST, unsure
