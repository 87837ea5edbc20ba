"""Scores next tokens with one network or several, many sentences at a time.

    N hypotheses, those of a sentence side by side   B sentences   S source positions   V vocabulary
    C best words   Q slots: most hypotheses of a sentence

The numbers of a hypothesis do not depend on which others are computed with it, as long as the
networks compute every row of a batch alike:

- A source is padded to a width that is a function of its own length, and computed only with
  sources of the same width: the others form groups of their own.
- The rows of a group are filled with copies of the first to a multiple that the networks ask for,
  since matrix libraries may compute the last few rows of other numbers by other instructions.
- Attention is computed over Q slots of every sentence, however many are taken.

``tests/search/test_invariance.py`` holds this bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.data.source import Source
from dragoman.data.tokenizer import PAD
from dragoman.search.choose import starts
from dragoman.search.ensemble import mean
from dragoman.search.network import Integers, Network, Rows, Scores

WIDTH = 16
"""Sources are padded to a multiple of this many positions."""
_WORTH_LEAVING = 0.75
"""Encoded sentences are dropped when no more than this share of them is still needed."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The hypotheses of sentences that are padded to one width."""

    memories: tuple[Rows, ...]
    """Encoded sentences, for each network; filling included."""
    states: tuple[Rows, ...]
    """States of the hypotheses, for each network; filling included."""
    sentences: Integers
    """Which row of the memories each hypothesis reads, ascending; without filling."""
    cells: Integers
    """Sentence x Q + number within the sentence, filling included."""


class BatchedState(NamedTuple):
    """The state of N hypotheses in every network, in groups of one padded width."""

    groups: dict[int, _Group]
    """By width."""
    widths: Integers
    """Which group each hypothesis belongs to, [N]; a group keeps the order of its own."""
    slots: int
    """Q."""


