"""A model that is a table of probabilities, made by a formula from the whole history."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np

from dragoman.data.tokenizer import BOS, EOS
from dragoman.scorer import Scores, largest

VOCABULARY = 8  # four special tokens and four words
WORDS = range(4, VOCABULARY)


class TableState(NamedTuple):
    sources: list[int]  # of each hypothesis
    histories: list[tuple[int, ...]]
    sentences: list[int]


class TableScorer:
    """Next-token scores that depend on the whole history; counts what it is asked."""

    copies, attends = False, True

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rows = 0

    def at_once(self) -> AbstractContextManager[int]:
        return nullcontext(1)

    def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
        random = np.random.default_rng((self.seed, source, *history))
        scores = random.normal(size=VOCABULARY) * 2
        return (scores - np.log(np.exp(scores).sum())).astype(np.float32)

    def start(self, sources: Sequence[np.ndarray], beam: int, *, int8: bool = False) -> TableState:
        return TableState([int(s[0]) for s in sources], [()] * len(sources), [*range(len(sources))])

    def step(
        self,
        tokens: np.ndarray,
        state: TableState,
        top: int | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Scores, TableState]:
        assert len(tokens) == len(state.histories)
        pairs = zip(state.histories, tokens, strict=True)
        histories = [(*old, int(token)) for old, token in pairs]
        table = np.array(
            [self.log_probs(s, h) for s, h in zip(state.sources, histories, strict=True)]
        )
        self.rows += len(table)
        weights = np.exp(table[:, :2])
        table[:, list(never)] = -np.inf
        words, found = None, table.copy()
        if top is not None:
            words = largest(table, top)
            found = np.take_along_axis(table, words, 1)
        return Scores(found, words, weights), state._replace(histories=histories)

    def select(self, state: TableState, parents: np.ndarray) -> TableState:
        sentences = [state.sentences[p] for p in parents]
        assert sentences == sorted(sentences)
        histories = [state.histories[p] for p in parents]
        return TableState([state.sources[p] for p in parents], histories, sentences)

    def join(self, state: TableState, more: TableState) -> TableState:
        later = [state.sentences[-1] + 1 + s for s in more.sentences]
        sources, histories = state.sources + more.sources, state.histories + more.histories
        return TableState(sources, histories, state.sentences + later)


class ShortScorer(TableScorer):
    """Ends for certain after three words, so that all outputs can be listed."""

    def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
        scores = super().log_probs(source, history)
        if len(history) > 3:
            scores = np.full_like(scores, -np.inf)
            scores[EOS] = 0.0
        return scores


def source(number: int) -> np.ndarray:
    return np.array([number], dtype=np.int32)


def total(scorer: TableScorer, number: int, ids: tuple[int, ...]) -> float:
    """Log-probability of a whole output, by the chain rule."""
    value, history = 0.0, (BOS,)
    for token in (*ids, EOS):
        value += float(scorer.log_probs(number, history)[token])
        history = (*history, token)
    return value
