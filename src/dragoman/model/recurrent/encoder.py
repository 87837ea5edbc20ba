"""The recurrent encoder: a source sentence to one state a position.

B batch   S source   E embedding   H hidden   R rows of state   L layers
"""

import torch
from torch import Tensor, nn

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding
from dragoman.model.linear import Maker
from dragoman.model.protocols import Record, discard
from dragoman.model.recurrent.layer import StackOptions, layers_of, stack


class RecurrentEncoder(nn.Module):
    """Layers of recurrence over the embedded source.

    Args:
        embedding: the source's table.
        options: of its layers.
        bidirectional: read in both directions.
        directions: ``concat`` (each direction has half of H) or ``sum`` (each has H).
        reverse: read the source from its last token to its first (Sutskever 2014, section 3.3).
    """

    def __init__(
        self,
        embedding: Embedding,
        options: StackOptions,
        *,
        bidirectional: bool = True,
        directions: str = "concat",
        reverse: bool = False,
    ) -> None:
        super().__init__()
        ways = 2 if bidirectional else 1
        self.summed = bidirectional and directions == "sum"
        width = options.hidden if self.summed else options.hidden // ways
        self.embedding, self.reverse = embedding, reverse
        self.layers = stack(options, embedding.weight.shape[1], width, ways)

    def forward(
        self,
        source: Tensor,
        mask: Tensor,
        lengths: Ids | None = None,
        make: Maker | None = None,
        record: Record = discard,
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
        padded = mask if (lengths < mask.shape[1]).any() else None  # None spares work
        x = self.embedding(source)  # [B, S, E]
        record("source embeddings", "B S E", x)
        finals = []
        for number, layer in enumerate(layers_of(self.layers), 1):
            y, final = layer.scan(layer.enter(x), mask=padded, lengths=lengths, make=make)
            for direction, one in enumerate(y.chunk(layer.directions, -1)):
                way = ("forward", "backward")[direction]
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
    length = mask.sum(1, keepdim=True)
    return torch.where(mask, length - 1 - position, position)
