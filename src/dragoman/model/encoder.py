"""The encoder: a source sentence to one state a position.

B batch   S source   E embedding   H hidden   R rows of state   L layers
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding
from dragoman.model.recurrence import Recurrent
from dragoman.model.stack import Stack


class Encoder(nn.Module):
    """Layers of recurrence over the embedded source.

    Args:
        embedding: the source's table.
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: width E of the embeddings.
        hidden: width H of what comes out.
        layers: L.
        bidirectional: read in both directions.
        directions: ``concat`` (each direction has half of H) or ``sum`` (each has H).
        reverse: read the source from its last token to its first (Sutskever 2014, section 3.3).
        dropout, residual, layer_norm: see :class:`Stack`.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: str,
        inputs: int,
        hidden: int,
        layers: int = 1,
        bidirectional: bool = True,
        directions: str = "concat",
        reverse: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        ways = 2 if bidirectional else 1
        self.summed = bidirectional and directions == "sum"
        width = hidden // ways if bidirectional and not self.summed else hidden
        self.embedding, self.reverse = embedding, reverse
        self.layers = Stack(
            [Recurrent(cell, hidden if n else inputs, width, ways) for n in range(layers)],
            hidden,
            dropout=dropout,
            residual=residual,
            layer_norm=layer_norm,
        )

    def forward(
        self, source: Tensor, mask: Tensor, lengths: Ids | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            source: ids [B, S].
            mask: [B, S], false on padding.
            lengths: real tokens of each source, [B], if they are known.

        Returns:
            States [B, S, H] of the last layer, in the order of ``source``, and the final state of
            every layer [B, R x L, H]: the rows of layer 0, then those of layer 1, ...
        """
        order = _reversal(mask) if self.reverse else None
        if order is not None:
            source = source.gather(1, order)
        if lengths is None:
            lengths = mask.sum(1).cpu().numpy()
        known = mask if (lengths < mask.shape[1]).any() else None  # None spares work
        x = self.embedding(source)  # [B, S, E]
        finals = []
        for number, layer in enumerate(self.layers):
            y, final = layer.scan(self.layers.enter(x, number), mask=known, lengths=lengths)
            if self.summed:
                y, final = torch.add(*y.chunk(2, -1)), torch.add(*final.chunk(2, -1))
            x = self.layers.leave(x, y, number)
            finals.append(final)
        if order is not None:
            x = x.gather(1, order.unsqueeze(-1).expand_as(x))
        return x, torch.cat(finals, 1)


def _reversal(mask: Tensor) -> Tensor:
    """Indices that turn the real part of each row around, [B, S]; their own inverse."""
    position = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    length = mask.sum(1, keepdim=True)
    return torch.where(mask, length - 1 - position, position)
