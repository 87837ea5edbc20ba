"""Batches of ids as tensors, assembled from the corpus one at a time.

B batch   S source   T target
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dragoman.data.plans import Lengths, Rows
from dragoman.data.tokenizer import BOS, EOS, PAD, Ids


class IdPairs(Protocol):
    """Pairs of ids by row: a corpus on disk, or :class:`PairsInMemory`."""

    source_lengths: Lengths
    target_lengths: Lengths

    def pair(self, row: int) -> tuple[Ids, Ids, Ids]:
        """Source ids, target ids, and the source's words to copy (or none), of one row."""
        ...


class PairsInMemory:
    """A few pairs of ids, such as a test set's."""

    def __init__(
        self, sources: Sequence[Ids], targets: Sequence[Ids], copies: Sequence[Ids] = ()
    ) -> None:
        none = np.zeros(0, dtype=np.int32)
        self._pairs = list(zip(sources, targets, copies or [none] * len(sources), strict=True))
        self.source_lengths = np.array([len(ids) for ids in sources], dtype=np.int32)
        self.target_lengths = np.array([len(ids) for ids in targets], dtype=np.int32)

    def pair(self, row: int) -> tuple[Ids, Ids, Ids]:
        """Source ids, target ids, and the source's words to copy (or none), of one row."""
        return self._pairs[row]


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
    copies: Tensor
    """Ids of the source's words in the target's vocabulary, [B, S]; [B, 0] where none is copied."""
    target_tokens: int
    """Real target tokens, end tokens included."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=True)
            for name in (
                "source",
                "source_mask",
                "target_in",
                "target_out",
                "target_mask",
                "copies",
            )
        }
        return replace(self, **moved)

    def split(self, parts: int) -> list[Batch]:
        """The batch in so many parts of about the same number of pairs."""
        fields = ("source", "source_mask", "target_in", "target_out", "target_mask", "copies")
        pieces = zip(*(getattr(self, name).tensor_split(parts) for name in fields), strict=True)
        named = (dict(zip(fields, piece, strict=True)) for piece in pieces)
        return [Batch(**one, target_tokens=int(one["target_mask"].sum())) for one in named]


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


def assemble(corpus: IdPairs, rows: Rows) -> Batch:
    """Read the pairs of one batch from the corpus."""
    sources, targets, words = zip(*(corpus.pair(int(row)) for row in rows), strict=True)
    source, source_mask = pad(sources, last=EOS)
    target_in, target_mask = pad(targets, first=BOS)
    target_out, _ = pad(targets, last=EOS)
    copies, _ = pad(words)
    tokens = int(target_mask.sum())
    return Batch(source, source_mask, target_in, target_out, target_mask, copies, tokens)
