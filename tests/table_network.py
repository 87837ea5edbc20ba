"""A network that is a table of probabilities, made by a formula from the whole history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS, EOS
from dragoman.search.batched import BatchedScorer
from dragoman.search.choose import largest
from dragoman.search.constraints import Constraints, constraints_of
from dragoman.search.hypotheses import Hypothesis
from dragoman.search.loop import search
from dragoman.search.network import Query, Scores

VOCABULARY = 8  # four special tokens and four words
WORDS = range(4, VOCABULARY)


class TableRows(list[Any]):
    """Sources of sentences, or histories of hypotheses."""

    def select(self, rows: np.ndarray) -> TableRows:
        return TableRows(self[row] for row in rows)

    def join(self, more: TableRows) -> TableRows:
        return TableRows([*self, *more])


class TableNetwork:
    """Next-token scores that depend on the whole history; counts the hypotheses that it scores."""

    copies, attends, concurrency, multiple = False, True, 1, 16

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rows = 0

    def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
        random = np.random.default_rng((self.seed, source, *history))
        scores = random.normal(size=VOCABULARY) * 2
        return (scores - np.log(np.exp(scores).sum())).astype(np.float32)

    def encode(self, sources: Sequence[Source], width: int) -> tuple[TableRows, TableRows]:
        assert width % 8 == 0 and all(len(s) < width for s in sources)
        return TableRows(int(s.ids[0]) for s in sources), TableRows([()] * len(sources))

    def step(self, query: Query, state: TableRows, memory: TableRows) -> tuple[Scores, TableRows]:
        tokens, cells, slots, top, never = query
        assert len(tokens) == len(state) == len(cells) and len(tokens) % 16 == 0
        assert cells.max() < len(memory) * slots and len(memory) % 16 == 0
        real = len({*cells.tolist()})  # the others are copies of the first
        assert (cells[real:] == cells[0]).all()
        histories = TableRows((*old, int(t)) for old, t in zip(state, tokens, strict=True))
        sources = [memory[cell // slots] for cell in cells]
        table = np.array([self.log_probs(s, h) for s, h in zip(sources, histories, strict=True)])
        self.rows += real
        weights = np.exp(table[:, :2])
        table[:, list(never)] = -np.inf
        words, found = None, table.copy()
        if top:
            words = largest(table, top)
            found = np.take_along_axis(table, words, 1)
        return Scores(found, words, weights), histories


class ShortNetwork(TableNetwork):
    """Ends for certain after three words, so that all outputs can be listed."""

    def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
        scores = super().log_probs(source, history)
        if len(history) > 3:
            scores = np.full_like(scores, -np.inf)
            scores[EOS] = 0.0
        return scores


def source(number: int) -> Source:
    return Source(np.array([number], dtype=np.int32))


def plain(options: SearchOptions, number: int) -> Constraints:
    return constraints_of(options, source(number))


def outputs(
    network: TableNetwork | BatchedScorer,
    numbers: Sequence[int | tuple[int, ...]],
    options: SearchOptions,
    constraints: Sequence[Constraints] | None = None,
    **more: Any,
) -> list[list[Hypothesis]]:
    """The hypotheses of each source, in order; a source is a number, or one a model."""
    scorer = BatchedScorer(network) if isinstance(network, TableNetwork) else network
    sources = [tuple(map(source, (n,) if isinstance(n, int) else n)) for n in numbers]
    asked = constraints or [constraints_of(options, first) for first, *_ in sources]
    found = dict(search(scorer, zip(sources, asked, strict=True), options, **more))
    assert sorted(found) == [*range(len(numbers))]
    return [found[number] for number in range(len(numbers))]


def total(network: TableNetwork, number: int, ids: tuple[int, ...]) -> float:
    """Log-probability of a whole output, by the chain rule."""
    value, history = 0.0, (BOS,)
    for token in (*ids, EOS):
        value += float(network.log_probs(number, history)[token])
        history = (*history, token)
    return value
