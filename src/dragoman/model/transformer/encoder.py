"""The Transformer encoder: layers of self-attention over the embedded source.

B batch   S source   H width of embeddings and states
"""

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding
from dragoman.model.protocols import Record, discard
from dragoman.model.transformer.layer import Layer, positioned


class TransformerEncoder(nn.Module):
    """Layers of self-attention, and a normalisation at their end.

    Args:
        embedding: the source's table.
        layers: from the lowest, without cross-attention.
    """

    def __init__(self, embedding: Embedding, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        self.norm = nn.LayerNorm(embedding.weight.shape[1])

    def forward(
        self, source: Tensor, mask: Tensor, lengths: Ids | None = None, record: Record = discard
    ) -> tuple[Tensor, Tensor]:
        """Encode; see :class:`dragoman.model.protocols.Encoder` for the arguments.

        Returns:
            States [B, S, H] of the last layer; and as the summary their mean over real positions,
            [B, 1, H], for a recurrent decoder's first state.
        """
        padding = ~mask.unsqueeze(1)
        x = positioned(self.embedding, source, torch.arange(mask.shape[1], device=mask.device))
        record("source embeddings", "B S E", x)
        for number, layer in enumerate(self.layers, 1):
            x, _ = layer(x, partial(layer.attention, barred=padding))
            record(f"encoder layer {number}", "B S H", x)
        x = self.norm(x)
        real = mask.unsqueeze(-1).to(x.dtype)
        summary = (x * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        record("encoder states", "B S H", x)
        record("encoder final", "B K H", summary)
        return x, summary
