"""Which continuations of the open hypotheses are kept: the best of a beam, or drawn at random.

B sentences   N hypotheses   Q at most so many of one sentence   C candidates of one hypothesis
M candidates that are kept   V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.scorer import Scores, largest
from dragoman.search.demand import Demand
from dragoman.search.trail import NOTHING, Integers, Open

Numbers = npt.NDArray[np.floating[Any]]


class Chosen(NamedTuple):
    """Hypotheses with one token more, in the order of sentences."""

    log_probs: npt.NDArray[np.float64]
    """[M]."""
    parents: Integers
    """Which hypothesis each continues, [M]."""
    tokens: Integers
    """[M]."""


class Best:
    """The best continuations of each sentence."""

    def __init__(self, options: SearchOptions, demands: Sequence[Demand]) -> None:
        self.top, self.diversity, self.demands = options.beam, options.diversity, demands
        self.constrained = [i for i, demand in enumerate(demands) if demand.must]

    def __call__(
        self, scores: Scores, now: Open, room: Integers, history: Integers | None
    ) -> Chosen:
        """Keep as many continuations of each sentence as it has ``room`` for, [B].

        ``history`` [N, t] (:meth:`Trail.history`) is needed where a demand asks for words.
        """
        said: list[tuple[int, ...]] = []
        if self.constrained and history is not None:
            said = [tuple(i for i in row if i != NOTHING) for row in history.tolist()]
        tokens, steps = self._candidates(scores, now, said)
        totals = now.log_probs[:, None] + steps  # [N, C]
        first = np.flatnonzero(np.diff(now.sentences, prepend=-1))
        counts = np.diff(first, append=len(totals))
        row = np.repeat(np.arange(len(first)), counts)
        columns = totals.shape[1]
        grid = np.full((len(first), int(counts.max()), columns), -np.inf)  # [B, Q, C]
        grid[row, np.arange(len(row)) - first[row]] = totals
        if self.diversity:  # Li, Monroe & Jurafsky 2016, eq. 3: the n-th child of a parent loses n
            grid -= self.diversity * np.isfinite(grid).cumsum(2)
        flat = grid.reshape(len(first), -1)
        order = np.argsort(-flat, axis=1, kind="stable")[:, : self.top]
        kept = np.isfinite(np.take_along_axis(flat, order, 1))
        for i in np.flatnonzero(np.isin(now.sentences[first], self.constrained)):
            rows = slice(first[i], first[i] + counts[i])
            ranked = self._ranked(totals[rows], tokens[rows], now.sentences[first[i]], said[rows])
            kept[i] = np.arange(order.shape[1]) < len(ranked)
            order[i, : len(ranked)] = ranked
        kept &= np.arange(order.shape[1]) < room[now.sentences[first], None]
        row, place = np.nonzero(kept)
        cell = order[row, place]
        parents, column = first[row] + cell // columns, cell % columns
        return Chosen(totals[parents, column], parents, tokens[parents, column])

    def _candidates(
        self, scores: Scores, now: Open, said: list[tuple[int, ...]]
    ) -> tuple[Integers, Numbers]:
        """The best next tokens of each hypothesis and those that a demand asks for, [N, C]."""
        steps, tokens = scores.log_probs, scores.tokens
        if tokens is None:
            tokens = largest(steps, self.top)
            asked = (
                [
                    must.lacking(history)[1] if (must := self.demands[sentence].must) else []
                    for sentence, history in zip(now.sentences, said, strict=True)
                ]
                if self.constrained
                else []
            )
            width = max(map(len, asked), default=0)
            more = np.zeros((len(tokens), width), np.int64)
            for row, wanted in enumerate(asked):
                new = [token for token in dict.fromkeys(wanted) if token not in tokens[row]]
                more[row, : len(new)] = new
            tokens = np.concatenate((tokens, more), 1)
            steps = np.take_along_axis(steps, tokens, 1)  # padding, token 0, is never said
        return tokens, steps

    def _ranked(
        self,
        totals: npt.NDArray[np.float64],
        tokens: Integers,
        sentence: int,
        said: list[tuple[int, ...]],
    ) -> Integers:
        """The order of candidates of a sentence whose output must hold something."""
        demand = self.demands[sentence]
        assert demand.must is not None
        left = demand.most - len(said[0])
        ranked: Integers = demand.must.ranked(totals, tokens, said, left)[: self.top]
        return ranked


class Drawn:
    """One continuation of each hypothesis, at random."""

    def __init__(self, options: SearchOptions, demands: Sequence[Demand]) -> None:
        self.options, self.top = options, options.top_k or None
        self.random = [np.random.default_rng(demand.seed) for demand in demands]

    def __call__(
        self, scores: Scores, now: Open, room: Integers, history: Integers | None
    ) -> Chosen:
        """Draw a token for each hypothesis; the numbers of a sentence are its own."""
        rows = np.arange(len(now.sentences))
        sentences, first, row = np.unique(now.sentences, return_index=True, return_inverse=True)
        numbers = np.stack([self.random[i].random(self.options.n_best) for i in sentences])
        uniform = numbers[row, rows - first[row]]
        steps, tokens = scores.log_probs.astype(np.float64), scores.tokens
        if self.top is not None:
            if tokens is None:
                tokens = largest(steps, self.top)
                steps = np.take_along_axis(steps, tokens, 1)
        column = draw(steps / self.options.temperature, uniform, self.options.top_p)
        chosen = column if tokens is None else tokens[rows, column]
        return Chosen(now.log_probs + steps[rows, column], rows, chosen)


def draw(logits: Numbers, uniform: Numbers, top_p: float) -> Integers:
    """Draw one column of each row of ``logits`` [N, C] by the number ``uniform`` [N] in [0, 1).

    With ``top_p`` below 1 from the fewest columns that together have at least that probability
    (Holtzman 2020).
    """
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    if top_p < 1:
        order = np.argsort(-shares, axis=1, kind="stable")
        ordered = np.take_along_axis(shares, order, 1)
        before = ordered.cumsum(1) - ordered
        np.put_along_axis(shares, order, np.where(before < top_p, ordered, 0.0), 1)
    sums = shares.cumsum(1)
    return np.asarray((sums <= uniform[:, None] * sums[:, -1:]).sum(1), dtype=np.int64)
