"""The recurrent decoder: target tokens so far and the encoded source to features of the next token.

    B batch   N hypotheses   T target   S source   E embedding   H hidden
    R rows of state a layer   L layers   K = R x L (+ 1 with input feeding)   G gates

:meth:`RecurrentDecoder.unroll` reads whole known targets, as training does;
:meth:`RecurrentDecoder.step` reads one token of every hypothesis, as search does. Both give the
same numbers.

Three arrangements (``y`` the embedded token, ``s`` encoder states, ``a(h, s)`` the context):

    none                h' = RNN(y, h)                        features = h'
    luong               h' = RNN(y, h)        c = a(h', s)    features = tanh(W_c [c; h'])
    luong, input feed   h' = RNN([y; f], h)   c = a(h', s)    features = f' = tanh(W_c [c; h'])
    bahdanau            c = a(h, s)   h' = RNN([y; c], h)     features = tanh(W_c [c; h'])

Luong 2015 eq. 5 and section 3.3; Bahdanau 2015 section 3.1, with Luong's eq. 5 as its readout.
Only the last two feed attention back into the RNN and must loop over time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dragoman.model.attention import Attend, Attention, AttentionProducts, in_cells, one_each
from dragoman.model.dropout import dropout
from dragoman.model.embedding import Embedding
from dragoman.model.gathered import gathered, gathered_matmul
from dragoman.model.linear import Maker, Product, matmul, plain
from dragoman.model.protocols import Record, discard
from dragoman.model.recurrent.cells import STATE_ROWS
from dragoman.model.recurrent.layer import LayerProducts, StackOptions, layers_of, stack
from dragoman.model.rows import Memory, Rows, stacked

_FILL = 8
"""Embedded words of a step are filled up to a multiple of this, so that a row of their product has
the same bits whatever the others are."""


@dataclass(frozen=True)
class RecurrentState(Rows):
    """Where the decoder stands in each of N hypotheses."""

    rows: Tensor
    """[N, K, H]: the rows of layer 0, of layer 1, ..., and with input feeding the last features."""


_Step = tuple[Tensor, RecurrentState, Tensor | None]
"""Features [N, H], the new state, and attention weights [N, S] or None."""


class DecoderProducts(NamedTuple):
    """What one step multiplies by."""

    layers: tuple[LayerProducts, ...]
    feedback: Product | None
    """The first layer's product with what attention feeds back, [N, H] -> [N, GH]."""
    attention: AttentionProducts | None
    combine: Product | None
    """W_c."""


