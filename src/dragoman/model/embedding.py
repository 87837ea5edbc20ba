"""Token ids to vectors.

B batch   T time   E embedding   V vocabulary
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.data.tokenizer import PAD
from dragoman.model.dropout import dropout


class Embedding(nn.Module):
    """A table of vectors, with dropout on what is read from it.

    Padding starts as zero and learns nothing here (as part of a tied output layer, it may). The
    vectors start as N(0, 1/E), so that one has length 1 at any width.
    """

    def __init__(self, vocabulary: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        self.dropout = dropout
        self.gradient: KeptGradient | None = None
        nn.init.normal_(self.weight, std=width**-0.5)
        with torch.no_grad():
            self.weight[PAD] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        """[...] ids -> [..., E]."""
        if self.gradient is not None and torch.is_grad_enabled() and self.weight.requires_grad:
            vectors = _Lookup.apply(self.weight, ids, self.gradient)  # type: ignore[no-untyped-call]
        else:
            vectors = F.embedding(ids, self.weight, padding_idx=PAD)
        return dropout(vectors, self.dropout, self.training)


class KeptGradient:
    """The gradient of a table, kept from step to step.

    A batch reads few of its rows, and only those are ever other than zero: they are made zero
    again, instead of a new table of zeros for every step. It takes the place of autograd's own sum,
    and so serves a table that nothing else learns from, in one process.
    Whoever scales it must scale by a finite number, which leaves zeros alone.
    """

    def __init__(self, weight: Tensor) -> None:
        self.sums = torch.zeros_like(weight)
        self.read: list[Tensor] = []
        """The ids [N] that rows of the sums were added for."""

    def add(self, weight: Tensor, ids: Tensor, gradient: Tensor) -> None:
        """Add rows [N, E] to ``weight.grad``; begin at zero where that is None."""
        if weight.grad is None:
            for before in self.read:
                self.sums[before] = 0.0
            self.read, weight.grad = [], self.sums
        weight.grad.index_add_(0, ids, gradient)
        weight.grad[PAD] = 0.0
        self.read.append(ids)


class _Lookup(torch.autograd.Function):
    """Rows of a table whose gradient is kept."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, gradient: KeptGradient) -> Tensor:
        """[V, E] and ids [...] -> [..., E]."""
        ctx.found = weight, ids, gradient
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None]:
        """Adds to ``weight.grad`` by itself."""
        weight, ids, gradient = ctx.found
        gradient.add(weight, ids.flatten(), grads[0].flatten(0, -2).to(weight.dtype))
        return None, None, None
