"""Plans which pairs make each batch of an epoch.

A plan depends on nothing but the corpus, the options, the epoch and the number of processes. To
resume in the middle of an epoch, it is made again and the batches that were done are skipped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.config.options import TrainingOptions
from dragoman.errors import DataError

Rows = npt.NDArray[np.int32]
"""Numbers of rows of a corpus."""
Plan = list[Rows]
"""The rows of each batch of an epoch."""
Lengths = npt.NDArray[np.int32]
"""Numbers of tokens, by row of a corpus."""
Buckets = Sequence[tuple[int, int]]
"""Most source and target tokens of each bucket."""

LONGEST_SOURCE = 4
"""Most source positions of a batch, as a multiple of its target positions."""
MOST_PADDING = 0.25
"""Largest share of a batch's source positions that is padding; the batch ends before it grows."""
LEAST_FILLED = 0.25
"""A batch that holds less than this share of ``batch_tokens`` may have more padding."""
WINDOW = 2**18
"""Pairs that are sorted by length at a time: all at once would take 36 bytes of memory a pair."""
ROUND = 16
"""Steps within which several processes exchange batches (:func:`side_by_side`)."""


class Group(NamedTuple):
    """Neighbouring rows of a corpus that come from one place."""

    rows: int
    """Number of rows."""
    name: str = ""
    """The file of pairs, or the folder of the model that learned from them before."""
    weight: float = 1.0
    """How often an epoch has each training pair: 2 is twice; 0.3 is 30 % of the pairs, drawn anew
    for each epoch."""

    @property
    def drawn(self) -> int:
        """Number of pairs that an epoch has."""
        return max(1, round(self.rows * self.weight)) if self.rows else 0


def plan_epoch(
    groups: Sequence[Group], *lengths: Lengths, options: TrainingOptions, epoch: int, processes: int
) -> Plan:
    """The batches of one epoch, as ``options.batching`` asks for them.

    It takes at most 16 bytes of memory a pair, and about 10 MB for the sorting.

    Args:
        groups: of the corpus, in the order of its rows; they say how often each row is used.
        lengths: tokens of each source and of each target of the corpus, end tokens not counted.
        options: the kind and the size of batches, and the seed of their order.
        epoch: with the seed it decides the order.
        processes: learn from so many neighbouring batches in one step.

    Raises:
        DataError: no pair fits a bucket.
    """
    seed, count = options.seed, options.batch_sentences
    rows, order = draw_rows(groups, seed, epoch), {"seed": seed, "epoch": epoch}
    if options.batching == "buckets":
        return plan_buckets(rows, *lengths, buckets=options.buckets, count=count, **order)
    by_count = options.batching == "sentences"
    size = {"sentences": count} if by_count else {"tokens": int(options.batch_tokens)}
    plan = plan_batches(rows, *lengths, **size, **order)
    return side_by_side(plan, *lengths, processes=processes) if processes > 1 else plan


def draw_rows(groups: Sequence[Group], seed: int, epoch: int) -> Rows:
    """The rows of one epoch: those of each group as often as its weight says.

    A weight of 2.3 has all rows of the group twice, and 30 % of them a third time, drawn at random.

    Args:
        groups: of the corpus, in the order of its rows.
        seed, epoch: decide the draws.
    """
    drawn, start = [np.zeros(0, np.int32)], 0
    for number, group in enumerate(groups):
        rows = np.arange(start, start + group.rows, dtype=np.int32)
        passes, rest = divmod(group.drawn, max(1, group.rows))
        drawn += [rows] * passes
        if rest:
            drawn.append(np.random.default_rng((seed, epoch, number)).permutation(rows)[:rest])
        start += group.rows
    return np.concatenate(drawn)


