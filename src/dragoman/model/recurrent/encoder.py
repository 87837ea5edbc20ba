"""The recurrent encoder, and the bridge from its final state to the decoder's first.

B batch   S source   E embedding   H hidden   R rows of state   L layers
K rows of state, of the encoder (K_e) or the decoder (K_d)
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding
from dragoman.model.protocols import Record, discard
from dragoman.model.recurrent.layer import Layer


class RecurrentEncoder(nn.Module):
    """Layers of recurrence over the embedded source.

    Args:
        embedding: the source's table.
        layers: from the lowest; in two directions if it reads in both.
        summed: two directions are added up; else concatenated.
        reverse: read the source from its last token to its first (Sutskever 2014, section 3.3).
    """

    def __init__(
        self, embedding: Embedding, layers: Sequence[Layer], *, summed: bool, reverse: bool
    ) -> None:
        super().__init__()
        self.embedding, self.summed, self.reverse = embedding, summed, reverse
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))

    def forward(
        self, source: Tensor, mask: Tensor, lengths: Ids | None = None, record: Record = discard
    ) -> tuple[Tensor, Tensor]:
        """Encode; see :class:`dragoman.model.protocols.Encoder` for the arguments.

        Returns:
            States [B, S, H] of the last layer, in the order of ``source``, and the final state of
            every layer [B, R x L, H]: the rows of layer 0, then those of layer 1, ...
        """
        order = _reversal(mask) if self.reverse else None
        if order is not None:
            source = source.gather(1, order)
        if lengths is None:
            lengths = mask.sum(1).cpu().numpy()
        padded = lengths if (lengths < mask.shape[1]).any() else None  # None spares work
        x = self.embedding(source)  # [B, S, E]
        record("source embeddings", "B S E", x)
        finals = []
        for number, layer in enumerate(self.layers, 1):
            y, final = layer.scan(layer.enter(x), lengths=padded)
            ways = ("forward", "backward")[: layer.directions]
            for way, one in zip(ways, y.chunk(layer.directions, -1), strict=True):
                record(f"encoder layer {number} {way}", "B S H", one)
            if self.summed:
                y, final = torch.add(*y.chunk(2, -1)), torch.add(*final.chunk(2, -1))
            x = layer.leave(x, y)
            finals.append(final)
        if order is not None:
            x = x.gather(1, order.unsqueeze(-1).expand_as(x))
        final = torch.cat(finals, 1)
        record("encoder states", "B S H", x)
        record("encoder final", "B K H", final)
        return x, final


def _reversal(mask: Tensor) -> Tensor:
    """Indices that turn the real part of each row around, [B, S]; their own inverse."""
    position = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - position, position)


class Bridge(nn.Module):
    """The decoder's first state from the encoder's final one: [B, K_e, H] -> [B, K_d, H].

    ``copy`` hands the last layers over as they are, ``linear`` through ``tanh(W x + b)``
    (Bahdanau 2015, appendix A.2.2), ``zero`` starts from zeros. When the decoder has more layers
    than the encoder, the encoder's last layer is repeated.

    Args:
        kind: ``copy``, ``linear`` or ``zero``.
        hidden: width H.
        rows: rows of state a layer.
        encoder: layers of the encoder.
        decoder: layers of the decoder.
    """

    def __init__(self, kind: str, hidden: int, rows: int, encoder: int, decoder: int) -> None:
        super().__init__()
        self.kind = kind
        self.linear: nn.Linear | None = None
        if kind == "linear":
            self.linear = nn.Linear(hidden, hidden)
            nn.init.xavier_uniform_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        last = range(max(0, encoder - decoder), encoder)
        layers = [*last, *[encoder - 1] * max(0, decoder - encoder)]
        self.order = [layer * rows + row for layer in layers for row in range(rows)]

    def forward(self, final: Tensor) -> Tensor:
        """[B, K_e, H] -> [B, K_d, H]."""
        state = final[:, self.order]
        if self.kind == "zero":
            return torch.zeros_like(state)
        return state if self.linear is None else torch.tanh(self.linear(state))
