"""Attention: which source positions a decoder state looks at.

    B batch   Q queries a sentence (target positions, or hypotheses)   S source   H hidden

Energies compare a decoder state q with an encoder state s:

    dot         q . s                      Luong 2015, eq. 8
    scaled_dot  q . s / sqrt(H)            Vaswani 2017, eq. 1
    general     q . W s                    Luong 2015, eq. 8
    concat      v . tanh(W_q q + W_s s)    Bahdanau 2015, appendix A.1.2; Luong 2015, eq. 8

The part that depends on the source alone (W s, W_s s) is formed once a sentence: the *keys*.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.products import Linear, times


class Attention(nn.Module):
    """Weights over the source and the context they select.

    Args:
        score: ``dot``, ``scaled_dot``, ``general`` or ``concat``.
        query: width of the decoder's state.
        memory: width of the encoder's states; dot products need it equal to ``query``.
    """

    def __init__(self, score: str, query: int, memory: int) -> None:
        super().__init__()
        self.score = score
        self.key = Linear(memory, query, bias=False) if score in ("general", "concat") else None
        self.query = Linear(query, query) if score == "concat" else None
        self.energy = Linear(query, 1, bias=False) if score == "concat" else None
        for layer in (self.key, self.query, self.energy):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)

    def keys(self, states: Tensor) -> Tensor:
        """What queries are compared with: encoder states [B, S, M] -> [B, S, H]."""
        if self.key is not None:
            return self.key(states)  # type: ignore[no-any-return]
        return states / math.sqrt(states.shape[-1]) if self.score == "scaled_dot" else states

    def energies(self, queries: Tensor, keys: Tensor) -> Tensor:
        """[B, Q, H] and [B, S, H] -> [B, Q, S], before masking."""
        if self.query is None or self.energy is None:
            return times(queries, keys.transpose(1, 2).to(queries.dtype))
        both = torch.tanh(self.query(queries).unsqueeze(2) + keys.unsqueeze(1))  # [B, Q, S, H]
        return self.energy(both).squeeze(-1)  # type: ignore[no-any-return]

    def forward(
        self, queries: Tensor, keys: Tensor, states: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            queries: [B, Q, H].
            keys: [B, S, H], from :meth:`keys`.
            states: [B, S, M], what is averaged.
            mask: [B, S], false on padding, which gets weight 0.

        Returns:
            Context [B, Q, M] and weights [B, Q, S] (fp32 or finer; each row sums to 1).
        """
        energies = self.energies(queries, keys)
        energies = energies.to(torch.promote_types(energies.dtype, torch.float32))
        weights = F.softmax(energies.masked_fill(~mask.unsqueeze(1), -math.inf), -1)
        return times(weights.to(states.dtype), states), weights
