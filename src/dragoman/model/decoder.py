"""The decoder: target tokens so far and the encoded source to features for the next token.

    B batch   Q hypotheses a sentence   T target   S source   E embedding   H hidden
    R rows of state a layer   L layers   K = R x L (+ 1 with input feeding)

:meth:`Decoder.unroll` runs a whole known target, as training does; :meth:`Decoder.step` runs one
token of every hypothesis, as search does. Both give the same numbers.

The decoder's state is one tensor ``[B, Q, K, H]``: the rows of layer 0, of layer 1, ..., and with
input feeding the last attentional vector. One tensor, so that search can reorder it as one.

Three arrangements (``y`` the embedded token, ``s`` encoder states, ``a(h, s)`` the context):

    none                h' = RNN(y, h)                        features = h'
    luong               h' = RNN(y, h)        c = a(h', s)    features = tanh(W_c [c; h'])
    luong, input feed   h' = RNN([y; f], h)   c = a(h', s)    features = f' = tanh(W_c [c; h'])
    bahdanau            c = a(h, s)   h' = RNN([y; c], h)     features = tanh(W_c [c; h'])

Luong 2015 eq. 5 and section 3.3; Bahdanau 2015 section 3.1, with Luong's eq. 5 as its readout.
Only the last two feed attention back into the RNN and must loop over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman.model.attention import Attention
from dragoman.model.dropout import dropout
from dragoman.model.embedding import Embedding
from dragoman.model.products import Linear, in_search, loop
from dragoman.model.recurrence import STATE_ROWS, Recurrent
from dragoman.model.stack import Stack


class Memory(NamedTuple):
    """What the decoder knows of the source."""

    states: Tensor
    """Encoder states, [B, S, H]."""
    keys: Tensor
    """What attention compares its queries with, [B, S, H]; the states themselves without it."""
    mask: Tensor
    """False on padding, [B, S]."""
    start: Tensor
    """The decoder's first state, [B, K, H]."""
    copies: Tensor
    """Ids of the source's words in the target's vocabulary, [B, S]; [B, 0] where none is copied."""


class Part(NamedTuple):
    """Hypotheses whose sources are padded to one width, for search: each is a row of its own."""

    memory: Memory
    """Of b sentences."""
    rows: Tensor
    """The hypotheses, [n]."""
    at: Tensor
    """Where each stands: sentence in ``memory`` x q + number within the sentence, [n]."""
    beam: int
    """Most hypotheses of a sentence, q."""


