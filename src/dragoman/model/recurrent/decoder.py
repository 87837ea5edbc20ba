"""The recurrent decoder: features of the next token from the tokens so far and the source.

    B batch   N hypotheses   T target   S source   E embedding   H hidden
    R rows of state a layer   L layers   K = R x L (+ 1 with input feeding)   G gates

:meth:`RecurrentDecoder.unroll` reads whole known targets, as training does;
:meth:`RecurrentDecoder.stepper` reads one token of every hypothesis, as search does. Both compute
the same numbers.

Three arrangements (``y`` the embedded token, ``s`` encoder states, ``a(h, s)`` the context):

    none                h' = RNN(y, h)                        features = h'
    luong               h' = RNN(y, h)        c = a(h', s)    features = tanh(W_c [c; h'])
    luong, input feed   h' = RNN([y; f], h)   c = a(h', s)    features = f' = tanh(W_c [c; h'])
    bahdanau            c = a(h, s)   h' = RNN([y; c], h)     features = tanh(W_c [c; h'])

Luong 2015 eq. 5 and section 3.3; Bahdanau 2015 section 3.1, with Luong's eq. 5 as its readout.
Only the last two feed attention back into the RNN and must loop over time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from dragoman.model.attention import Attend, Attention, of_hypotheses
from dragoman.model.embedding import Embedding, dropout
from dragoman.model.linear import Product, gathered, plain
from dragoman.model.protocols import Cells, Features, Memory, Record, Rows, Step, Stepper, discard
from dragoman.model.recurrent.layer import Layer


@dataclass(frozen=True)
class RecurrentState(Rows):
    """State of the decoder in each of N hypotheses."""

    rows: Tensor
    """[N, K, H]: the rows of layer 0, of layer 1, ..., and with input feeding the last features."""


class _Products(NamedTuple):
    """The products of a loop over time with the weights, and its attention."""

    layers: list[tuple[Product, Product]]
    """The products of each layer: with its input, and with its state."""
    feedback: Product | None
    """The first layer's product with what attention feeds back, [N, H] -> [N, GH]."""
    combine: Product | None
    """W_c."""
    attend: Attend | None
    """Attention of the hypotheses; None for a decoder without attention."""


