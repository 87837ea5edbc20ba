"""The search loop: greedy, beam or sampled, one token of every hypothesis at a time.

B sentences at work   N open hypotheses   S source positions
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK
from dragoman.search.batched import BatchedScorer
from dragoman.search.choose import Continuations, best_continuations, drawn_continuations
from dragoman.search.constraints import Constraints, constrain
from dragoman.search.hypotheses import NONE_FOUND, Frontier, Hypothesis, Trail, coverage, normalized

_WORTH_FILLING = 0.25
"""Sentences begin when there is place for this share of the beams that fit in."""


class Sentence(NamedTuple):
    """One sentence to search an output for."""

    sources: tuple[Source, ...]
    """What each model reads of it."""
    constraints: Constraints


def search(
    scorer: BatchedScorer,
    sentences: Iterable[Sentence],
    options: SearchOptions,
    *,
    attention: bool = False,
    batch_size: int | None = None,
    observer: Callable[[Frontier], None] | None = None,
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """Find the best outputs of each sentence, or draw outputs at random.

    A hypothesis that ends gives up its place in the beam, and leaves the batch. A sentence is done
    when as many as the beam is wide have ended, or when none that is open can still be among the
    ``options.n_best``. (With random draws, when all have ended.) Others then take its place.

    Args:
        scorer: the model.
        sentences: taken as there is room; less is padded when neighbours are about as long.
        options: how to search.
        attention: keep the attention weights.
        batch_size: whole beams that are at work together; None: as many as there are sentences.
        observer: called before every step with the hypotheses that are open.

    Yields:
        The number of a sentence and its hypotheses, best first, as soon as it is done. At least
        one, and all that ended: of these ``options.n_best`` are the best that there are.
    """
    by_history = options.no_repeat > 0
    top = (options.top_k or None) if options.temperature > 0 else options.beam
    never = [PAD, BOS, UNK]
    if options.unknown == "keep" or (options.unknown == "copy" and scorer.attends):
        never.remove(UNK)
    batch = _Batch(scorer, iter(sentences), options, attention, batch_size)
    while batch.fill():
        frontier, constraints = batch.frontier, batch.constraints
        if observer is not None:
            observer(frontier)
        history = None
        if by_history or batch.by_history:
            history = batch.trail.history()
        scores, batch.state = scorer.step(
            frontier.tokens, batch.state, top if history is None else None, never
        )
        if history is not None:
            constrain(scores.log_probs, frontier, history, constraints, options.no_repeat)
        if batch.looks_back:
            batch.trail.weights[-1] = scores.weights
        if options.temperature > 0:
            chosen = drawn_continuations(scores, frontier, batch.random, options)
        else:
            chosen = best_continuations(scores, frontier, batch.room, constraints, history, options)
        yield from batch.advance(chosen)


@dataclass(slots=True)
class _AtWork:
    """A sentence whose outputs are being searched for."""

    number: int
    constraints: Constraints
    ended: list[Hypothesis] = field(default_factory=list)
    """Best first."""


class _Batch:
    """The sentences at work: those that are done make room for others.

    With a batch that is left to run out, most steps would be those of a few long outputs.
    """

    def __init__(
        self,
        scorer: BatchedScorer,
        waiting: Iterator[Sentence],
        options: SearchOptions,
        attention: bool,
        batch_size: int | None,
    ) -> None:
        self.scorer, self.waiting, self.options = scorer, waiting, options
        self.attention, self.batch_size = attention, batch_size
        self.looks_back = attention or options.coverage_penalty > 0 or options.unknown == "copy"
        self.begun = 0
        self.exhausted = False
        self.state: Any = None
        none = np.zeros(0, np.int64)
        self.frontier = Frontier(none, np.zeros(0), none, none, none)
        self.trail = Trail()
        self.sentences: list[_AtWork] = []
        self.constraints: list[Constraints] = []
        self.random: list[np.random.Generator] = []
        """Of the random draws of each sentence."""
        self.by_history = False
        """Whether the constraints of a sentence at work depend on its tokens so far."""
        self.open = np.zeros(0, np.bool_)
        """Whether each sentence still has open hypotheses, [B]; the others leave at a filling."""
        self.room = none
        """How many hypotheses each sentence may still have, [B]; 0 where none is open."""
        self.max_length = none
        self.threshold = np.zeros(0)
        """The score of the worst hypothesis that is wanted, [B]; minus infinity: not yet enough."""

    def fill(self) -> bool:
        """Begin sentences where there is place for a good many; False when all are done."""
        beam, count = self.options.hypotheses, None
        at_work = len(self.frontier.sentences) > 0
        if self.batch_size is not None:
            count = self.batch_size - -(-int(self.room.sum()) // beam)
            enough = max(1, self.batch_size * _WORTH_FILLING) if at_work else 1
            count = count if count >= enough else 0
        if not self.exhausted and count != 0:
            more = list(islice(self.waiting, count))
            self.exhausted = count is None or len(more) < count
            if more:
                self._begin(more)
        self.trail.add(self.frontier)
        return len(self.frontier.sentences) > 0

    def _begin(self, more: list[Sentence]) -> None:
        """Give the sentences that are still at work new positions, and ``more`` the next ones."""
        options, now, still = self.options, self.frontier, np.flatnonzero(self.open)
        self.sentences = [self.sentences[i] for i in still]
        for position, sentence in enumerate(more, self.begun):
            self.sentences.append(_AtWork(position, sentence.constraints))
        self.begun += len(more)
        self.constraints = [one.constraints for one in self.sentences]
        self.by_history = any(constraints.by_history for constraints in self.constraints)
        if options.temperature > 0:
            seeds = [constraints.seed for _, constraints in more]
            self.random = [self.random[i] for i in still] + list(map(np.random.default_rng, seeds))
        self.open = np.ones(len(self.sentences), np.bool_)
        self.room = np.concatenate((self.room[still], np.full(len(more), options.hypotheses)))
        self.max_length = np.array([constraints.max_length for constraints in self.constraints])
        self.threshold = np.concatenate((self.threshold[still], np.full(len(more), -np.inf)))
        copies = options.hypotheses if options.temperature > 0 else 1  # drawn apart from the start
        rows = np.repeat(np.arange(len(more)), copies)
        state = self.scorer.start([sources for sources, _ in more], options.hypotheses)
        if copies > 1:
            state = self.scorer.select(state, rows)
        self.state = self.scorer.join(self.state, state) if len(now.sentences) else state
        size = len(rows)
        self.frontier = Frontier(
            np.concatenate((np.searchsorted(still, now.sentences), len(still) + rows)),
            np.concatenate((now.log_probs, np.zeros(size))),
            np.concatenate((now.lengths, np.zeros(size, np.int64))),
            np.concatenate((now.tokens, np.full(size, BOS))),
            np.concatenate((now.parents, np.full(size, -1))),
        )

    def advance(self, chosen: Continuations) -> Iterator[tuple[int, list[Hypothesis]]]:
        """Put aside what ends here, and go on with the others; gives the sentences now done."""
        now = self.frontier
        sentences = now.sentences[chosen.parents]
        ends = (chosen.tokens == EOS) | (now.lengths[chosen.parents] >= self.max_length[sentences])
        for ending in np.flatnonzero(ends).tolist():
            self._end(chosen, ending, int(sentences[ending]))
        goes_on = ~ends
        if not self.options.temperature:
            goes_on &= self._may_win(chosen.log_probs, sentences, goes_on)
        parents = chosen.parents[goes_on]
        self.frontier = Frontier(
            sentences[goes_on],
            chosen.log_probs[goes_on],
            now.lengths[parents] + 1,
            chosen.tokens[goes_on],
            parents,
        )
        self.state = self.scorer.select(self.state, parents) if len(parents) else None
        still = np.zeros_like(self.open)
        still[self.frontier.sentences] = True
        done = np.flatnonzero(self.open & ~still)
        self.open, self.room[done] = still, 0
        for i in done.tolist():
            sentence = self.sentences[i]
            yield sentence.number, sentence.ended or [NONE_FOUND]

    def _may_win(
        self,
        log_probs: npt.NDArray[np.float64],
        sentences: npt.NDArray[np.int64],
        goes_on: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_]:
        """Whether an open hypothesis of the same sentence can still be among the wanted ones.

        Log-probabilities only fall, and coverage is never above 0: the best that can come of an
        open hypothesis is today's log-probability at the greatest length.
        """
        bounds = normalized(log_probs, self.max_length[sentences] + 1.0, self.options)
        best = np.full(len(self.room), -np.inf)
        np.maximum.at(best, sentences, np.where(goes_on, bounds, -np.inf))
        return np.asarray((best > self.threshold)[sentences])

    def _end(self, chosen: Continuations, i: int, sentence: int) -> None:
        """Put aside the finished hypothesis ``i`` of the chosen ones."""
        ended, wanted = self.sentences[sentence].ended, self.options.n_best
        ended.append(self._hypothesis(chosen, i, self.constraints[sentence].source_length))
        ended.sort(key=lambda hypothesis: -hypothesis.score)
        self.room[sentence] -= 1
        if len(ended) >= wanted:
            self.threshold[sentence] = ended[wanted - 1].score

    def _hypothesis(self, chosen: Continuations, i: int, source: int) -> Hypothesis:
        path, token = self.trail.path(int(chosen.parents[i])), int(chosen.tokens[i])
        ids = [int(step.tokens[row]) for step, _, row in path[1:]]
        totals = [float(step.log_probs[row]) for step, _, row in path]
        ids += [] if token == EOS else [token]
        log_prob = float(chosen.log_probs[i])
        score = normalized(log_prob, float(len(path)), self.options)
        steps = tuple(after - before for before, after in pairwise([*totals, log_prob]))
        weights = None
        if self.attention or self.options.coverage_penalty or UNK in ids:
            known = [weights[row, : source + 1] for _, weights, row in path if weights is not None]
            if known:
                weights = np.stack(known)
                score += coverage(weights, source, self.options)
        return Hypothesis(tuple(ids), log_prob, score, token == EOS, steps, weights)