class RecurrentDecoder(nn.Module):
    """Layers of recurrence over the target, with attention over the source.

    Args:
        embedding: the target's table.
        options: of its layers.
        attention: where the context comes from; None for no attention.
        before: attention stands before the RNN (Bahdanau) instead of after it (Luong).
        input_feeding: the features enter the next step's input.
    """

    def __init__(
        self,
        embedding: Embedding,
        options: StackOptions,
        attention: Attention | None = None,
        *,
        before: bool = False,
        input_feeding: bool = False,
    ) -> None:
        super().__init__()
        self.embedding, self.attention, self.dropout = embedding, attention, options.dropout
        self.before, self.input_feeding = before and attention is not None, input_feeding
        self.inputs, self.rows = embedding.weight.shape[1], STATE_ROWS[options.cell]
        hidden = options.hidden
        self.layers = stack(options, self.inputs + hidden * self.loops, hidden)
        self.combine = None
        if attention is not None:
            self.combine = nn.Linear(2 * hidden, hidden, bias=False)  # W_c
            nn.init.xavier_uniform_(self.combine.weight)

    @property
    def attends(self) -> bool:
        """Steps give attention weights."""
        return self.attention is not None

    @property
    def loops(self) -> bool:
        """Attention feeds back into the RNN, so that training must go step by step."""
        return self.before or self.input_feeding

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor, make: Maker = plain) -> Memory:
        """What the steps need of encoder states [B, S, H]; see :class:`Memory`."""
        keys = states if self.attention is None else self.attention.keys(states, make)
        return Memory(states, keys, mask, copies)

    def start(self, summary: Tensor) -> RecurrentState:
        """The first state, from the rows of all layers [B, RL, H]; with no features before it."""
        return self._state(summary, torch.zeros_like(summary[:, 0]))

    def unroll(
        self, target: Tensor, state: RecurrentState, memory: Memory
    ) -> tuple[Tensor, Tensor | None]:
        """Features for every position of known targets.

        Args:
            target: the decoder's input, ids [B, T]; padding at the end is computed and ignored.
            state: the first state of each sentence.
            memory: the encoded sentences.

        Returns:
            Features [B, T, H], and attention weights [B, T, S] or None.
        """
        x = self.embedding(target)  # [B, T, E]
        if self.loops:
            return self._loop(x, state, memory)
        for number, layer in enumerate(layers_of(self.layers)):
            first = state.rows[:, number * self.rows : (number + 1) * self.rows]
            y, _ = layer.scan(layer.enter(x), first)
            x = layer.leave(x, y)
        products = self.products(plain)
        return self._features(x, None, self._over(memory, products), products)

    def _loop(
        self, x: Tensor, state: RecurrentState, memory: Memory
    ) -> tuple[Tensor, Tensor | None]:
        """:meth:`unroll` where attention feeds back; what no step needs is done for all at once."""
        products, attend = self._loop_products(memory)
        projected = products.layers[0].input(x).unbind(1)  # T times [B, GH]
        tops, weights, contexts = [], [], []
        for one in projected:
            if self.input_feeding:
                top, state, looked = self._step(one, state, attend, products)
                weights.append(looked)
            else:
                top, rows, found = self._advance(one, state, attend, products)
                state = RecurrentState(rows)
                contexts.append(found)
            tops.append(top)
        if self.input_feeding:
            return torch.stack(tops, 1), stacked(weights)
        together = tuple(torch.stack(each, 1) for each in zip(*contexts, strict=True))
        return self._features(torch.stack(tops, 1), together, None, products)

    def stepper(self, memory: Memory) -> Callable[[Tensor, RecurrentState], _Step]:
        """A function (ids [B], state) -> features, state, weights, to read targets in a loop."""
        products, attend = self._loop_products(memory)

        def step(token: Tensor, state: RecurrentState) -> _Step:
            projected = products.layers[0].input(self.embedding(token))
            return self._step(projected, state, attend, products)

        return step

    def products(self, make: Maker) -> DecoderProducts:
        """What :meth:`step` multiplies by."""
        first, *others = layers_of(self.layers)
        feedback = first.weight_input[0, :, self.inputs :]
        return DecoderProducts(
            (
                first.products(make, slice(0, self.inputs)),
                *(layer.products(make) for layer in others),
            ),
            make(feedback) if self.loops else None,
            None if self.attention is None else self.attention.products(make),
            None if self.combine is None else make(self.combine.weight),
        )

    def step(
        self,
        token: Tensor,
        state: RecurrentState,
        memory: Memory,
        products: DecoderProducts | None = None,
        cells: Tensor | None = None,
        slots: int = 1,
        record: Record = discard,
    ) -> _Step:
        """Read one more token of each hypothesis; arguments as in :class:`protocols.Decoder`."""
        products = products or self.products(plain)
        attend = self._over(memory, products, record=record)
        if attend is not None:
            grid = None if cells is None else in_cells(attend, cells, len(memory), slots)
            attend = grid or one_each(attend)
        # Hypotheses of a beam often end in the same word: each is multiplied once.
        words, at = token.unique(return_inverse=True)
        embedded = self.embedding(torch.cat((words, words[:1].expand(-len(words) % _FILL))))
        projected = products.layers[0].input(embedded)[at]
        if record is not discard:
            record("target embeddings", "N E", embedded[at])
        features, state, weights = self._step(projected, state, attend, products)
        record("decoder states", "N K H", state.rows)
        record("attentional vector" if self.attends else "features", "N H", features)
        return features, state, weights

    def _loop_products(self, memory: Memory) -> tuple[DecoderProducts, Attend | None]:
        """What a loop over the tokens of B sentences multiplies by, and its attention."""
        learns = torch.is_grad_enabled()
        products = self.products(gathered if learns else plain)
        attend = self._over(memory, products, gathered_matmul if learns else matmul)
        return products, attend and one_each(attend)

    def _over(
        self,
        memory: Memory,
        products: DecoderProducts,
        multiply: Callable[[Tensor], Product] = matmul,
        record: Record = discard,
    ) -> Attend | None:
        """See :meth:`Attention.over`; None without attention."""
        if self.attention is None:
            return None
        return self.attention.over(memory, products.attention, multiply, record)

    def _step(
        self,
        projected: Tensor,
        state: RecurrentState,
        attend: Attend | None,
        products: DecoderProducts,
    ) -> _Step:
        """One token of each hypothesis, whose part of the input product is given: [N, GH]."""
        top, rows, found = self._advance(projected, state, attend, products)
        features, weights = self._features(top, found, attend, products)
        return features, self._state(rows, features), weights

    def _advance(
        self,
        projected: Tensor,
        state: RecurrentState,
        attend: Attend | None,
        products: DecoderProducts,
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """One step of the recurrence, for every arrangement.

        Returns:
            The last layer's output [N, H]; the rows of all layers [N, RL, H]; and, if attention
            stands before the recurrence, its context [N, H] and weights [N, S].
        """
        found = None
        if self.before and attend is not None:
            found = attend(state.rows[:, self.rows * (len(self.layers) - 1)])  # the last layer's h
        if products.feedback is not None:
            fed = state.rows[:, -1] if found is None else found[0]
            projected = projected + products.feedback(fed)
        news, x = [], projected
        for number, layer in enumerate(layers_of(self.layers)):
            multiply = products.layers[number]
            inner = multiply.input(layer.enter(x)) if number else x
            before = state.rows[:, number * self.rows : (number + 1) * self.rows]
            news.append(layer.step(inner, before, multiply.hidden))
            x = layer.leave(x, news[-1][:, 0])
        return x, torch.cat(news, 1), found

    def _features(
        self,
        x: Tensor,
        found: tuple[Tensor, ...] | None,
        attend: Attend | None,
        products: DecoderProducts,
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs of the recurrence [..., H] to features [..., H], and attention weights.

        Args:
            x: [..., H].
            found: context and weights, if attention stood before the recurrence.
            attend: otherwise, attention over the source.
            products: of the decoder.
        """
        if found is None and attend is not None:
            found = attend(x)
        weights = None
        if found is not None and products.combine is not None:
            context, weights = found
            x = torch.tanh(products.combine(torch.cat((context, x), -1)))  # Luong 2015, eq. 5
        return dropout(x, self.dropout, self.training), weights

    def _state(self, rows: Tensor, features: Tensor) -> RecurrentState:
        """The state of the layers' rows [N, RL, H], and with input feeding of the features."""
        if self.input_feeding:
            rows = torch.cat((rows, features.unsqueeze(1).to(rows.dtype)), 1)
        return RecurrentState(rows)
