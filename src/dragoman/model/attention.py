"""Attention: which source positions a decoder state looks at.

    B sentences   Q queries a sentence   N hypotheses   S source   M memory   H hidden

Energies compare a decoder state q with an encoder state s:

    dot         q . s                      Luong 2015, eq. 8
    scaled_dot  q . s / sqrt(H)            Vaswani 2017, eq. 1
    general     q . W s                    Luong 2015, eq. 8
    concat      v . tanh(W_q q + W_s s)    Bahdanau 2015, appendix A.1.2; Luong 2015, eq. 8

The part that depends on the source alone (W s, W_s s) is formed once a sentence: the *keys*.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.linear import Maker, Product, matmul, plain
from dragoman.model.protocols import Record, discard
from dragoman.model.rows import Memory

Attend = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Queries to contexts and weights."""


class AttentionProducts(NamedTuple):
    """What every query is multiplied by; only concat has any."""

    query: Product
    """W_q."""
    energy: Product
    """v."""


class Attention(nn.Module):
    """Weights over the source and the context they select.

    Args:
        score: ``dot``, ``scaled_dot``, ``general`` or ``concat``.
        query: width H of the decoder's state.
        memory: width M of the encoder's states; dot products need it equal to ``query``.
    """

    def __init__(self, score: str, query: int, memory: int) -> None:
        super().__init__()
        self.score = score
        self.key = nn.Linear(memory, query, bias=False) if score in ("general", "concat") else None
        self.query = nn.Linear(query, query) if score == "concat" else None
        self.energy = nn.Linear(query, 1, bias=False) if score == "concat" else None
        for layer in (self.key, self.query, self.energy):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)

    def keys(self, states: Tensor, make: Maker = plain) -> Tensor:
        """What queries are compared with: encoder states [B, S, M] -> [B, S, H]."""
        if self.key is not None:
            return make(self.key.weight)(states)
        return states / math.sqrt(states.shape[-1]) if self.score == "scaled_dot" else states

    def products(self, make: Maker) -> AttentionProducts | None:
        """The products of every query; None where there are none."""
        if self.query is None or self.energy is None:
            return None
        return AttentionProducts(make(self.query.weight, self.query.bias), make(self.energy.weight))

    def over(
        self,
        memory: Memory,
        products: AttentionProducts | None,
        multiply: Callable[[Tensor], Product] = matmul,
        record: Record = discard,
    ) -> Attend:
        """Attention over the sentences of one memory.

        Args:
            memory: B sentences; those of :meth:`keys` among it.
            products: from :meth:`products`.
            multiply: makes the products with keys and states, one matrix a sentence.
            record: receives intermediate values.

        Returns:
            A function of queries [B, Q, H] that gives contexts [B, Q, M] and weights [B, Q, S],
            in fp32 or finer; each row of weights sums to 1 and is 0 on padding.
        """
        compare = self._comparison(memory.keys, products, multiply)
        average, padding = multiply(memory.states), ~memory.mask.unsqueeze(1)

        def attend(queries: Tensor) -> tuple[Tensor, Tensor]:
            energies = compare(queries)
            energies = energies.to(torch.promote_types(energies.dtype, torch.float32))
            weights = F.softmax(energies.masked_fill(padding, -math.inf), -1)
            context = average(weights.to(memory.states.dtype))
            record("energies", "B Q S", energies)
            record("weights", "B Q S", weights)
            record("context", "B Q H", context)
            return context, weights

        return attend

    @staticmethod
    def _comparison(
        keys: Tensor, products: AttentionProducts | None, multiply: Callable[[Tensor], Product]
    ) -> Product:
        """Energies before masking, of queries: [B, Q, H] -> [B, Q, S]."""
        if products is None:
            return multiply(keys.transpose(1, 2))
        query, energy = products

        def concat(queries: Tensor) -> Tensor:
            both = torch.tanh(query(queries).unsqueeze(2) + keys.unsqueeze(1))  # [B, Q, S, H]
            return energy(both).squeeze(-1)

        return concat


def one_each(attend: Attend) -> Attend:
    """Attention of one query a sentence, [B, H] -> [B, M] and [B, S]."""

    def attend_once(queries: Tensor) -> tuple[Tensor, Tensor]:
        context, weights = attend(queries.unsqueeze(1))
        return context.squeeze(1), weights.squeeze(1)

    return attend_once


def in_cells(attend: Attend, cells: Tensor, sentences: int, slots: int) -> Attend:
    """Attention of N hypotheses of fewer sentences, [N, H] -> [N, M] and [N, S].

    Every sentence has room for ``slots`` queries, whether they are taken or not, so that the
    products have the same sizes, and a row of them the same bits, at every step of a search.

    Args:
        attend: for queries [B, Q, H].
        cells: sentence x ``slots`` + number within the sentence, [N].
        sentences: B.
        slots: Q.
    """

    def attend_in_cells(queries: Tensor) -> tuple[Tensor, Tensor]:
        grid = queries.new_zeros(sentences * slots, queries.shape[-1])
        grid[cells] = queries
        context, weights = attend(grid.view(sentences, slots, -1))
        return context.flatten(0, 1)[cells], weights.flatten(0, 1)[cells]

    return attend_in_cells
