"""Scores next tokens with one network or several, many sentences of one padded width at a time.

    N hypotheses, those of a sentence side by side   B sentences   S source positions   V vocabulary
    C best words   Q slots: most hypotheses of a sentence

The numbers of a hypothesis do not depend on which others are computed with it, as long as the
networks compute every row of a batch alike:

- A source is padded to a width that is a function of its own length (:func:`padded_width`), and
  computed only with sources of the same width.
- The rows are filled with copies of the first to a multiple that the networks ask for, since matrix
  libraries may compute the last few rows of other numbers by other instructions.
- Attention is computed over Q slots of every sentence, however many are taken.

``tests/search/test_invariance.py`` holds this bit for bit.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from dragoman.data.source import Source
from dragoman.search.choose import starts
from dragoman.search.network import Integers, Network, Query, Rows, Scores

WIDTH = 16
"""Sources are padded to a multiple of this many positions."""
_WORTH_LEAVING = 0.75
"""Encoded sentences are dropped when no more than this share of them is still needed."""


class BatchedState(NamedTuple):
    """The state of N hypotheses in every network."""

    memories: tuple[Rows, ...]
    """Encoded sentences, for each network; filling included."""
    states: tuple[Rows, ...]
    """States of the hypotheses, for each network; filling included."""
    sentences: Integers
    """Which row of the memories each hypothesis reads, ascending, [N]."""
    cells: Integers
    """Sentence x Q + number within the sentence, filling included."""
    slots: int
    """Q."""


def padded_width(sources: Sequence[Source]) -> int:
    """The width to which a sentence is padded, from how each network of an ensemble reads it."""
    return -(-(1 + max(map(len, sources))) // WIDTH) * WIDTH  # with the end token


class BatchedScorer:
    """Scores next tokens for search, which hands the states back without looking into them.

    Args:
        networks: encode sentences and score next tokens. Several give the mean of their
            probabilities and the attention of the first. Their weights must not change.
    """

    def __init__(self, *networks: Network) -> None:
        self.networks = networks
        self.copies, self.attends = networks[0].copies, networks[0].attends
        self._multiple = max(network.multiple for network in networks)
        self.concurrency = min(network.concurrency for network in networks)
        """How many batches may be searched at the same time, one thread each."""

    def start(self, sentences: Sequence[Sequence[Source]], slots: int) -> BatchedState:
        """Encode sentences; the state has one hypothesis each.

        Args:
            sentences: for each sentence, the source of every network; all of one padded width.
            slots: most hypotheses of a sentence at any later step.
        """
        numbers, width = np.arange(len(sentences)), padded_width(sentences[0])
        rows = self._filled(numbers)
        pairs = zip(self.networks, zip(*(sentences[i] for i in rows), strict=True), strict=True)
        memories, states = zip(*(n.encode(read, width) for n, read in pairs), strict=True)
        return BatchedState(memories, states, numbers, rows * slots, slots)

    def step(
        self, tokens: Integers, state: BatchedState, top: int = 0, never: Sequence[int] = ()
    ) -> tuple[Scores, BatchedState]:
        """Score what follows the last tokens [N], by one call of each network.

        Args:
            tokens: the last token of each hypothesis.
            state: of these hypotheses.
            top: score only the C most probable words; 0: all. Several networks score all, which
                their mean needs.
            never: words whose probability is set to zero.
        """
        alone = len(self.networks) == 1
        query = Query(self._filled(tokens), state.cells, state.slots, top if alone else 0, never)
        parts = zip(self.networks, state.states, state.memories, strict=True)
        steps = [network.step(query, part, memory) for network, part, memory in parts]
        found, after = zip(*steps, strict=True)
        scores = found[0] if alone else mean(found)
        real = Scores._make(None if one is None else one[: len(tokens)] for one in scores)
        return real, state._replace(states=after)

    def select(self, state: BatchedState, parents: Integers) -> BatchedState:
        """The states of the hypotheses ``parents`` [N'], in the order of their sentences.

        Sentences that are no longer needed are left out.
        """
        if np.array_equal(parents, np.arange(len(state.sentences))):
            return state
        sentences, memories = state.sentences[parents], state.memories
        left = sentences[starts(sentences)]
        if len(self._filled(left)) <= _WORTH_LEAVING * len(memories[0]):
            memories = tuple(memory.select(self._filled(left)) for memory in memories)
            sentences = np.searchsorted(left, sentences)
        return self._chosen(state._replace(memories=memories), parents, sentences)

    def join(self, state: BatchedState, more: BatchedState) -> BatchedState:
        """The hypotheses of one state, then those of another of the same padded width."""
        count = len(state.sentences)
        rows = np.arange(count + len(more.sentences))
        rows[count:] += len(state.states[0]) - count  # after the filling of the first
        sentences = np.concatenate((state.sentences, more.sentences + len(state.memories[0])))
        memories, states = (
            tuple(part.join(added) for part, added in zip(*parts, strict=True))
            for parts in ((state.memories, more.memories), (state.states, more.states))
        )
        return self._chosen(state._replace(memories=memories, states=states), rows, sentences)

    def _chosen(self, state: BatchedState, rows: Integers, sentences: Integers) -> BatchedState:
        """The hypotheses ``rows`` of the states, of these ``sentences`` of the memories."""
        first = starts(sentences)
        number = np.arange(len(sentences)) - np.repeat(first, np.diff(first, append=len(sentences)))
        states = tuple(part.select(self._filled(rows)) for part in state.states)
        cells = self._filled(sentences * state.slots + number)
        return BatchedState(state.memories, states, sentences, cells, state.slots)

    def _filled(self, rows: Integers) -> Integers:
        """``rows``, and the first of them again up to the multiple that the networks ask for."""
        return np.concatenate((rows, rows[:1].repeat(-len(rows) % self._multiple)))


def mean(answers: Sequence[Scores]) -> Scores:
    """The logarithm of the arithmetic mean of the probabilities of an ensemble's members.

    Args:
        answers: each member's scores of all words, [N, V]; attention is taken from the first.
    """
    parts = [scores.log_probs for scores in answers]
    # A word of another sentence's own is impossible for every member: keep -inf - -inf away.
    highest = np.maximum(reduce(np.maximum, parts), np.finfo(parts[0].dtype).min)
    shares = sum(np.exp(part - highest) for part in parts)
    with np.errstate(divide="ignore"):
        together = highest + np.log(shares / len(parts))
    return Scores(together, None, answers[0].weights)
