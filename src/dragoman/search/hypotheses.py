"""Hypotheses: the open ones, the steps that led to them, and finished outputs.

N hypotheses   t tokens of the longest one so far   S source positions   T target tokens
"""

from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.search.network import Integers, Numbers

Number = TypeVar("Number", float, Numbers)

NOTHING = -1
"""Stands before the first token of a hypothesis that is shorter than others."""


class Frontier(NamedTuple):
    """The open hypotheses before one step, those of a sentence side by side."""

    sentences: Integers
    """The number of each one's sentence among those at work at this step, [N], ascending."""
    log_probs: Numbers
    """Log-probability of the tokens so far, [N]."""
    lengths: Integers
    """Number of tokens so far, [N]; sentences need not have begun together."""
    tokens: Integers
    """The last token, [N]; the begin token where there is none."""
    parents: Integers
    """Which hypothesis of the step before each continues, [N]; -1 where it begins."""

    def grown(self, log_probs: Numbers, parents: Integers, tokens: Integers) -> Self:
        """Hypotheses with one token more, in the order of sentences.

        Args:
            log_probs: of each new hypothesis, [M].
            parents: which hypothesis of this step each continues, [M].
            tokens: the token that each says next, [M].
        """
        sentences, lengths = self.sentences[parents], self.lengths[parents] + 1
        return type(self)(sentences, log_probs, lengths, tokens, parents)


class Trail:
    """The steps that led to the open hypotheses: a tree, with these as its leaves."""

    def __init__(self) -> None:
        self.steps: list[tuple[Frontier, Numbers | None]] = []
        """Each step with its attention [N, S], None without it."""

    def add(self, frontier: Frontier, weights: Numbers | None) -> None:
        """Add a step with its attention, and drop those older than every open hypothesis."""
        self.steps.append((frontier, weights))
        del self.steps[: len(self.steps) - 1 - int(frontier.lengths.max(initial=0))]

    def path(self, row: int) -> list[tuple[Frontier, Numbers | None, int]]:
        """The steps of the latest step's hypothesis ``row``, oldest first, with its row in each."""
        found = []
        for step, weights in reversed(self.steps):
            found.append((step, weights, row))
            if (row := int(step.parents[row])) < 0:
                break
        return found[::-1]

    def history(self) -> Integers:
        """The tokens of the latest hypotheses, [N, t], with :data:`NOTHING` before short ones."""
        now, _ = self.steps[-1]
        rows, columns = np.arange(len(now.tokens)), []
        for back in range(int(now.lengths.max(initial=0))):
            step, _ = self.steps[-1 - back]
            there = now.lengths > back
            columns.append(np.where(there, step.tokens[rows], NOTHING))
            rows = np.where(there, step.parents[rows], 0)
        return np.stack(columns[::-1], 1) if columns else np.zeros((len(rows), 0), np.int64)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished output for one source."""

    ids: tuple[int, ...]
    """Target ids, without begin and end tokens."""
    log_prob: float
    """Natural logarithm of its probability, end token included."""
    score: float
    """Hypotheses are ranked by this: see :func:`normalized` and :func:`coverage`."""
    complete: bool
    """Whether it ended with the end token; otherwise the length limit cut it."""
    steps: tuple[float, ...]
    """Log-probability of each token: T + 1 numbers, or T where it is not complete."""
    weights: Numbers | None = None
    """Attention over the source at each of its tokens and, if it is complete, at the end token:
    [T + 1, S] or [T, S]. Kept only if it was requested or is needed to copy an unknown word."""


NONE_FOUND = Hypothesis((), -np.inf, -np.inf, complete=False, steps=())
"""The output of a search in which every continuation had probability zero."""
CERTAIN = Hypothesis((), 0.0, 0.0, complete=True, steps=())
"""An answer that no model gave; its probability is 1."""


def normalized(log_prob: Number, length: Number, options: SearchOptions) -> Number:
    """``log_prob`` divided by a power of the length, which counts the end token.

    ``average``: length ** penalty, with a penalty of 1 the mean log-probability of a token.
    ``wu``: ((5 + length) / 6) ** penalty (Wu 2016, eq. 14).
    """
    if options.normalization == "wu":
        length = (length + 5) / 6
    divided: Number = log_prob / length**options.length_penalty
    return divided


def coverage(weights: Numbers, source: int, options: SearchOptions) -> float:
    """The coverage penalty of Wu 2016, eq. 14: sum over source tokens of log min(attention, 1).

    It is never above 0 and only rises while a hypothesis grows.

    Args:
        weights: attention [T, S] of the hypothesis.
        source: number of source tokens, without the end token.
        options: with the factor ``coverage_penalty``.
    """
    received = weights[:, :source].sum(0, dtype=np.float64)
    return options.coverage_penalty * float(np.log(received.clip(1e-9, 1.0)).sum())


def joined(parts: list[Hypothesis], options: SearchOptions) -> Hypothesis:
    """The pieces of a long line as one hypothesis, without attention."""
    log_prob = sum(part.log_prob for part in parts)
    steps = tuple(step for part in parts for step in part.steps)
    ids = tuple(i for part in parts for i in part.ids)
    score = normalized(log_prob, float(len(steps) or 1), options)
    return Hypothesis(ids, log_prob, score, all(part.complete for part in parts), steps)
