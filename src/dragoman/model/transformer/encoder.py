"""The Transformer encoder, and what the decoder shares with it: input, attention and layers.

    B sentences   T queries   S keys, or source tokens   A heads   D width of a head   H = A x D
    I width of the feed-forward part

    x = x + attend(norm(x))   x = x + read(norm(x))   x = x + W_2 relu(W_1 norm(x))

Vaswani et al. 2017, section 3, with the normalisation before each part (Xiong et al. 2020), so that
the sum of all parts needs one more at the end of a stack.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding, dropout
from dragoman.model.linear import Linear
from dragoman.model.protocols import Record, discard

Found = tuple[Tensor, Tensor | None]
"""Contexts [..., H] of attention, and its weights or None."""


def positioned(embedding: Embedding, ids: Tensor, at: Tensor) -> Tensor:
    """Embed tokens, and add a vector of their positions (Vaswani et al. 2017, section 3.5).

    Embeddings, which have length 1 and their own dropout, are scaled by sqrt(H) (section 3.4). The
    first half of a position's vector are sines, the second half cosines.

    Args:
        embedding: the table; its width H is even.
        ids: [..., T].
        at: positions [T].

    Returns:
        [..., T, H].
    """
    vectors: Tensor = embedding(ids)
    width = vectors.shape[-1]
    steps = torch.arange(0, width, 2, dtype=vectors.dtype, device=at.device)
    angles = at.unsqueeze(-1) * torch.exp(steps * (-math.log(10_000) / width))
    return vectors * math.sqrt(width) + torch.cat((angles.sin(), angles.cos()), -1)


class MultiHeadAttention(nn.Module):
    """Attention of A heads, each over its own part of the width (section 3.2.2).

    ``head_a = softmax(Q_a K_a' / sqrt(D)) V_a`` (eq. 1). The products before and after it are the
    layer's.

    On a processor it is products and a softmax, which are faster than torch's fused attention with
    dropout and in bf16 (``docs/log.md``).

    Args:
        heads: A, which divides H.
        dropout: share of the weights that dropout sets to zero.
    """

    def __init__(self, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, barred: Tensor, looks: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Compute contexts.

        Args:
            query: [B, T, H].
            key: [B, S, H].
            value: [B, S, H].
            barred: true where a query must not attend to a key, [B or 1, T or 1, S].
            looks: return the weights.

        Returns:
            Contexts [B, T, H]; and the weights of all heads before dropout [B, T, A, S], in fp32
            or finer, or None.
        """
        parts = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query, key, value))
        query, key, value = parts  # [B, A, T or S, D]
        barred, dropped = barred.unsqueeze(1), self.dropout if self.training else 0.0
        if not looks and query.device.type != "cpu":
            context = F.scaled_dot_product_attention(query, key, value, ~barred, dropped)
            return context.transpose(1, 2).flatten(2), None
        energies = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])  # [B, A, T, S]
        energies = energies.to(torch.promote_types(energies.dtype, torch.float32))
        weights = energies.masked_fill(barred, -math.inf).softmax(-1)
        context = dropout(weights, dropped, self.training).to(value.dtype) @ value
        return context.transpose(1, 2).flatten(2), weights.transpose(1, 2) if looks else None


def linear(inputs: int, outputs: int, parts: int = 1) -> Linear:
    """A linear layer, or several with the same input side by side: Xavier weights, zero biases."""
    made = Linear(inputs, outputs * parts)
    for part in made.weight.data.chunk(parts):
        nn.init.xavier_uniform_(part)
    nn.init.zeros_(made.bias)
    return made


class Layer(nn.Module):
    """Self-attention, cross-attention in a decoder, and the feed-forward part.

    Args:
        width: H.
        inner: I.
        heads: A.
        dropout: share of the attention weights, of each part's output, and of the feed-forward
            part's inner values, that dropout sets to zero.
        reads: there is cross-attention.
    """

    def __init__(self, width: int, inner: int, heads: int, dropout: float, *, reads: bool) -> None:
        super().__init__()
        self.attention, self.dropout = MultiHeadAttention(heads, dropout), dropout
        self.self_norm, self.self_in = nn.LayerNorm(width), linear(width, width, 3)
        self.self_out = linear(width, width)
        if reads:
            self.cross_norm, self.cross_in = nn.LayerNorm(width), linear(width, width)
            self.cross_out = linear(width, width)
        self.feed_norm, self.feed_in = nn.LayerNorm(width), linear(width, inner)
        self.feed_out = linear(inner, width)

    def forward(
        self, x: Tensor, attend: Callable[..., Found], read: Callable[[Tensor], Found] | None = None
    ) -> Found:
        """Compute the layer.

        Args:
            x: the input, [..., H].
            attend: self-attention, of a query, a key and a value [..., H].
            read: cross-attention, of a query [..., H]; None in an encoder.

        Returns:
            The output [..., H], and the weights that the last attention returned.
        """
        found, weights = attend(*self.self_in(self.self_norm(x)).chunk(3, -1))
        x = x + self._dropped(self.self_out(found))
        if read is not None:
            found, weights = read(self.cross_in(self.cross_norm(x)))
            x = x + self._dropped(self.cross_out(found))
        inner = self._dropped(self.feed_in(self.feed_norm(x)).relu())
        return x + self._dropped(self.feed_out(inner)), weights

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


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
