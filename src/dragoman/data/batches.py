"""Batches of padded ids as tensors.

B batch   S source   T target
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor

from dragoman.data.source import IdPair, pad
from dragoman.data.tokenizer import BOS, EOS, Ids

Item = TypeVar("Item")
_BY_PAIR = ("source", "source_mask", "target_in", "target_out", "target_mask", "copies")


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
    lengths: Ids
    """Real tokens of each source, [B]; a NumPy array, which never moves to a GPU."""
    real: Tensor
    """Indices of the real targets in the flattened ``target_out``, [N]."""
    target_tokens: int
    """Real target tokens, end tokens included."""

    def to(self, device: torch.device) -> Self:
        """This batch with its tensors on ``device``."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """This batch with ``change`` applied to each of its tensors."""
        changed: dict[str, Any] = {n: change(getattr(self, n)) for n in (*_BY_PAIR, "real")}
        return replace(self, **changed)

    def split(self, parts: int) -> list["Batch"]:
        """The batch in ``parts`` batches of about the same number of pairs."""
        if parts == 1:
            return [self]
        pieces = (getattr(self, name).tensor_split(parts) for name in _BY_PAIR)
        return [make_batch(*piece) for piece in zip(*pieces, strict=True)]


def make_batch(*sides: Tensor) -> Batch:
    """A batch from its tensors, in the order of :class:`Batch`; counts what is real in the masks.

    ``copies`` may be left out, where no word is copied.
    """
    given: dict[str, Any] = dict(zip(_BY_PAIR, sides, strict=False))
    lengths = given["source_mask"].sum(1).cpu().numpy()
    real = given["target_mask"].flatten().nonzero().squeeze(1)
    given.setdefault("copies", given["source"][:, :0])
    return Batch(**given, lengths=lengths, real=real, target_tokens=len(real))


def assemble(pairs: Iterable[IdPair]) -> Batch:
    """Make one batch of ``pairs``."""
    sources, targets = zip(*pairs, strict=True)
    source, source_mask = pad([one.ids for one in sources], last=EOS)
    target_in, target_mask = pad(targets, first=BOS)
    target_out, _ = pad(targets, last=EOS)
    copies, _ = pad([one.copies for one in sources])
    arrays = (source, source_mask, target_in, target_out, target_mask, copies)
    return make_batch(*map(torch.from_numpy, arrays))


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield ``items``; a thread makes the next one while the caller uses the one before.

    An error in making an item is raised when that item is asked for. The thread ends with the
    iterator.
    """
    coming, end = iter(items), cast(Any, object())
    with ThreadPoolExecutor(1, "batches") as thread:
        made = thread.submit(next, coming, end)
        while (item := made.result()) is not end:
            made = thread.submit(next, coming, end)
            yield item