class Decoder(nn.Module):
    """Layers of recurrence over the target, with attention over the source.

    Args:
        embedding: the target's table.
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: width E of the embeddings.
        hidden: width H.
        layers: L.
        attention: None, or where the context comes from.
        before: attention stands before the RNN (Bahdanau) instead of after it (Luong).
        input_feeding: the attentional vector enters the next step's input.
        dropout: between layers and on the features.
        residual, layer_norm: see :class:`Stack`.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        cell: str,
        inputs: int,
        hidden: int,
        layers: int = 1,
        attention: Attention | None = None,
        before: bool = False,
        input_feeding: bool = False,
        dropout: float = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.embedding, self.attention, self.dropout = embedding, attention, dropout
        self.before, self.input_feeding = before and attention is not None, input_feeding
        self.inputs, self.rows = inputs, STATE_ROWS[cell]
        first = inputs + hidden if self.loops else inputs
        self.layers = Stack(
            [Recurrent(cell, hidden if n else first, hidden) for n in range(layers)],
            hidden,
            dropout=dropout,
            residual=residual,
            layer_norm=layer_norm,
        )
        self.combine = None
        if attention is not None:
            self.combine = Linear(2 * hidden, hidden, bias=False)  # W_c
            nn.init.xavier_uniform_(self.combine.weight)

    @property
    def loops(self) -> bool:
        """Attention feeds back into the RNN, so that training must go step by step."""
        return self.before or self.input_feeding

    def unroll(self, target: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Features for every position of a known target.

        Args:
            target: the decoder's input, ids [B, T]; padding at the end is computed and ignored.
            memory: the encoded source.

        Returns:
            Features [B, T, H], and attention weights [B, T, S] or None.
        """
        x = self.embedding(target)  # [B, T, E]
        if self.loops:
            return self._loop(x, memory)
        for number, layer in enumerate(self.layers):
            first = memory.start[:, number * self.rows : (number + 1) * self.rows]
            y, _ = layer.scan(self.layers.enter(x, number), first)
            x = self.layers.leave(x, y, number)
        return self._features(x, memory)

    def step(
        self, token: Tensor, state: Tensor, memory: Memory | Sequence[Part]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features after one more token of each hypothesis.

        Args:
            token: ids [B, Q].
            state: [B, Q, K, H].
            memory: the encoded source, whose rows stand for all Q hypotheses of their sentence; or
                where B hypotheses (Q = 1) of fewer sentences stand.

        Returns:
            Features [B, Q, H], the new state [B, Q, K, H], and attention weights [B, Q, S] or None.
        """
        known = isinstance(memory, Memory)
        projected = self._project(self.embedding(token)) if known else self._project_words(token)
        top, rows, context, weights = self._advance(projected, state, memory)
        features, late = self._features(top, memory, context)
        rows = self._fed(rows, features)
        return features, rows, late if weights is None else weights

    def _loop(self, x: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """:meth:`unroll` where attention feeds back; what it does not need is taken out of it."""
        projected = self._project(x)  # [B, T, GH]
        state = memory.start.unsqueeze(1)  # Q = 1
        found, contexts, weights = [], [], []
        with loop():
            for one in projected.unbind(1):
                top, state, context, looked = self._advance(one.unsqueeze(1), state, memory)
                if self.input_feeding:
                    top, looked = self._features(top, memory)
                    state = self._fed(state, top)
                found.append(top)
                contexts.append(context)
                weights.append(looked)
        if not self.input_feeding:
            tops = torch.cat(found, 1)
            return self._features(tops, memory, joined(contexts))[0], joined(weights)
        return torch.cat(found, 1), joined(weights)

    def _project(self, x: Tensor) -> Tensor:
        """The embedded token's part of layer 0's input product: [B, N, E] -> [B, N, GH]."""
        return self._first.project(x, slice(0, self.inputs))

    def _project_words(self, ids: Tensor) -> Tensor:
        """:meth:`_project` of the embeddings of ``ids`` [B, Q], in search each word's once.

        Hypotheses of a beam often end in the same word.
        """
        if not in_search(self.embedding.weight):
            return self._project(self.embedding(ids))
        words, at = ids.unique(return_inverse=True)
        filling = words[:1].expand(-len(words) % 8)  # see model/scorer.py
        return self._project(self.embedding(torch.cat((words, filling))))[at]

    @property
    def _first(self) -> Recurrent:
        return next(iter(self.layers))

    def _advance(
        self, projected: Tensor, state: Tensor, memory: Memory | Sequence[Part]
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """One step of the recurrence, for every arrangement.

        Args:
            projected: the embedded tokens' part of the input product, [B, Q, GH].
            state, memory: see :meth:`step`.

        Returns:
            The last layer's h [B, Q, H] and the rows of all layers [B, Q, RL, H]; with attention
            before the recurrence its context [B, Q, H] and weights [B, Q, S], else None twice.
        """
        batch, queries, _, hidden = state.shape
        top = self.rows * (len(self.layers) - 1)  # the last layer's h
        context = weights = feedback = None
        if self.before:
            context, weights = self._attend(state[:, :, top], memory)
            feedback = context
        elif self.input_feeding:
            feedback = state[:, :, -1]
        if feedback is not None:
            fed = self._first.project(feedback, slice(self.inputs, None), bias=False)
            projected = projected + fed
        flat = state.flatten(0, 1)  # [BQ, K, H]
        news, x = [], projected.flatten(0, 1)
        for number, layer in enumerate(self.layers):
            inner = layer.project(self.layers.enter(x, number)) if number else x
            news.append(layer.step(inner, flat[:, number * self.rows : (number + 1) * self.rows]))
            x = self.layers.leave(x, news[-1][:, 0], number)
        rows = torch.cat(news, 1).view(batch, queries, -1, hidden)
        return x.view(batch, queries, hidden), rows, context, weights

    def _fed(self, rows: Tensor, features: Tensor) -> Tensor:
        """The state [B, Q, K, H]: its rows, and with input feeding the attentional vector."""
        if not self.input_feeding:
            return rows
        return torch.cat((rows, features.unsqueeze(2).to(rows.dtype)), 2)

    def _attend(self, queries: Tensor, memory: Memory | Sequence[Part]) -> tuple[Tensor, Tensor]:
        """Context [B, Q, H] and weights [B, Q, S] of ``queries`` [B, Q, H]."""
        assert self.attention is not None
        if isinstance(memory, Memory):
            return self.attention(queries, memory.keys, memory.states, memory.mask)  # type: ignore[no-any-return]
        source = max(part.memory.mask.shape[1] for part in memory)
        context = torch.zeros_like(queries)
        weights = queries.new_zeros(len(queries), 1, source)
        for inside, rows, at, beam in memory:
            room = queries.new_zeros(len(inside.mask) * beam, queries.shape[-1])
            room[at] = queries[rows, 0]
            room = room.view(len(inside.mask), beam, -1)
            found = self.attention(room, inside.keys, inside.states, inside.mask)
            for whole, part in zip((context, weights), found, strict=True):
                whole[rows, 0, : part.shape[-1]] = part.flatten(0, 1)[at]
        return context, weights

    def _features(
        self, x: Tensor, memory: Memory | Sequence[Part], context: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """RNN outputs [B, Q, H] to features [B, Q, H], and weights if attention follows the RNN."""
        weights = None
        if self.combine is not None:
            if context is None:
                context, weights = self._attend(x, memory)
            x = torch.tanh(self.combine(torch.cat((context, x), -1)))  # Luong 2015, eq. 5
        return dropout(x, self.dropout, self.training), weights


def joined(steps: list[Tensor | None]) -> Tensor | None:
    """What single steps gave, [B, 1, ...], as [B, T, ...]; None where there was nothing."""
    known = [step for step in steps if step is not None]
    return torch.cat(known, 1) if known else None
