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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from dragoman.model.attention import Attention, of_hypotheses
from dragoman.model.embedding import Embedding, dropout
from dragoman.model.linear import Linear, Product, gathered
from dragoman.model.protocols import Cells, Features, Memory, Record, Rows, Step, Stepper, discard
from dragoman.model.recurrent.layer import Layer


@dataclass(frozen=True)
class RecurrentState(Rows):
    """State of the decoder in each of N hypotheses."""

    rows: Tensor
    """[N, K, H]: the rows of layer 0, of layer 1, ..., and with input feeding the last features."""


Found = Sequence[Tensor] | None
"""Contexts [..., H] and weights [..., S] of attention; None for a decoder without attention."""


class Recurrence(NamedTuple):
    """A decoder's recurrence, for a loop over time that calls it once a step."""

    read: Product
    """Embedded tokens [..., E] to the first layer's product with them, [..., GH]."""
    advance: Callable[[Tensor, RecurrentState], tuple[Tensor, RecurrentState, Found]]
    """One step, from ``read``'s product [N, GH] and the state. Returns the last layer's output
    [N, H] (with input feeding the features), the new state, and what attention found."""
    readout: Callable[[Tensor, Found], Features]
    """Features and attention weights, from the output and attention of one step or of all steps."""


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
            self.combine = Linear(2 * hidden, hidden, bias=False)  # W_c
            nn.init.xavier_uniform_(self.combine.weight)

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor) -> Memory:
        """Compute what every step needs of encoder states [B, S, H]; see :class:`Memory`."""
        keys = states if self.attention is None else self.attention.keys(states)
        return Memory(states, keys, mask, copies)

    def start(self, summary: Tensor, memory: Memory) -> RecurrentState:
        """The first state, from the rows of all layers [B, RL, H]; the features fed are zero."""
        return self._state(summary, torch.zeros_like(summary[:, 0]))

    def unroll(self, target: Tensor, state: RecurrentState, memory: Memory) -> Features:
        """Read whole known targets; :class:`dragoman.model.protocols.Decoder` has the arguments."""
        x = self.embedding(target)  # [B, T, E]
        if not self.loops:
            x = self.scan(x, state)
            found: Found = None if self.attention is None else self.attention.over(memory)(x)
            return self._features(x, found, self.combine)
        recurrence = self.recurrence(memory)
        tops, looked = list[Tensor](), list[Any]()
        for projected in recurrence.read(x).unbind(1):  # T times [B, GH]
            top, state, found = recurrence.advance(projected, state)
            tops.append(top)
            looked.append(found)
        contexts = [torch.stack(each, 1) for each in zip(*looked, strict=True)]  # and weights
        return recurrence.readout(torch.stack(tops, 1), contexts)

    def stepper(
        self, memory: Memory, cells: Cells | None = None, record: Record = discard
    ) -> Stepper:
        """See :meth:`dragoman.model.protocols.Decoder.stepper`."""
        recurrence = self.recurrence(memory, cells, record)

        def step(token: Tensor, state: RecurrentState) -> Step:
            embedded = self.embedding(token)
            record("target embeddings", "N E", embedded)
            top, state, found = recurrence.advance(recurrence.read(embedded), state)
            features, weights = recurrence.readout(top, found)
            record("decoder states", "N K H", state.rows)
            record("attentional vector" if self.attends else "features", "N H", features)
            return features, state, weights

        return step

    def scan(self, x: Tensor, state: RecurrentState) -> Tensor:
        """Run all layers over whole targets at once, where attention does not feed back.

        Args:
            x: embedded tokens, [B, T, E].
            state: the first state.

        Returns:
            The last layer's outputs, [B, T, H].
        """
        for layer, first in zip(self.layers, state.rows.split(self.rows, 1), strict=True):
            x = layer.leave(x, layer.scan(layer.enter(x), first)[0])
        return x

    def recurrence(
        self, memory: Memory | None, cells: Cells | None = None, record: Record = discard
    ) -> Recurrence:
        """Prepare a loop over time; the gradient of each weight is formed once for all steps.

        Args:
            memory: the sentences that are attended to; None: leave attention out.
            cells: the place of each hypothesis; None: one for each sentence, in their order.
            record: receives intermediate values.
        """
        first, *others = self.layers
        products = [first.products(self.inputs), *(layer.products() for layer in others)]
        feedback = gathered(first.weight_input[0, :, self.inputs :]) if self.loops else None
        combine = None if self.combine is None else gathered(self.combine.weight)
        attend, last = None, self.rows * (len(self.layers) - 1)  # where the last layer's h is
        if self.attention is not None and memory is not None:
            attend = of_hypotheses(self.attention.over(memory, record), memory, cells)

        def advance(x: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState, Found]:
            """One step; ``x`` [N, GH] is the first layer's product with the embedded token."""
            found = attend(state.rows[:, last]) if attend and self.before else None
            if feedback is not None:
                x = x + feedback(state.rows[:, -1] if found is None else found[0])
            news, y = list[Tensor](), x  # y: input of a layer, then its output
            befores = state.rows.split(self.rows, 1)  # a last one holds the features that are fed
            for layer, (read, recur), before in zip(self.layers, products, befores, strict=False):
                news.append(layer.step(read(layer.enter(y)) if news else x, before, recur))
                y = layer.leave(y, news[-1][:, 0])
            if attend and found is None:
                found = attend(y)
            if self.input_feeding:
                y, _ = self._features(y, found, combine)
            return y, self._state(torch.cat(news, 1), y), found

        def readout(y: Tensor, found: Found) -> Features:
            if self.input_feeding and found is not None:
                return y, found[1]  # ``advance`` has made the features
            return self._features(y, found, combine)

        return Recurrence(products[0][0], advance, readout)

    def _features(self, x: Tensor, found: Found, combine: Product | None) -> Features:
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
