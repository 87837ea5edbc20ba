"""The search loop: greedy, beam or sampled, one token of every hypothesis at a time.

B sentences at work   N open hypotheses   S source positions
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK
from dragoman.search.batched import BatchedScorer
from dragoman.search.choose import Continuations, best_continuations, drawn_continuations
from dragoman.search.constraints import Constraints, constrain
from dragoman.search.hypotheses import NONE_FOUND, Frontier, Hypothesis, Trail, coverage, normalized
from dragoman.search.network import Integers, Numbers

Sentence = tuple[tuple[Source, ...], Constraints]
"""One sentence as each model reads it, and the constraints on its output."""

_WORTH_FILLING = 0.25
"""New sentences begin once this share of the batch's beams is free."""


def search(
    scorer: BatchedScorer,
    sentences: Iterable[Sentence | None],
    options: SearchOptions,
    *,
    attention: bool = False,
    batch_size: int | None = None,
    observer: Callable[[Frontier], None] | None = None,
) -> Iterator[tuple[int, list[Hypothesis]]]:
    """Find the best outputs of each sentence, or draw outputs at random.

    A hypothesis that ends leaves the beam and the batch. A sentence is done when as many hypotheses
    have ended as the beam is wide, or when no open one can still be among the best
    ``options.n_best``; with random draws, when all have ended. Other sentences then take its place.

    Args:
        scorer: the model.
        sentences: read as there is room; there is less padding if neighbours are of like length.
            None means "no more for now": search goes on with the sentences at work and asks again
            before the next step. None must not come while no sentence is at work.
        options: how to search.
        attention: keep the attention weights.
        batch_size: most sentences searched at the same time; None: all.
        observer: called before every step with the hypotheses that are open.

    Yields:
        The place of a sentence in ``sentences`` and all its finished hypotheses, best first, as
        soon as it is done. There is at least one, and the first ``options.n_best`` are the best
        that search found.
    """
    top = (options.top_k or None) if options.temperature > 0 else options.beam
    never = [PAD, BOS, UNK]
    if options.unknown == "keep" or (options.unknown == "copy" and scorer.attends):
        never.remove(UNK)
    looks_back = attention or options.coverage_penalty > 0 or options.unknown == "copy"
    batch = _Batch(scorer, iter(sentences), options, attention, batch_size)
    while batch.fill():
        frontier, constraints = batch.frontier, batch.constraints
        if observer is not None:
            observer(frontier)
        history = batch.trail.history() if options.no_repeat or batch.by_history else None
        scores, batch.state = scorer.step(
            frontier.tokens, batch.state, top if history is None else None, never
        )
        if history is not None:
            constrain(scores.log_probs, frontier, history, constraints, options.no_repeat)
        if looks_back:
            batch.trail.weights[-1] = scores.weights
        if options.temperature > 0:
            chosen = drawn_continuations(scores, frontier, batch.random, options)
        else:
            chosen = best_continuations(scores, frontier, batch.room, constraints, history, options)
        yield from batch.advance(chosen)