class BatchedScorer:
    """Scores next tokens for search, which hands the states back without looking into them.

    Args:
        networks: encode sentences and score next tokens. Several give the mean of their
            probabilities and the attention of the first. Their weights must not change.
    """

    def __init__(self, *networks: Network[Any, Any]) -> None:
        self.networks = networks
        self.copies, self.attends = networks[0].copies, networks[0].attends
        self._multiple = max(network.multiple for network in networks)

    @property
    def concurrency(self) -> int:
        """How many batches may be searched at the same time, one thread each."""
        return min(network.concurrency for network in self.networks)

    def start(self, sentences: Sequence[Sequence[Source]], slots: int) -> BatchedState:
        """Encode sentences width by width; the state has one hypothesis each.

        Args:
            sentences: for each sentence, the source of every network.
            slots: most hypotheses of a sentence at any later step.
        """
        lengths = np.array([1 + max(map(len, sources)) for sources in sentences])  # with the end
        widths = -(-lengths // WIDTH) * WIDTH
        groups = {}
        for width in sorted(set(widths.tolist())):
            rows = np.flatnonzero(widths == width)
            sources = zip(*(sentences[i] for i in self._filled(rows)), strict=True)
            pairs = zip(self.networks, sources, strict=True)
            memories, states = zip(*(n.encode(read, width) for n, read in pairs), strict=True)
            numbers = np.arange(len(rows))
            groups[width] = _Group(memories, states, numbers, self._filled(numbers * slots))
        return BatchedState(groups, widths, slots)

    def step(
        self,
        tokens: Integers,
        state: BatchedState,
        top: int | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Scores, BatchedState]:
        """Score what follows the last tokens [N], by one call of each network for each width.

        Args:
            tokens: the last token of each hypothesis.
            state: of these hypotheses.
            top: score only the C most probable words; None: all.
            never: words whose probability is set to zero.
        """
        alone = len(self.networks) == 1
        asked = (top, never) if alone else (None, ())
        answers, places, groups = [], [], {}
        for width, group in state.groups.items():
            rows = np.flatnonzero(state.widths == width)
            last, more = self._filled(tokens[rows]), (group.cells, state.slots, *asked)
            parts = zip(self.networks, group.states, group.memories, strict=True)
            steps = [n.step(last, states, memory, *more) for n, states, memory in parts]
            found, after = zip(*steps, strict=True)
            groups[width] = _Group(group.memories, after, group.sentences, group.cells)
            answers.append(found[0] if alone else mean(found, top, never))
            places.append(rows)
        log_probs, words, weights = zip(*answers, strict=True)
        scores = Scores(
            _merged(log_probs, places, -np.inf),
            None if words[0] is None else _merged(words, places, PAD),
            None if weights[0] is None else _merged(weights, places, 0.0),
        )
        return scores, state._replace(groups=groups)

    def select(self, state: BatchedState, parents: Integers) -> BatchedState:
        """The states of the hypotheses ``parents`` [N'], in the order of their sentences."""
        widths, groups = state.widths[parents], {}
        for width, group in state.groups.items():
            within = state.widths == width
            rows = (np.cumsum(within) - 1)[parents[within[parents]]]
            if len(rows):
                groups[width] = self._selected(group, rows, state.slots)
        return BatchedState(groups, widths, state.slots)

    def join(self, state: BatchedState, more: BatchedState) -> BatchedState:
        """The hypotheses of one state, then those of another."""
        groups = state.groups | more.groups
        for width in state.groups.keys() & more.groups.keys():
            one, other = state.groups[width], more.groups[width]
            rows = np.arange(len(one.sentences) + len(other.sentences))
            # the rows of the others stand after the filling of the first
            rows[len(one.sentences) :] += len(one.states[0]) - len(one.sentences)
            sentences = np.concatenate((one.sentences, other.sentences + len(one.memories[0])))
            memories, states = (
                tuple(part.join(added) for part, added in zip(*parts, strict=True))
                for parts in ((one.memories, other.memories), (one.states, other.states))
            )
            groups[width] = self._group(memories, states, rows, sentences, state.slots)
        return BatchedState(groups, np.concatenate((state.widths, more.widths)), state.slots)

    def _selected(self, group: _Group, rows: Integers, slots: int) -> _Group:
        """The hypotheses ``rows`` of a group, without sentences that are no longer needed."""
        if np.array_equal(rows, np.arange(len(group.sentences))):
            return group
        sentences, memories = group.sentences[rows], group.memories
        left = sentences[starts(sentences)]
        if len(self._filled(left)) <= _WORTH_LEAVING * len(memories[0]):
            memories = tuple(memory.select(self._filled(left)) for memory in memories)
            sentences = np.searchsorted(left, sentences)
        return self._group(memories, group.states, rows, sentences, slots)

    def _group(
        self,
        memories: tuple[Rows, ...],
        states: tuple[Rows, ...],
        rows: Integers,
        sentences: Integers,
        slots: int,
    ) -> _Group:
        """The group of hypotheses ``rows`` of ``states``, of these ``sentences`` (ascending)."""
        first = starts(sentences)
        number = np.arange(len(sentences)) - np.repeat(first, np.diff(first, append=len(sentences)))
        chosen = tuple(part.select(self._filled(rows)) for part in states)
        return _Group(memories, chosen, sentences, self._filled(sentences * slots + number))

    def _filled(self, rows: Integers) -> Integers:
        """``rows``, and the first of them again up to the multiple that the networks ask for."""
        return np.concatenate((rows, rows[:1].repeat(-len(rows) % self._multiple)))


def _merged(
    parts: Sequence[npt.NDArray[Any]], places: Sequence[Integers], filling: float
) -> npt.NDArray[Any]:
    """One array from those of all groups, filled up on the right.

    Args:
        parts: of each group, with filling rows at the end.
        places: where the rows of each group belong.
        filling: the value of the columns that a narrower group lacks.
    """
    if len(parts) == 1:
        return parts[0][: len(places[0])]
    shape = sum(map(len, places)), max(part.shape[1] for part in parts)
    whole = np.full(shape, filling, parts[0].dtype)
    for part, rows in zip(parts, places, strict=True):
        whole[rows, : part.shape[1]] = part[: len(rows)]
    return whole
