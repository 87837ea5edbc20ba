"""The search loop: greedy, beam or sampled, one token of every hypothesis at a time.

B sentences   N open hypotheses of all of them   t tokens so far   S source
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dragoman.config import SearchOptions
from dragoman.data.tokenizer import BOS, EOS, PAD, UNK
from dragoman.scorer import Scorer
from dragoman.search.choose import Best, Chosen, Drawn, Open
from dragoman.search.demand import Demand, Rules, plain_demand
from dragoman.search.hypothesis import Hypothesis, Weights, coverage, normalized

_MARGIN = 3
"""Tokens that may be among the most probable and are never said: PAD, BOS and UNK."""


def search(
    scorer: Scorer[Any], sources: Sequence[Any], options: SearchOptions,
    demands: Sequence[Demand] | None = None, *, attention: bool = False,
) -> list[list[Hypothesis]]:  # fmt: skip
    """Find the best outputs of a batch, or draw outputs at random.

    A hypothesis that ends gives up its place in the beam, and leaves the batch. A sentence is done
    when as many as the beam is wide have ended, or when none that is open can still be among the
    ``n_best``. (With random draws, when all have ended.)

    Args:
        scorer: the model.
        sources: what the scorer reads, of one :meth:`Scorer.width`.
        options: how to search.
        demands: what is asked of each output beside (default: what the options say).
        attention: keep the attention weights.

    Returns:
        For each source its hypotheses, best first: ``options.n_best``, or fewer where no more are
        to be found, but one at least.
    """
    if demands is None:
        demands = [plain_demand(options, ids) for ids in sources]
    drawn = options.temperature > 0
    beam = options.n_best if drawn else options.beam
    choose = Drawn(options, demands) if drawn else Best(options, demands)
    rules = Rules(options, demands)
    top = None if rules.active or choose.top is None else choose.top + _MARGIN
    found = _Found(options, demands, beam, attention)
    now, state = _begin(scorer, sources, beam, beam if drawn else 1)
    tokens = np.full(len(now.sentences), BOS, dtype=np.int64)
    while True:
        scores, state = scorer.step(tokens, state, top)
        copies = options.unknown == "keep" or (
            options.unknown == "copy" and scores.weights is not None
        )
        never = [PAD, BOS] if copies else [PAD, UNK, BOS]
        if scores.tokens is None:
            scores.log_probs[:, never] = -np.inf
        else:
            scores.log_probs[np.isin(scores.tokens, never)] = -np.inf
        if rules.active:
            rules.apply(scores.log_probs, now.history, now.sentences)
        if found.looks_back and scores.weights is not None:
            found.looked.append(scores.weights)
        chosen = choose(scores, now, found.room)
        on = found.take(chosen, now)
        if not on.any():
            return found.ranked()
        parents, tokens = chosen.parents[on], chosen.tokens[on]
        now = Open(
            now.sentences[parents], chosen.log_probs[on],
            np.concatenate((now.history[parents], tokens[:, None]), 1),
            np.concatenate((now.path[parents], parents[:, None]), 1),
            np.concatenate((now.totals[parents], chosen.log_probs[on, None]), 1),
        )  # fmt: skip
        state = scorer.select(state, parents)


def _begin(scorer: Scorer[Any], sources: Sequence[Any], beam: int, copies: int) -> tuple[Open, Any]:
    """One hypothesis a sentence, or several that are drawn apart."""
    sentences = np.repeat(np.arange(len(sources)), copies)
    state = scorer.start(sources, beam)
    if copies > 1:
        state = scorer.select(state, sentences)
    nothing, none = np.zeros((len(sentences), 0), dtype=np.int64), np.zeros((len(sentences), 0))
    return Open(sentences, np.zeros(len(sentences)), nothing, nothing, none), state


class _Found:
    """The hypotheses of each sentence that have ended, and what the others must beat."""

    def __init__(
        self, options: SearchOptions, demands: Sequence[Demand], beam: int, attention: bool
    ) -> None:
        self.options, self.demands, self.attention = options, demands, attention
        self.hypotheses: list[list[Hypothesis]] = [[] for _ in demands]
        self.most = np.array([demand.most for demand in demands])
        self.room = np.full(len(demands), beam)
        self.threshold = np.full(len(demands), -np.inf)
        """The score of the worst hypothesis that is wanted, [B]."""
        self.looked: list[Weights] = []
        """The attention of every step, [N, S] each; none without attention."""
        self.looks_back = attention or options.coverage_penalty > 0 or options.unknown == "copy"

    def take(self, chosen: Chosen, now: Open) -> npt.NDArray[np.bool_]:
        """Put aside what ends here, by the end token or at the limit; tells which others go on."""
        length = now.history.shape[1]
        sentences = now.sentences[chosen.parents]
        ends = (chosen.tokens == EOS) | (length >= self.most[sentences])
        for i in np.flatnonzero(ends).tolist():
            hypothesis = self._hypothesis(chosen, now, i)
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

    def _hypothesis(self, chosen: Chosen, now: Open, i: int) -> Hypothesis:
        parent, token = chosen.parents[i], int(chosen.tokens[i])
        ids = [*now.history[parent].tolist(), *([] if token == EOS else [token])]
        log_prob = float(chosen.log_probs[i])
        score = normalized(log_prob, now.history.shape[1] + 1.0, self.options)
        steps = np.diff(now.totals[parent], prepend=0.0, append=log_prob)
        weights = None
        if self.looked and (self.attention or self.options.coverage_penalty or UNK in ids):
            path = zip(self.looked, (*now.path[parent], parent), strict=True)
            weights = np.stack([looked[row] for looked, row in path])
            source = self.demands[now.sentences[parent]].source
            score += coverage(weights, source, self.options)
        return Hypothesis(tuple(ids), log_prob, score, token == EOS, tuple(steps.tolist()), weights)

    def ranked(self) -> list[list[Hypothesis]]:
        """The wanted hypotheses of each sentence, best first."""
        nothing = [Hypothesis((), -np.inf, -np.inf, complete=False, steps=())]
        return [mine[: self.options.n_best] or nothing for mine in self.hypotheses]