class RecurrentDecoder(nn.Module):
    """Layers of recurrence over the target, with attention over the source.

    Args:
        embedding: the target's table.
        layers: from the lowest. The first reads the embedded token, followed by what attention
            feeds back.
        attention: where the context comes from; None for no attention.
        before: attention stands before the RNN (Bahdanau) instead of after it (Luong).
        input_feeding: the features enter the next step's input.
        dropout: share of the features that dropout sets to zero.
    """

    def __init__(
        self,
        embedding: Embedding,
        layers: Sequence[Layer],
        attention: Attention | None = None,
        *,
        before: bool = False,
        input_feeding: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding, self.attention, self.dropout = embedding, attention, dropout
        self.attends, self.before, self.input_feeding = attention is not None, before, input_feeding
        self.loops = before or input_feeding  # attention feeds back: training is step by step
        self.inputs, hidden, self.rows = embedding.weight.shape[1], layers[0].hidden, layers[0].rows
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        self.combine = None
        if self.attends:
            self.combine = nn.Linear(2 * hidden, hidden, bias=False)  # W_c
            nn.init.xavier_uniform_(self.combine.weight)

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor) -> Memory:
        """Compute what every step needs of encoder states [B, S, H]; see :class:`Memory`."""
        keys = states if self.attention is None else self.attention.keys(states)
        return Memory(states, keys, mask, copies)

    def start(self, summary: Tensor) -> RecurrentState:
        """The first state, from the rows of all layers [B, RL, H]; the features fed are zero."""
        return self._state(summary, torch.zeros_like(summary[:, 0]))

    def unroll(self, target: Tensor, state: RecurrentState, memory: Memory) -> Features:
        """Read whole known targets; :class:`dragoman.model.protocols.Decoder` has the arguments."""
        x = self.embedding(target)  # [B, T, E]
        if self.loops:
            return self._loop(x, state, memory)
        for layer, first in zip(self.layers, state.rows.split(self.rows, 1), strict=True):
            x = layer.leave(x, layer.scan(layer.enter(x), first)[0])
        found = None if self.attention is None else self.attention.over(memory, plain)(x)
        return self._features(x, found, self.combine)

    def _loop(self, x: Tensor, state: RecurrentState, memory: Memory) -> Features:
        """Unroll step by step, where attention feeds back; the rest runs for all steps at once."""
        products = self._products(memory)
        tops, looked = list[Tensor](), list[Any]()
        read, _ = products.layers[0]
        for projected in read(x).unbind(1):  # T times [B, GH]
            if self.input_feeding:
                top, state, weights = self._step(projected, state, products)
                looked.append(weights)
            else:
                top, rows, found = self._advance(projected, state, products)
                state = RecurrentState(rows)
                looked.append(found)
            tops.append(top)
        features = torch.stack(tops, 1)
        if self.input_feeding:
            return features, torch.stack(looked, 1)
        contexts = [torch.stack(each, 1) for each in zip(*looked, strict=True)]
        return self._features(features, contexts, products.combine)

    def stepper(
        self, memory: Memory, cells: Cells | None = None, record: Record = discard
    ) -> Stepper:
        """See :meth:`dragoman.model.protocols.Decoder.stepper`."""
        products = self._products(memory, cells, record)
        read, _ = products.layers[0]

        def step(token: Tensor, state: RecurrentState) -> Step:
            embedded = self.embedding(token)
            record("target embeddings", "N E", embedded)
            features, state, weights = self._step(read(embedded), state, products)
            record("decoder states", "N K H", state.rows)
            record("attentional vector" if self.attends else "features", "N H", features)
            return features, state, weights

        return step

    def _products(
        self, memory: Memory, cells: Cells | None = None, record: Record = discard
    ) -> _Products:
        """What a loop over time multiplies by; see :meth:`stepper` for the arguments."""
        first, *others = self.layers
        layers = [first.products(self.inputs), *(layer.products() for layer in others)]
        feedback = combine = attend = None
        if self.loops:
            feedback = gathered(first.weight_input[0, :, self.inputs :])
        if self.combine is not None:
            combine = gathered(self.combine.weight)
        if self.attention is not None:
            attend = of_hypotheses(self.attention.over(memory, gathered, record), memory, cells)
        return _Products(layers, feedback, combine, attend)

    def _step(self, x: Tensor, state: RecurrentState, products: _Products) -> Step:
        """One token of each hypothesis; ``x`` is its part of the input product, [N, GH]."""
        top, rows, found = self._advance(x, state, products)
        if found is None and products.attend is not None:
            found = products.attend(top)
        features, weights = self._features(top, found, products.combine)
        return features, self._state(rows, features), weights

    def _advance(
        self, x: Tensor, state: RecurrentState, products: _Products
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """One step of the recurrence, for every arrangement.

        Args:
            x: the token's part of the input product, [N, GH].
            state: of N hypotheses.
            products: of the loop.

        Returns:
            The last layer's output [N, H]; the rows of all layers [N, RL, H]; and, if attention
            stands before the recurrence, its context [N, H] and weights [N, S].
        """
        found = None
        if self.before and products.attend is not None:
            last = self.rows * (len(self.layers) - 1)
            found = products.attend(state.rows[:, last])  # of the last layer's h
        if products.feedback is not None:
            fed = state.rows[:, -1] if found is None else found[0]
            x = x + products.feedback(fed)
        news, y = list[Tensor](), x  # y: input of a layer, then its output
        befores = state.rows.split(self.rows, 1)  # a last one holds the features that are fed
        layers = zip(self.layers, products.layers, befores, strict=False)
        for layer, (read, recur), before in layers:
            inner = read(layer.enter(y)) if news else x
            news.append(layer.step(inner, before, recur))
            y = layer.leave(y, news[-1][:, 0])
        return y, torch.cat(news, 1), found

    def _features(
        self, x: Tensor, found: Sequence[Tensor] | None, combine: Product | None
    ) -> Features:
        """Outputs of the recurrence [..., H] to features [..., H], and attention weights.

        Args:
            x: [..., H].
            found: contexts and weights of attention.
            combine: W_c.
        """
        weights = None
        if found is not None and combine is not None:
            context, weights = found
            x = torch.tanh(combine(torch.cat((context, x), -1)))  # Luong 2015, eq. 5
        return dropout(x, self.dropout, self.training), weights

    def _state(self, rows: Tensor, features: Tensor) -> RecurrentState:
        """A state of the layers' rows [N, RL, H] and, with input feeding, the features [N, H]."""
        if self.input_feeding:
            rows = torch.cat((rows, features.unsqueeze(1).to(rows.dtype)), 1)
        return RecurrentState(rows)
