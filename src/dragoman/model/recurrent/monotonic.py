"""Hard monotonic attention: every token comes from one source position, and positions only advance.

    B batch   N hypotheses   T target   S source   H hidden   V vocabulary

The position a(t) that token t comes from is not known; its probabilities are added up exactly, as
in a hidden Markov model (Wu & Cotterell 2019). With a decoder state h, energies z of h, and the
first position as that of the begin token:

    p(v | a(t) = j)            = softmax(W_o tanh(W_c [s(j); h]) + b)[v]
    p(a(t) = j | a(t - 1) = i) = e^z(j) / sum over k >= i of e^z(k)   for j >= i, else 0
    before(j)                  = sum over i of after(i) p(a(t) = j | a(t - 1) = i)
    p(v)                       = sum over j of before(j) p(v | a(t) = j)
    after(j)                   = before(j) p(y | a(t) = j) / p(y)     when token t is known to be y
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from dragoman.model.embedding import dropout
from dragoman.model.protocols import Cells, Features, Memory, Record, Step, Stepper, discard
from dragoman.model.recurrent.decoder import RecurrentDecoder, RecurrentState

_LEAST = 1e-30
"""Smallest probability of a position, so that its logarithm is finite."""
_PADDING, _PASSED = -1e9, -1e18
"""Energies of padding, and of positions that are passed; finite, for padding passes all others."""


@dataclass(frozen=True)
class MonotonicState(RecurrentState):
    """State of the decoder in each of N hypotheses."""

    joint: Tensor
    """Log-probability of every next word and the position that it comes from, [N, S, V]."""


class MonotonicDecoder(RecurrentDecoder):
    """A recurrent decoder whose features are the log-probabilities of the next word.

    Its attention weights are the probabilities of the positions before the word is known.
    """

    words: Callable[[Tensor], Tensor]
    """The output layer: features [..., H] to log-probabilities of the words, [..., V]. It is
    :meth:`dragoman.model.output.PositionOutput.words`; :func:`dragoman.model.build.build_model`
    sets it, because the output layer is made after the decoder."""

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor) -> Memory:
        """Compute what every step needs of encoder states; the memory's states are W_c [s; 0]."""
        memory = super().remember(states, mask, copies)
        return replace(memory, states=F.linear(states, self._halves[0]))

    def start(self, summary: Tensor, memory: Memory) -> MonotonicState:
        """The first state: the begin token comes from the first position, whatever its word."""
        joint = memory.states.new_full((*memory.mask.shape, len(self.embedding.weight)), -math.inf)
        joint[:, 0] = 0
        return MonotonicState(summary, joint)

    def unroll(self, target: Tensor, state: RecurrentState, memory: Memory) -> Features:
        """Read whole known targets; :class:`dragoman.model.protocols.Decoder` has the arguments.

        Returns:
            Log-probabilities [B, T, V] and the probabilities of the positions [B, T, S].
        """
        words, moves = self._words_and_moves(self.scan(self.embedding(target), state), memory)
        written = target[:, 1:, None, None].expand(-1, -1, words.shape[2], 1)
        known = words[:, :-1].gather(3, written).squeeze(3)  # log p(y | j), [B, T - 1, S]
        befores = [moves[:, 0, 0]]
        for t, log_probs in enumerate(known.unbind(1), 1):
            after = (_log_positions(befores[-1], memory.mask) + log_probs).softmax(-1)
            befores.append((after.unsqueeze(1) @ moves[:, t]).squeeze(1))
        before = torch.stack(befores, 1)
        positions = _log_positions(before, memory.mask.unsqueeze(1))
        return (positions.unsqueeze(-1) + words).logsumexp(2), before

    def stepper(
        self, memory: Memory, cells: Cells | None = None, record: Record = discard
    ) -> Stepper:
        """See :meth:`dragoman.model.protocols.Decoder.stepper`."""
        recurrence = self.recurrence(None)
        own = memory if cells is None else memory.select(cells.places // cells.slots)

        def step(token: Tensor, state: MonotonicState) -> Step:
            top, new, _ = recurrence.advance(recurrence.read(self.embedding(token)), state)
            words, moves = (x.squeeze(1) for x in self._words_and_moves(top.unsqueeze(1), own))
            written = token[:, None, None].expand(-1, words.shape[1], 1)
            after = state.joint.gather(2, written).softmax(1)  # of the last step, [N, S, 1]
            before = (moves * after).sum(1)
            joint = _log_positions(before, own.mask).unsqueeze(-1) + words
            record("decoder states", "N K H", new.rows)
            record("weights", "N S", before)
            return joint.logsumexp(1), MonotonicState(new.rows, joint), before

        return step

    @property
    def _halves(self) -> tuple[Tensor, ...]:
        """W_c of encoder states, and of decoder states, [H, H] both."""
        assert self.combine is not None  # it has attention
        return self.combine.weight.chunk(2, 1)

    def _words_and_moves(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """What the last layer's outputs ``h`` [B, T, H] say of words and of positions.

        Returns:
            Log-probabilities of words at every position [B, T, S, V], and probabilities of each
            position after each position [B, T, S, S].
        """
        decoded = F.linear(h, self._halves[1]).unsqueeze(2)  # W_c [0; h]
        features = torch.tanh(memory.states.unsqueeze(1) + decoded)
        words = self.words(dropout(features, self.dropout, self.training))
        energies = (h @ memory.keys.transpose(1, 2)).to(words.dtype)
        energies = energies.masked_fill(~memory.mask.unsqueeze(1), _PADDING).unsqueeze(2)
        at = torch.arange(energies.shape[-1], device=h.device)
        return words, torch.where(at < at.unsqueeze(1), _PASSED, energies).softmax(-1)


def _log_positions(before: Tensor, mask: Tensor) -> Tensor:
    """Log-probabilities of positions, from their probabilities; minus infinity on padding."""
    return before.clamp_min(_LEAST).log().masked_fill(~mask, -math.inf)
