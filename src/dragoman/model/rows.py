"""Values with one entry a row: encoded sentences, and states of hypotheses.

B sentences   N rows   S source   M width of the encoder's states   H hidden
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """A value whose fields are tensors [N, ...]; a subclass names them."""

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]

    def __len__(self) -> int:
        return len(self._tensors()[0])

    def select(self, rows: Tensor | npt.NDArray[Any]) -> Self:
        """The entries of ``rows``, integers [N'], which may repeat or leave out any."""
        index = torch.as_tensor(rows, device=self._tensors()[0].device)
        return type(self)(*(tensor.index_select(0, index) for tensor in self._tensors()))

    def join(self, more: Self) -> Self:
        """These entries, then those of ``more``."""
        pairs = zip(self._tensors(), more._tensors(), strict=True)
        return type(self)(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class Memory(Rows):
    """What a decoder knows of B sentences."""

    states: Tensor
    """Encoder states, [B, S, M]."""
    keys: Tensor
    """What attention compares its queries with, [B, S, H]; the states themselves without it."""
    mask: Tensor
    """False on padding, [B, S]."""
    copies: Tensor
    """Ids of the source's words in the target's vocabulary, [B, S]; [B, 0] for a model that does
    not copy."""


def stacked(steps: Sequence[Tensor | None]) -> Tensor | None:
    """What T steps gave of N rows, [N, ...] each, as [N, T, ...]; None where it was None."""
    known = [step for step in steps if step is not None]
    return torch.stack(known, 1) if known else None