@dataclass(slots=True)
class _Batch:
    """The sentences at work; a sentence that is done makes room for another.

    Otherwise most steps would be spent on the few longest outputs of a batch.

    Sentences at work are numbered from 0, in the order in which they began; lists and arrays over
    sentences have an entry for each at its number. When others begin, those that are done are
    dropped and the rest are numbered anew, so that memory does not grow with the input.
    """

    scorer: BatchedScorer
    waiting: Iterator[Sentence | None]
    options: SearchOptions
    attention: bool
    batch_size: int | None
    state: Any = None
    frontier: Frontier = field(default_factory=lambda: Frontier(*np.zeros((5, 0), np.int64)))
    trail: Trail = field(default_factory=Trail)
    by_history: bool = False
    """Whether the constraints of a sentence at work depend on its tokens so far."""
    begun: int = 0
    """How many sentences have begun."""
    places: list[int] = field(default_factory=list)
    """Place of each sentence at work among all that have begun."""
    constraints: list[Constraints] = field(default_factory=list)
    random: list[np.random.Generator] = field(default_factory=list)
    """The generator of each sentence's draws."""
    ended: list[list[Hypothesis]] = field(default_factory=list)
    """Finished hypotheses of each sentence, best first; emptied when the sentence is done."""
    room: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """How many hypotheses of each sentence may stay open; 0 when it is done."""
    max_length: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    threshold: Numbers = field(default_factory=lambda: np.zeros(0))
    """Score of the last of the ``n_best`` finished hypotheses; minus infinity: not yet so many."""

    def fill(self) -> bool:
        """Begin new sentences if enough beams are free; False when all sentences are done."""
        count = None
        if self.batch_size is not None:
            count = self.batch_size - -(-int(self.room.sum()) // self.options.hypotheses)
            at_work = len(self.frontier.sentences) > 0
            if count < (max(1, self.batch_size * _WORTH_FILLING) if at_work else 1):
                count = 0
        if more := list(islice(iter(self.waiting.__next__, None), count)):
            self._begin(more)
        self.trail.add(self.frontier)
        return len(self.frontier.sentences) > 0

    def _begin(self, more: Sequence[Sentence]) -> None:
        """Give ``more`` sentences the next numbers, and their first hypotheses."""
        self._drop_done()
        options, now, at_work = self.options, self.frontier, len(self.constraints)
        asked = [constraints for _, constraints in more]
        self.places += range(self.begun, self.begun + len(more))
        self.begun += len(more)
        self.constraints += asked
        self.ended += [[] for _ in more]
        self.room = np.append(self.room, np.full(len(more), options.hypotheses))
        self.max_length = np.append(self.max_length, [one.max_length for one in asked])
        self.threshold = np.append(self.threshold, np.full(len(more), -np.inf))
        state = self.scorer.start([sources for sources, _ in more], options.hypotheses)
        rows = np.arange(len(more))
        if options.temperature > 0:  # drawn apart from the start
            self.random += [np.random.default_rng(one.seed) for one in asked]
            rows = rows.repeat(options.hypotheses)
            state = self.scorer.select(state, rows)
        self.state = self.scorer.join(self.state, state) if len(now.sentences) else state
        nothing = np.zeros(len(rows), np.int64)
        first = Frontier(at_work + rows, np.zeros(len(rows)), nothing, nothing + BOS, nothing - 1)
        self.frontier = Frontier._make(map(np.concatenate, zip(now, first, strict=True)))
        self.by_history = any(one.by_history for one in self.constraints)

    def _drop_done(self) -> None:
        """Keep what belongs to sentences at work, and number these anew."""
        left = np.flatnonzero(self.room)
        sentences = np.searchsorted(left, self.frontier.sentences)
        self.frontier = self.frontier._replace(sentences=sentences)
        self.room, self.max_length = self.room[left], self.max_length[left]
        self.threshold = self.threshold[left]
        self.places = [self.places[i] for i in left]
        self.constraints = [self.constraints[i] for i in left]
        self.ended = [self.ended[i] for i in left]
        if self.random:
            self.random = [self.random[i] for i in left]

    def advance(self, chosen: Continuations) -> Iterator[tuple[int, list[Hypothesis]]]:
        """Finish the hypotheses that end here, keep the others open; yields the sentences done."""
        now = self.frontier
        sentences = now.sentences[chosen.parents]
        ends = (chosen.tokens == EOS) | (now.lengths[chosen.parents] >= self.max_length[sentences])
        for ending in np.flatnonzero(ends).tolist():
            self._end(chosen, ending, int(sentences[ending]))
        goes_on = ~ends
        if not self.options.temperature:
            # Log-probabilities only fall, and coverage is never above 0: the best that can come of
            # an open hypothesis is today's log-probability at the greatest length. A sentence goes
            # on while one of its hypotheses can still be among the wanted ones.
            bounds = normalized(chosen.log_probs, self.max_length[sentences] + 1.0, self.options)
            best = np.full(len(self.room), -np.inf)
            np.maximum.at(best, sentences, np.where(goes_on, bounds, -np.inf))
            goes_on &= (best > self.threshold)[sentences]
        parents = chosen.parents[goes_on]
        self.frontier = Frontier(
            sentences[goes_on],
            chosen.log_probs[goes_on],
            now.lengths[parents] + 1,
            chosen.tokens[goes_on],
            parents,
        )
        self.state = self.scorer.select(self.state, parents) if len(parents) else None
        done = sorted({*now.sentences.tolist()} - {*self.frontier.sentences.tolist()})
        self.room[done] = 0
        for number in done:
            found, self.ended[number] = self.ended[number], []
            yield self.places[number], found or [NONE_FOUND]

    def _end(self, chosen: Continuations, i: int, sentence: int) -> None:
        """Add hypothesis ``i`` of the chosen ones to the finished hypotheses of its sentence."""
        options, source = self.options, self.constraints[sentence].source_length
        path, token = self.trail.path(int(chosen.parents[i])), int(chosen.tokens[i])
        ids = [int(step.tokens[row]) for step, _, row in path[1:]]
        totals = [float(step.log_probs[row]) for step, _, row in path]
        ids += [] if token == EOS else [token]
        log_prob = float(chosen.log_probs[i])
        score = normalized(log_prob, float(len(path)), options)
        steps = tuple(after - before for before, after in pairwise([*totals, log_prob]))
        weights = None
        if self.attention or options.coverage_penalty or UNK in ids:
            known = [weights[row, : source + 1] for _, weights, row in path if weights is not None]
            if known:
                weights = np.stack(known)
                score += coverage(weights, source, options)
        ended = self.ended[sentence]
        ended.append(Hypothesis(tuple(ids), log_prob, score, token == EOS, steps, weights))
        ended.sort(key=lambda hypothesis: -hypothesis.score)
        self.room[sentence] -= 1
        if len(ended) >= options.n_best:
            self.threshold[sentence] = ended[options.n_best - 1].score
