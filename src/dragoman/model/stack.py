"""Layers of recurrence one above another, and what stands between two of them.

    N positions or hypotheses   H hidden

Between two layers stand layer normalisation (Ba et al. 2016) of what enters the upper one,
dropout, and a residual connection around it (Wu et al. 2016, section 3.1):

    x' = x + RNN(dropout(norm(x)))

The first layer has none of them: its input is the embeddings, which have their own dropout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from dragoman.model.dropout import dropout
from dragoman.model.recurrence import Recurrent


class Stack(nn.ModuleList):
    """Layers of recurrence.

    Args:
        layers: from the lowest; all give the width H.
        hidden: H.
        dropout: on the input of every layer but the first.
        residual: add the input of every layer but the first to its output.
        layer_norm: normalise the input of every layer but the first.
    """

    def __init__(
        self,
        layers: Sequence[Recurrent],
        hidden: int,
        *,
        dropout: float = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__(layers)
        for layer in layers[1:]:
            layer.norm = nn.LayerNorm(hidden) if layer_norm else None
        self.dropout, self.residual = dropout, residual

    def __iter__(self) -> Iterator[Recurrent]:  # as ModuleList has it, with its type
        return cast(Iterator[Recurrent], super().__iter__())

    def enter(self, x: Tensor, number: int) -> Tensor:
        """What layer ``number`` reads of the output [..., H] of the layer below."""
        if not number:
            return x
        norm = self[number].norm
        if isinstance(norm, nn.LayerNorm):
            x = norm(x)
        return dropout(x, self.dropout, self.training)

    def leave(self, below: Tensor, x: Tensor, number: int) -> Tensor:
        """What goes up from layer ``number``, given its output and what came from ``below``."""
        return below + x if self.residual and number else x