def plan_batches(
    rows: Rows, *lengths: Lengths, tokens: int = 0, sentences: int = 0, seed: int, epoch: int
) -> Plan:
    """Group rows into batches of like lengths, in random order.

    :data:`WINDOW` rows at a time, drawn at random, are sorted and cut into batches.

    Args:
        rows: the rows to group.
        lengths: tokens of each source and of each target of the corpus, end tokens not counted.
        tokens: most target positions of a batch, padding and end tokens included; a single
            longer pair is a batch of its own.
        sentences: pairs of a batch, whatever their tokens; the last batch of a window holds fewer
            when this does not divide the number of pairs. 0: ``tokens`` decides.
        seed, epoch: decide the order.
    """
    random = np.random.default_rng((seed, epoch))
    rows, batches = random.permutation(rows), []
    for first in range(0, len(rows), WINDOW):
        window, start = _by_length(rows[first : first + WINDOW], *lengths), 0
        source, target = (side[window] + 1 for side in lengths)
        while start < len(window):
            end = start + (sentences or _take(source[start:], target[start:], tokens))
            batches.append(window[start:end])
            start = end
    random.shuffle(batches)
    return batches


def plan_buckets(
    rows: Rows, *lengths: Lengths, buckets: Buckets, count: int, seed: int, epoch: int
) -> Plan:
    """Draw a bucket uniformly and ``count`` different rows from it, for each batch.

    An epoch has as many batches as would hold every row once. Pairs that fit no bucket are not
    used.

    Args:
        rows: the rows to draw from.
        lengths: tokens of each source and of each target of the corpus, end tokens not counted.
        buckets: most source and target tokens of each; a pair belongs to the first that it fits.
        count: pairs a batch, or all of a smaller bucket.
        seed, epoch: decide the draws.

    Raises:
        DataError: no pair fits any bucket.
    """
    random, (source, target) = np.random.default_rng((seed, epoch)), lengths
    first = np.full(len(source), len(buckets), np.int16)
    for number, (s, t) in reversed([*enumerate(buckets)]):
        first[(source <= s) & (target <= t)] = number
    members = [rows[first[rows] == number] for number in range(len(buckets))]
    members = [fitting for fitting in members if len(fitting)]
    if not members:
        raise DataError("no pair fits a bucket", cure="raise training.buckets")
    steps = -(-sum(map(len, members)) // count)
    drawn = [members[i] for i in random.integers(len(members), size=steps)]
    return [random.choice(some, min(count, len(some)), replace=False) for some in drawn]


def side_by_side(plan: Plan, *lengths: Lengths, processes: int) -> Plan:
    """Change the order of a plan so that ``processes`` neighbours are of like size.

    A step takes as long as the largest batch that one of the processes learns from. A batch stays
    within its :data:`ROUND` steps, so that the order is about the same for any number of them.

    Args:
        plan: the batches of an epoch.
        lengths: tokens of each source and of each target of the corpus.
        processes: learn from so many neighbouring batches in one step.
    """
    found, random = Plan(), np.random.default_rng(len(plan))
    for some in (plan[n : n + ROUND * processes] for n in range(0, len(plan), ROUND * processes)):
        whole = len(some) // processes * processes
        sizes = [len(rows) * sum(side[rows].max() for side in lengths) for rows in some[:whole]]
        steps = np.argsort(sizes, kind="stable").reshape(-1, processes)
        found += [some[n] for n in random.permutation(steps).flatten()] + some[whole:]
    return found


def _by_length(rows: Rows, source: Lengths, target: Lengths) -> Rows:
    """``rows`` sorted by target length, then by source length; ties stay in their order.

    Source lengths rise and fall in turn, so that neighbours have like sources also where the target
    length changes.
    """
    source, target = source[rows], target[rows]
    return rows[np.lexsort((np.where(target % 2 == 0, source, -source), target))]


def _take(source: Lengths, target: Lengths, tokens: int) -> int:
    """The number of pairs in the next batch; ``target`` lengths do not fall."""
    window = max(1, tokens // int(target[0]))
    source, target = source[:window], target[:window]
    count = np.arange(1, len(target) + 1)
    positions = count * target  # target rises: the last is the longest
    padded = count * np.maximum.accumulate(source)
    padding = 1 - np.cumsum(source) / padded
    too_many = positions > tokens
    # A long source with a short target must not bring hundreds of its kind.
    too_many |= padded > LONGEST_SOURCE * tokens
    too_many |= (padding > MOST_PADDING) & (positions > LEAST_FILLED * tokens)
    return max(1, int(np.argmax(np.append(too_many, True))))
