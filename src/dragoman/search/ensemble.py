"""Several models that answer together: the mean of their probabilities.

N hypotheses   V vocabulary   C most probable words
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.errors import FolderError
from dragoman.scorer import Scorer, Scores, largest

States = tuple[Any, ...]


class EnsembleScorer:
    """Scores with the arithmetic mean of what its members think probable.

    A source is a tuple, what each member reads; attention is the first member's.
    """

    def __init__(self, members: Sequence[Scorer[Any]]) -> None:
        self.members = members
        self.copies = any(member.copies for member in members)
        self.attends = members[0].attends

    @contextmanager
    def at_once(self) -> Iterator[int]:
        """As many batches as a member can have."""
        with ExitStack() as stack:
            yield max([stack.enter_context(member.at_once()) for member in self.members])

    def start(self, sources: Sequence[Any], beam: int, *, int8: bool = False) -> States:
        """Let every member read its part of the sources."""
        parts = zip(*sources, strict=True)
        pairs = zip(self.members, parts, strict=True)
        return tuple(member.start(part, beam, int8=int8) for member, part in pairs)

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        state: States,
        top: int | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Scores, States]:
        """The logarithm of the mean probability of what follows ``tokens`` [N]."""
        answers = [m.step(tokens, part) for m, part in zip(self.members, state, strict=True)]
        parts = [scores.log_probs for scores, _ in answers]
        highest = reduce(np.maximum, parts)
        shares = sum(np.exp(part - highest) for part in parts)
        mean = highest + np.log(shares / len(parts))  # [N, V]
        mean[:, list(never)] = -np.inf
        words = None if top is None else largest(mean, top)
        found = mean if words is None else np.take_along_axis(mean, words, 1)
        weights = answers[0][0].weights
        return Scores(found, words, weights), tuple(after for _, after in answers)

    def select(self, state: States, parents: npt.NDArray[np.int64]) -> States:
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
