"""The search loop: greedy, beam or sampled, one token of every hypothesis at a time.

Sentences of one padded width are searched together, those of other widths in batches of their own
(:mod:`dragoman.search.batched` says why).

N open hypotheses   S source positions
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, pairwise
from typing import Any

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK
from dragoman.search.batched import BatchedScorer, padded_width
from dragoman.search.choose import Asked, best_continuations, drawn_continuations
from dragoman.search.constraints import Constraints, constrain
from dragoman.search.hypotheses import NONE_FOUND, Frontier, Hypothesis, Trail, coverage, normalized
from dragoman.search.network import Integers, Numbers

Sentence = tuple[tuple[Source, ...], Constraints]
"""One sentence as each model reads it, and the constraints on its output."""

_HYPOTHESES = 1024
"""Hypotheses searched at a time when the batch size is "auto"."""
_WORTH_FILLING = 0.25
"""New sentences begin once this share of the batch's beams is free."""


def search(
    scorer: BatchedScorer,
    sentences: Iterable[Sentence | None],
    options: SearchOptions,
    *,
    attention: bool = False,
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
        options: how to search, and how many sentences at the same time.
        attention: keep the attention weights.
        observer: called before every step with the hypotheses that are open.

    Yields:
        The place of a sentence in ``sentences`` and its finished hypotheses, best first, as soon as
        it is done. There is at least one, and the first ``options.n_best`` are the best that search
        found; others may be missing.
    """
    top = options.top_k if options.temperature > 0 else options.beam
    says_unknown = options.unknown == "keep" or (options.unknown == "copy" and scorer.attends)
    never = [PAD, BOS] if says_unknown else [PAD, BOS, UNK]
    waiting, places, batches = iter(sentences), count(), dict[int, _Batch]()
    while True:
        room = sum(int(batch.room.sum()) for batch in batches.values())
        begin: dict[int, list[tuple[int, Sentence]]] = {}
        for sentence in _next(waiting, room, options):
            begin.setdefault(padded_width(sentence[0]), []).append((next(places), sentence))
        for width, some in begin.items():
            batches.setdefault(width, _Batch(scorer, options, attention)).begin(some)
        if not batches:
            return
        for width, batch in [*batches.items()]:
            if observer is not None:
                observer(batch.frontier)
            yield from batch.advance(batch.step(top, never))
            if not len(batch.frontier.sentences):
                del batches[width]


def _next(
    waiting: Iterator[Sentence | None], room: int, options: SearchOptions
) -> Iterator[Sentence]:
    """The sentences that begin now: none until enough beams are free.

    Args:
        waiting: the sentences that have not begun; None where no more come for now.
        room: number of hypotheses that may be open, of all sentences at work.
        options: how to search.
    """
    usual = max(1, _HYPOTHESES // options.hypotheses)
    most = options.batch_size if isinstance(options.batch_size, int) else usual
    free = most - -(-room // options.hypotheses)
    enough = free >= (max(1, most * _WORTH_FILLING) if room else 1)
    return islice(iter(waiting.__next__, None), free if enough else 0)


@dataclass(slots=True)
class _AtWork:
    """A sentence at work."""

    place: int
    """Its place among all sentences that have begun."""
    constraints: Constraints
    random: np.random.Generator | None
    """Draws its outputs."""
    ended: list[Hypothesis] = field(default_factory=list)
    """Finished hypotheses, best first; emptied when the sentence is done."""


@dataclass(slots=True)
class _Batch:
    """The sentences at work that have one padded width.

    A sentence that is done makes room for another. Otherwise most steps would be spent on the few
    longest outputs of a batch.
    """

    scorer: BatchedScorer
    options: SearchOptions
    attention: bool
    at_work: list[_AtWork] = field(default_factory=list)
    """In the order in which they began; the arrays have an entry for each. Those that are done are
    dropped when others begin, so that memory does not grow with the input."""
    room: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """Number of hypotheses of each sentence that may stay open; 0 when it is done."""
    threshold: Numbers = field(default_factory=lambda: np.zeros(0))
    """Score of the last of the ``n_best`` finished hypotheses; minus infinity: not yet so many."""
    state: Any = None
    frontier: Frontier = field(default_factory=lambda: Frontier(*np.zeros((5, 0), np.int64)))
    """Its sentences are numbers of :attr:`at_work`."""
    trail: Trail = field(default_factory=Trail)

    def begin(self, more: Sequence[tuple[int, Sentence]]) -> None:
        """Take sentences, each with its place among all, and give them their first hypotheses."""
        options, now, left = self.options, self.frontier, np.flatnonzero(self.room)
        now = now._replace(sentences=np.searchsorted(left, now.sentences))
        self.at_work = [self.at_work[number] for number in left]
        for place, (_, asked) in more:
            random = np.random.default_rng(asked.seed) if options.temperature > 0 else None
            self.at_work.append(_AtWork(place, asked, random))
        self.room = np.append(self.room[left], np.full(len(more), options.hypotheses))
        self.threshold = np.append(self.threshold[left], np.full(len(more), -np.inf))
        state = self.scorer.start([sources for _, (sources, _) in more], options.hypotheses)
        rows = np.arange(len(more))
        if options.temperature > 0:  # drawn apart from the start
            rows = rows.repeat(options.hypotheses)
            state = self.scorer.select(state, rows)
        self.state = self.scorer.join(self.state, state) if len(now.sentences) else state
        nothing = np.zeros(len(rows), np.int64)
        first = Frontier(len(left) + rows, np.zeros(len(rows)), nothing, nothing + BOS, nothing - 1)
        self.frontier = Frontier._make(map(np.concatenate, zip(now, first, strict=True)))

    def step(self, top: int, never: Sequence[int]) -> Frontier:
        """Score the next tokens of all hypotheses and choose among them.

        Args:
            top: how many words to score, the most probable ones, unless constraints depend on the
                tokens so far; 0: all.
            never: words whose probability is set to zero.
        """
        options, frontier, asked = self.options, self.frontier, list[Asked]()
        bound = options.no_repeat or any(one.constraints.by_history for one in self.at_work)
        top = 0 if bound else top
        scores, self.state = self.scorer.step(frontier.tokens, self.state, top, never)
        self.trail.add(frontier, scores.weights)
        if bound:
            history = self.trail.history()
            mine = [self.at_work[number].constraints for number in frontier.sentences]
            constrain(scores.log_probs, history, mine, options.no_repeat)
            asked += zip(mine, history.tolist(), strict=True)
        if options.temperature > 0:
            random = [one.random for one in self.at_work if one.random is not None]
            return drawn_continuations(scores, frontier, random, options)
        return best_continuations(scores, frontier, self.room, asked, options)

    def advance(self, chosen: Frontier) -> Iterator[tuple[int, list[Hypothesis]]]:
        """Finish the hypotheses that end here, keep the others open; yields the sentences done."""
        before, sentences = {*self.frontier.sentences.tolist()}, chosen.sentences
        longest = np.array([one.constraints.max_length for one in self.at_work])[sentences]
        ends = (chosen.tokens == EOS) | (chosen.lengths > longest)
        for ending in np.flatnonzero(ends).tolist():
            self._end(chosen, ending, int(sentences[ending]))
        goes_on = ~ends
        if not self.options.temperature:
            # Log-probabilities only fall, and coverage is never above 0: the best that can come of
            # an open hypothesis is today's log-probability at the greatest length. A sentence goes
            # on while one of its hypotheses can still be among the wanted ones.
            bounds = normalized(chosen.log_probs, longest + 1.0, self.options)
            best = np.full(len(self.room), -np.inf)
            np.maximum.at(best, sentences, np.where(goes_on, bounds, -np.inf))
            goes_on &= (best > self.threshold)[sentences]
        self.frontier = Frontier._make(part[goes_on] for part in chosen)
        parents = self.frontier.parents
        self.state = self.scorer.select(self.state, parents) if goes_on.any() else None
        for number in sorted(before - {*self.frontier.sentences.tolist()}):
            done, self.room[number] = self.at_work[number], 0
            found, done.ended = done.ended, []
            yield done.place, found or [NONE_FOUND]

    def _end(self, chosen: Frontier, i: int, sentence: int) -> None:
        """Add hypothesis ``i`` of the chosen ones to the finished hypotheses of its sentence."""
        options, one = self.options, self.at_work[sentence]
        self.room[sentence] -= 1
        log_prob = float(chosen.log_probs[i])
        score = normalized(log_prob, float(chosen.lengths[i]), options)
        if options.n_best == 1 and score < self.threshold[sentence]:
            return  # nobody asks for it, and coverage would only lower its score
        source = one.constraints.source_length
        path, token = self.trail.path(int(chosen.parents[i])), int(chosen.tokens[i])
        ids = [int(step.tokens[row]) for step, _, row in path[1:]]
        totals = [float(step.log_probs[row]) for step, _, row in path]
        ids += [] if token == EOS else [token]
        steps = tuple(after - before for before, after in pairwise([*totals, log_prob]))
        weights = None
        if self.attention or options.coverage_penalty or UNK in ids:
            known = [weights[row, : source + 1] for _, weights, row in path if weights is not None]
            if known:
                weights = np.stack(known)
                score += coverage(weights, source, options)
        one.ended.append(Hypothesis(tuple(ids), log_prob, score, token == EOS, steps, weights))
        one.ended.sort(key=lambda hypothesis: -hypothesis.score)
        if len(one.ended) >= options.n_best:
            self.threshold[sentence] = one.ended[options.n_best - 1].score
