"""The Transformer decoder: layers of self-attention over the target and attention to the source.

    B batch   N hypotheses   T target   S source   P places of the cache   L layers   A heads
    H width of embeddings and states

:meth:`TransformerDecoder.unroll` reads whole known targets; :meth:`TransformerDecoder.stepper`
reads one token of every hypothesis, and keeps the keys and values of all earlier tokens in a cache.
Both compute the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.attention import Attend, of_hypotheses
from dragoman.model.embedding import Embedding
from dragoman.model.protocols import Cells, Features, Memory, Record, Rows, Step, Stepper, discard
from dragoman.model.transformer.encoder import Found, Layer, linear, positioned


@dataclass(frozen=True)
class TransformerState(Rows):
    """The cache of N hypotheses, which may have read different numbers of tokens."""

    past: Tensor
    """Keys and values of every layer, [N, 2L, P, H]; zeros where no token was read."""
    lengths: Tensor
    """Number of tokens read, [N]."""

    def join(self, more: Self) -> Self:
        """The entries of this value, then those of ``more``; the smaller cache is filled up."""
        places = max(self.past.shape[2], more.past.shape[2])
        pasts = [F.pad(one.past, (0, 0, 0, places - one.past.shape[2])) for one in (self, more)]
        return type(self)(torch.cat(pasts), torch.cat((self.lengths, more.lengths)))


class TransformerDecoder(nn.Module):
    """Layers of self-attention and cross-attention, and a normalisation at their end.

    Args:
        embedding: the target's table.
        layers: from the lowest, with cross-attention.
    """

    attends = True

    def __init__(self, embedding: Embedding, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        width = embedding.weight.shape[1]
        self.memory = linear(width, width, 2 * len(layers))  # keys and values
        self.norm = nn.LayerNorm(width)

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor) -> Memory:
        """Compute keys and values of all layers, [B, S, 2LH], from encoder states [B, S, H]."""
        return Memory(states, self.memory(states), mask, copies)

    def start(self, summary: Tensor, memory: Memory) -> TransformerState:
        """A cache without tokens, for the B sentences of ``summary`` [B, 1, H]."""
        past = summary.new_zeros(len(summary), 2 * len(self.layers), 0, summary.shape[-1])
        lengths = torch.zeros(len(summary), dtype=torch.int64, device=summary.device)
        return TransformerState(past, lengths)

    def unroll(self, target: Tensor, state: TransformerState, memory: Memory) -> Features:
        """Read whole known targets; :class:`dragoman.model.protocols.Decoder` has the arguments.

        Returns:
            Features [B, T, H]; and the mean weights of the last layer's heads, [B, T, S], which
            have no dropout.
        """
        at = torch.arange(target.shape[1], device=target.device)
        later = (at > at.unsqueeze(1)).unsqueeze(0)  # a token attends to itself and those before
        x = positioned(self.embedding, target, at)
        for layer, read in zip(self.layers, self._reads(memory), strict=True):
            x, weights = layer(x, partial(layer.attention, barred=later), read)
        return self.norm(x), weights.mean(2)

    def stepper(
        self, memory: Memory, cells: Cells | None = None, record: Record = discard
    ) -> Stepper:
        """See :meth:`dragoman.model.protocols.Decoder.stepper`.

        The attention weights are the mean of the last layer's heads.
        """
        reads = [of_hypotheses(read, memory, cells) for read in self._reads(memory)]

        def step(token: Tensor, state: TransformerState) -> Step:
            places, news = int(state.lengths.max()) + 1, list[Tensor]()
            # Zeros are added for the new token, or places cut off that nothing has taken.
            past = F.pad(state.past, (0, 0, 0, places - state.past.shape[2])).unbind(1)
            order, last = torch.arange(places, device=token.device), state.lengths.unsqueeze(1)
            here, later = (order == last).unsqueeze(-1), (order > last).unsqueeze(1)

            def attend(layer: Layer, query: Tensor, *new: Tensor) -> Found:
                """Write a layer's new key and value [N, H] into its cache, and attend to all."""
                for one in new:
                    news.append(torch.where(here, one.unsqueeze(1), past[len(news)]))
                found, _ = layer.attention(query.unsqueeze(1), *news[-2:], barred=later)
                return found.squeeze(1), None

            x = positioned(self.embedding, token, state.lengths)
            record("target embeddings", "N E", x)
            for number, (layer, read) in enumerate(zip(self.layers, reads, strict=True), 1):
                x, weights = layer(x, partial(attend, layer), read)
                record(f"decoder layer {number}", "N H", x)
                record(f"decoder layer {number} weights", "N A S", weights)
            features, looked = self.norm(x), weights.mean(1)
            record("weights", "N S", looked)
            record("features", "N H", features)
            return features, TransformerState(torch.stack(news, 1), state.lengths + 1), looked

        return step

    def _reads(self, memory: Memory) -> list[Attend]:
        """Cross-attention of each layer over the sentences of a memory."""
        both, barred = memory.keys.chunk(2 * len(self.layers), -1), ~memory.mask.unsqueeze(1)
        return [
            partial(layer.attention, key=key, value=value, barred=barred, looks=True)
            for layer, key, value in zip(self.layers, both[::2], both[1::2], strict=True)
        ]
