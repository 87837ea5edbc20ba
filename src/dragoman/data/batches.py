"""Batches of ids: planned in NumPy for a whole epoch, assembled one at a time.

    B batch   S source   T target

A plan is a function of the corpus, the seed and the epoch alone: to resume in the middle of an
epoch, make the plan again and skip what was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.corpus import Corpus
from dragoman.data.tokenizer import BOS, EOS, PAD, Ids

Rows = npt.NDArray[np.int64]

LONGEST_SOURCE = 4
"""Most source positions of a batch, as a multiple of its target positions."""
MOST_PADDING = 0.25
"""A batch is cut before more of its source positions than this are padding, ..."""
LEAST_FILLED = 0.25
"""... unless it would hold less than this share of the tokens it may hold."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded ids of B pairs.

    ``source`` [B, S] ends in the end token; ``target_in`` [B, T] starts with the begin token and
    ``target_out`` [B, T] ends in the end token. Masks are false on padding.
    """

    source: Tensor
    source_mask: Tensor
    target_in: Tensor
    target_out: Tensor
    target_mask: Tensor
    target_tokens: int
    """Real target tokens, end tokens included."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in ("source", "source_mask", "target_in", "target_out", "target_mask")
        }
        return replace(self, **moved)


def plan_batches(
    source_lengths: npt.NDArray[np.int32],
    target_lengths: npt.NDArray[np.int32],
    batch_tokens: int,
    *,
    seed: int,
    epoch: int,
) -> list[Rows]:
    """Group all pairs into batches of like lengths, in random order.

    Pairs are sorted by target length, within it by source length (falling and rising in turn, so
    that neighbours stay alike across its steps), ties at random; then cut greedily.

    Args:
        source_lengths: tokens of each source, end token not counted.
        target_lengths: the same of the targets.
        batch_tokens: most target positions of a batch, padding and end tokens included; a single
            longer pair is a batch of its own.
        seed, epoch: decide the order.

    Returns:
        The rows of each batch.
    """
    random = np.random.default_rng((seed, epoch))
    snake = np.where(target_lengths % 2 == 0, source_lengths, -source_lengths)
    order = np.lexsort((random.random(len(source_lengths)), snake, target_lengths))
    source, target = source_lengths[order] + 1, target_lengths[order] + 1
    batches, start = [], 0
    while start < len(order):
        end = start + _take(source[start:], target[start:], batch_tokens)
        batches.append(order[start:end])
        start = end
    return [batches[i] for i in random.permutation(len(batches))]


def _take(source: npt.NDArray[np.int32], target: npt.NDArray[np.int32], batch_tokens: int) -> int:
    """How many of the next pairs (``target`` rising) make one batch."""
    window = max(1, batch_tokens // int(target[0]))
    source, target = source[:window], target[:window]
    count = np.arange(1, len(target) + 1)
    positions = count * target  # target rises: the last is the longest
    fits = max(1, int(np.searchsorted(positions, batch_tokens, side="right")))
    padded = count * np.maximum.accumulate(source)
    # A long source with a short target must not bring hundreds of its kind.
    fits = max(1, min(fits, int(np.searchsorted(padded, LONGEST_SOURCE * batch_tokens, "right"))))
    padding = 1 - np.cumsum(source) / padded
    bad = np.flatnonzero((padding > MOST_PADDING) & (positions > LEAST_FILLED * batch_tokens))
    return min(fits, int(bad[0])) if len(bad) and bad[0] else fits


def pad(
    rows: Sequence[Ids], *, first: int | None = None, last: int | None = None, multiple: int = 1
) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor.

    Args:
        rows: ids of each sequence.
        first: a token put before each.
        last: a token put after each.
        multiple: the width is rounded up to a multiple of this.

    Returns:
        Ids [B, width], padded at the end, and the mask of what is real.
    """  # fmt: skip
    before, after = int(first is not None), int(last is not None)
    lengths = np.array([len(row) for row in rows]) + before + after
    width = -(-int(lengths.max()) // multiple) * multiple
    ids = np.full((len(rows), width), PAD, dtype=np.int64)
    if first is not None:
        ids[:, 0] = first
    for place, row in zip(ids, rows, strict=True):
        place[before : before + len(row)] = row
    if last is not None:
        ids[np.arange(len(rows)), lengths - 1] = last
    mask = np.arange(width) < lengths[:, None]
    return torch.from_numpy(ids), torch.from_numpy(mask)


def assemble(corpus: Corpus, rows: Rows) -> Batch:
    """Read the pairs of one batch from the corpus."""
    sources, targets = zip(*(corpus.pair(int(row)) for row in rows), strict=True)
    source, source_mask = pad(sources, last=EOS)
    target_in, target_mask = pad(targets, first=BOS)
    target_out, _ = pad(targets, last=EOS)
    return Batch(source, source_mask, target_in, target_out, target_mask, int(target_mask.sum()))
