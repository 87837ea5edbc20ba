"""The search loop: greedy, beam or sampled, one token of every hypothesis at a time.

B sentences   N open hypotheses of those at work   S source
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK
from dragoman.scorer import Scorer
from dragoman.search.choose import Best, Chosen, Drawn
from dragoman.search.demand import Demand, Rules, plain_demand
from dragoman.search.hypothesis import Hypothesis, coverage, normalized
from dragoman.search.trail import Open, Trail

_WORTH_FILLING = 0.25
"""Sentences begin when there is place for this share of the beams that fit in."""


def search(
    scorer: Scorer[Any],
    sources: Sequence[Any],
    options: SearchOptions,
    demands: Sequence[Demand] | None = None,
    *,
    attention: bool = False,
    at_once: int = 0,
) -> list[list[Hypothesis]]:
    """Find the best outputs of some sources, or draw outputs at random.

    A hypothesis that ends gives up its place in the beam, and leaves the batch. A sentence is done
    when as many as the beam is wide have ended, or when none that is open can still be among the
    ``n_best``. (With random draws, when all have ended.) Others then take its place.

    Args:
        scorer: the model.
        sources: what the scorer reads; it pads less when neighbours are about as long.
        options: how to search.
        demands: what is asked of each output beside (default: what the options say).
        attention: keep the attention weights.
        at_once: whole beams that are at work together; 0: as many as there are sources.

    Returns:
        For each source its hypotheses, best first: ``options.n_best``, or fewer where no more are
        to be found, but one at least.
    """
    if demands is None:
        demands = [plain_demand(options, ids) for ids in sources]
    drawn = options.temperature > 0
    choose = Drawn(options, demands) if drawn else Best(options, demands)
    rules = Rules(options, demands)
    top = None if rules.active else choose.top
    found = _Found(options, demands, attention)
    never = [PAD, BOS, UNK]
    if options.unknown == "keep" or (options.unknown == "copy" and scorer.attends):
        never.remove(UNK)
    batch = _Batch(scorer, sources, options, at_once or len(sources))
    while batch.fill(found.room):
        now = batch.now
        scores, batch.state = scorer.step(now.tokens, batch.state, top, never)
        history = batch.trail.history() if rules.active else None
        if history is not None:
            rules.apply(scores.log_probs, now, history)
        if found.looks_back:
            batch.trail.looked[-1] = scores.weights
        chosen = choose(scores, now, found.room, history)
        batch.go_on(chosen, found.take(chosen, batch.trail))
    return found.ranked()


class _Batch:
    """The sentences at work: those that are done make room for others.

    With a batch that is left to run out, most steps would be those of a few long outputs.
    """

    def __init__(
        self, scorer: Scorer[Any], sources: Sequence[Any], options: SearchOptions, at_once: int
    ) -> None:
        self.scorer, self.sources, self.at_once = scorer, sources, at_once
        self.int8 = options.int8
        self.beam = options.hypotheses
        self.copies = self.beam if options.temperature > 0 else 1
        """Hypotheses that a sentence begins with: one, or several that are drawn apart."""
        self.begun = 0
        self.state: Any = None
        none = np.zeros(0, np.int64)
        self.now = Open(none, np.zeros(0), none, none, none)
        self.trail = Trail()

    def fill(self, room: npt.NDArray[np.int64]) -> bool:
        """Begin sentences where there is place for a good many; False when all are done.

        ``room`` is how many hypotheses each sentence may still have, [B].
        """
        at_work = np.unique(self.now.sentences)
        free = self.at_once * self.beam - int(room[at_work].sum())
        left = len(self.sources) - self.begun
        count = min(free // self.beam, left)
        if count and (not len(at_work) or count >= min(left, self.at_once * _WORTH_FILLING)):
            self._begin(count)
        self.trail.add(self.now)
        return len(self.now.sentences) > 0

    def _begin(self, count: int) -> None:
        number = np.repeat(np.arange(count), self.copies)
        sources = self.sources[self.begun : self.begun + count]
        state = self.scorer.start(sources, self.beam, int8=self.int8)
        if self.copies > 1:
            state = self.scorer.select(state, number)
        more, now, size = self.begun + number, self.now, len(number)
        self.state = self.scorer.join(self.state, state) if len(now.sentences) else state
        self.now = Open(
            np.concatenate((now.sentences, more)),
            np.concatenate((now.log_probs, np.zeros(size))),
            np.concatenate((now.lengths, np.zeros(size, np.int64))),
            np.concatenate((now.tokens, np.full(size, BOS))),
            np.concatenate((now.parents, np.full(size, -1))),
        )
        self.begun += count

    def go_on(self, chosen: Chosen, on: npt.NDArray[np.bool_]) -> None:
        """Go on with those of the chosen hypotheses that are not at their end."""
        parents = chosen.parents[on]
        now = self.now
        self.now = Open(
            now.sentences[parents],
            chosen.log_probs[on],
            now.lengths[parents] + 1,
            chosen.tokens[on],
            parents,
        )
        self.state = self.scorer.select(self.state, parents) if len(parents) else None


class _Found:
    """The hypotheses of each sentence that have ended, and what the others must beat."""

    def __init__(self, options: SearchOptions, demands: Sequence[Demand], attention: bool) -> None:
        self.options, self.demands, self.attention = options, demands, attention
        self.hypotheses: list[list[Hypothesis]] = [[] for _ in demands]
        self.most = np.array([demand.most for demand in demands])
        self.room = np.full(len(demands), options.hypotheses)
        self.threshold = np.full(len(demands), -np.inf)
        """The score of the worst hypothesis that is wanted, [B]."""
        self.looks_back = attention or options.coverage_penalty > 0 or options.unknown == "copy"

    def take(self, chosen: Chosen, trail: Trail) -> npt.NDArray[np.bool_]:
        """Put aside what ends here, by the end token or at the limit; tells which others go on."""
        now = trail.steps[-1]
        sentences = now.sentences[chosen.parents]
        ends = (chosen.tokens == EOS) | (now.lengths[chosen.parents] >= self.most[sentences])
        for i in np.flatnonzero(ends).tolist():
            hypothesis = self._hypothesis(chosen, trail, i)
            mine = self.hypotheses[sentences[i]]
            mine.append(hypothesis)
            mine.sort(key=lambda h: -h.score)
            self.room[sentences[i]] -= 1
            if len(mine) >= self.options.n_best:
                self.threshold[sentences[i]] = mine[self.options.n_best - 1].score
        if self.options.temperature > 0:
            return np.asarray(~ends)
        # Log-probabilities only fall, and coverage is never above 0: the best that can come of an
        # open hypothesis is today's log-probability at the greatest length.
        bounds = normalized(chosen.log_probs, self.most[sentences] + 1.0, self.options)
        hopes = np.full(len(self.room), -np.inf)
        np.maximum.at(hopes, sentences, np.where(ends, -np.inf, bounds))
        return np.asarray(~ends & (hopes > self.threshold)[sentences])

    def _hypothesis(self, chosen: Chosen, trail: Trail, i: int) -> Hypothesis:
        path, token = trail.path(chosen.parents[i]), int(chosen.tokens[i])
        ids = [int(step.tokens[row]) for step, _, row in path[1:]]
        totals = [float(step.log_probs[row]) for step, _, row in path]
        ids += [] if token == EOS else [token]
        log_prob = float(chosen.log_probs[i])
        score = normalized(log_prob, float(len(path)), self.options)
        steps = tuple(after - before for before, after in pairwise([*totals, log_prob]))
        weights = None
        if self.attention or self.options.coverage_penalty or UNK in ids:
            source = self.demands[path[-1][0].sentences[chosen.parents[i]]].source
            looked = [weights[row, : source + 1] for _, weights, row in path if weights is not None]
            if looked:
                weights = np.stack(looked)
                score += coverage(weights, source, self.options)
        return Hypothesis(tuple(ids), log_prob, score, token == EOS, steps, weights)

    def ranked(self) -> list[list[Hypothesis]]:
        """The wanted hypotheses of each sentence, best first."""
        nothing = [Hypothesis((), -np.inf, -np.inf, complete=False, steps=())]
        return [mine[: self.options.n_best] or nothing for mine in self.hypotheses]
