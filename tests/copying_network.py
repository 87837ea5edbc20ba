"""A network that says its source again, or in another order, and attends to each word it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dragoman.config.options import SideOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS
from dragoman.data.vocabulary import train_tokenizer
from dragoman.search.batched import BatchedScorer
from dragoman.search.choose import largest
from dragoman.search.network import Query, Scores
from dragoman.search.translator import Translator
from table_network import TableRows

Order = Callable[[int], Sequence[int]]
"""From the number of source tokens to the positions that the output says, in their order."""


class CopyingNetwork:
    copies, attends, concurrency, multiple = False, True, 1, 16

    def __init__(self, vocabulary: int, order: Order = range) -> None:
        self.vocabulary, self.order = vocabulary, order

    def encode(self, sources: Sequence[Source], width: int) -> tuple[TableRows, TableRows]:
        self.width = width
        return TableRows(source.ids.tolist() for source in sources), TableRows([0] * len(sources))

    def step(self, query: Query, state: TableRows, memory: TableRows) -> tuple[Scores, TableRows]:
        tokens, cells, slots, top, never = query
        table = np.full((len(tokens), self.vocabulary), -20.0, np.float32)
        weights = np.full((len(tokens), self.width), 0.01, np.float32)
        for row, (cell, done) in enumerate(zip(cells, state, strict=True)):
            ids = memory[cell // slots]
            order = [*self.order(len(ids)), len(ids)]
            at = order[min(done, len(order) - 1)]
            weights[row, at] = 1.0
            table[row, EOS if at == len(ids) else ids[at]] = 0.0
        table[:, list(never)] = -np.inf
        words = largest(table, top) if top else None
        found = table if words is None else np.take_along_axis(table, words, 1)
        return Scores(found, words, weights), TableRows(done + 1 for done in state)


def copying(
    texts: Sequence[str], level: str = "word", order: Order = range, longest: int = 100
) -> Translator:
    """A translator that says the words of these texts again, in this order."""
    options = SideOptions(level=level, vocabulary=500, lowercase=False)  # type: ignore[arg-type]
    tokens = train_tokenizer(texts, options)
    network = CopyingNetwork(len(tokens), order)
    return Translator(BatchedScorer(network), [tokens], tokens, longest)
