"""Plans which pairs make each batch of an epoch.

A plan depends on the corpus, the seed and the epoch only. To resume in the middle of an epoch, the
plan is made again and the batches that were done are skipped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.config.options import TrainingOptions
from dragoman.errors import DataError

Rows = npt.NDArray[np.int64]
Plan = list[Rows]
"""The rows of each batch of an epoch."""
Lengths = npt.NDArray[np.int32]
Buckets = Sequence[tuple[int, int]]

LONGEST_SOURCE = 4
"""Most source positions of a batch, as a multiple of its target positions."""
MOST_PADDING = 0.25
"""Largest share of a batch's source positions that is padding; the batch ends before it grows."""
LEAST_FILLED = 0.25
"""A batch that holds less than this share of ``batch_tokens`` may have more padding."""


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


def plan_epoch(source: Lengths, target: Lengths, options: TrainingOptions, *, epoch: int) -> Plan:
    """The batches of one epoch, as ``options.batching`` asks for them.

    Args:
        source, target: tokens of each pair, end tokens not counted.
        options: the kind and the size of batches, and the seed of their order.
        epoch: with the seed it decides the order.

    Raises:
        DataError: no pair fits a bucket.
    """
    seed, count = options.seed, options.batch_sentences
    if options.batching == "buckets":
        return plan_buckets(source, target, options.buckets, count, seed=seed, epoch=epoch)
    if options.batching == "sentences":
        return plan_batches(source, target, sentences=count, seed=seed, epoch=epoch)
    assert not isinstance(options.batch_tokens, str), "resolve options first"
    return plan_batches(source, target, options.batch_tokens, seed=seed, epoch=epoch)


def draw_rows(groups: Sequence[Group], *, seed: int, epoch: int) -> Rows:
    """The rows of one epoch: those of each group as often as its weight says.

    A weight of 2.3 has all rows of the group twice, and 30 % of them a third time, drawn at random.

    Args:
        groups: of the corpus, in the order of its rows.
        seed, epoch: decide the draws.
    """
    drawn, start = list[Rows](), 0
    for number, group in enumerate(groups):
        passes, rest = divmod(group.drawn, max(1, group.rows))
        order = np.random.default_rng((seed, epoch, number)).permutation(group.rows)
        drawn.append(start + np.append(np.tile(np.arange(group.rows), passes), order[:rest]))
        start += group.rows
    return np.concatenate(drawn)


def plan_batches(
    source: Lengths, target: Lengths, tokens: int = 0, *, sentences: int = 0, seed: int, epoch: int
) -> Plan:
    """Group all pairs into batches of like lengths, in random order.

    Args:
        source, target: tokens of each pair, end tokens not counted.
        tokens: most target positions of a batch, padding and end tokens included; a single
            longer pair is a batch of its own.
        sentences: pairs of a batch, whatever their tokens; one batch holds fewer when this does
            not divide the number of pairs. 0: ``tokens`` decides.
        seed, epoch: decide the order.
    """
    random = np.random.default_rng((seed, epoch))
    order = _by_length(source, target, random)
    source, target = source[order] + 1, target[order] + 1
    batches, start = [], 0
    while start < len(order):
        end = start + (sentences or _take(source[start:], target[start:], tokens))
        batches.append(order[start:end])
        start = end
    return [batches[i] for i in random.permutation(len(batches))]


def plan_buckets(
    source: Lengths, target: Lengths, buckets: Buckets, count: int, *, seed: int, epoch: int
) -> Plan:
    """Draw a bucket uniformly and ``count`` different pairs from it, for each batch.

    An epoch has as many batches as would hold every pair once. Pairs that fit no bucket are not
    used.

    Args:
        source, target: tokens of each pair, end tokens not counted.
        buckets: most source and target tokens of each; a pair belongs to the first that it fits.
        count: pairs a batch, or all of a smaller bucket.
        seed, epoch: decide the draws.

    Raises:
        DataError: no pair fits any bucket.
    """
    random = np.random.default_rng((seed, epoch))
    fits = [(source <= s) & (target <= t) for s, t in buckets]
    first = np.where(np.any(fits, axis=0), np.argmax(fits, axis=0), -1)
    members = [np.flatnonzero(first == number) for number in np.unique(first[first >= 0])]
    if not members:
        raise DataError("no pair fits a bucket", cure="raise training.buckets")
    steps = -(-sum(map(len, members)) // count)
    drawn = [members[i] for i in random.integers(len(members), size=steps)]
    return [random.choice(rows, min(count, len(rows)), replace=False) for rows in drawn]


def _by_length(source: Lengths, target: Lengths, random: np.random.Generator) -> Rows:
    """Sort by target length, then by source length, ties at random.

    Source lengths rise and fall in turn, so that neighbours have like sources also where the target
    length changes.
    """
    snake = np.where(target % 2 == 0, source, -source)
    return np.lexsort((random.random(len(source)), snake, target))


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
