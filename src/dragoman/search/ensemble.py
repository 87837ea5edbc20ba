"""Several models that answer together: the mean of their probabilities.

N hypotheses   V vocabulary   C most probable words
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from dragoman.data.source import Source
from dragoman.errors import FolderError
from dragoman.search.batched import Scorer
from dragoman.search.choose import largest
from dragoman.search.network import Integers, Scores

States = tuple[Any, ...]


class EnsembleScorer:
    """A :class:`Scorer` that gives the arithmetic mean of its members' probabilities.

    Attention is the first member's.
    """

    def __init__(self, members: Sequence[Scorer]) -> None:
        self.members = members
        self.copies = any(member.copies for member in members)
        self.attends = members[0].attends

    @property
    def concurrency(self) -> int:
        """As many batches as every member computes at the same time."""
        return min(member.concurrency for member in self.members)

    def prepare_thread(self) -> None:
        """Prepare the calling thread for every member."""
        for member in self.members:
            member.prepare_thread()

    def start(self, sentences: Sequence[Sequence[Source]], slots: int) -> States:
        """Let every member encode its own source of each sentence."""
        return tuple(member.start(sentences, slots) for member in self.members)

    def step(
        self, tokens: Integers, state: States, top: int | None = None, never: Sequence[int] = ()
    ) -> tuple[Scores, States]:
        """The logarithm of the mean probability of what follows ``tokens`` [N]."""
        answers = [m.step(tokens, part) for m, part in zip(self.members, state, strict=True)]
        parts = [scores.log_probs for scores, _ in answers]
        # A word of another sentence's own is impossible for every member: keep -inf - -inf away.
        highest = np.maximum(reduce(np.maximum, parts), np.finfo(parts[0].dtype).min)
        shares = sum(np.exp(part - highest) for part in parts)
        with np.errstate(divide="ignore"):
            mean = highest + np.log(shares / len(parts))  # [N, V]
        mean[:, list(never)] = -np.inf
        words = None if top is None else largest(mean, top)
        found = mean if words is None else np.take_along_axis(mean, words, 1)
        return Scores(found, words, answers[0][0].weights), tuple(after for _, after in answers)

    def select(self, state: States, parents: Integers) -> States:
        """Go on with ``parents`` in every member."""
        return tuple(m.select(part, parents) for m, part in zip(self.members, state, strict=True))

    def join(self, state: States, more: States) -> States:
        """The hypotheses of one state, then those of another, in every member."""
        parts = zip(self.members, state, more, strict=True)
        return tuple(member.join(part, other) for member, part, other in parts)


class Member(NamedTuple):
    """A model folder that is to answer with others."""

    name: str
    source: str
    """Digest of its source tokenizer."""
    target: str
    """Digest of its target tokenizer."""
    copies: bool


def require_agreement(members: Sequence[Member]) -> None:
    """Refuse models whose probabilities cannot be averaged.

    Raises:
        FolderError: target vocabularies differ; or one copies source words and another does not,
            or reads other words.
    """
    first, *others = members
    for other in others:
        cause = ""
        if other.target != first.target:
            cause = "its target.json is another"
        elif other.copies != first.copies or (first.copies and other.source != first.source):
            cause = "one copies source words, which the other does not know"
        if cause:
            raise FolderError(
                f"cannot answer together with {first.name}: {cause}",
                place=other.name,
                cure="train the models of an ensemble on the same text and options",
            )
