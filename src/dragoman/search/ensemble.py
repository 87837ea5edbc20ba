"""Several models that answer together: the mean of their probabilities.

N hypotheses   V vocabulary   C most probable words
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from dragoman.errors import FolderError
from dragoman.search.choose import largest
from dragoman.search.network import Scores


def mean(answers: Sequence[Scores], top: int | None, never: Sequence[int]) -> Scores:
    """The logarithm of the arithmetic mean of the members' probabilities.

    Args:
        answers: what each member says of all words, [N, V]; attention is taken from the first.
        top: keep only the C most probable words; None: all.
        never: words whose probability is set to zero.
    """
    parts = [scores.log_probs for scores in answers]
    # A word of another sentence's own is impossible for every member: keep -inf - -inf away.
    highest = np.maximum(reduce(np.maximum, parts), np.finfo(parts[0].dtype).min)
    shares = sum(np.exp(part - highest) for part in parts)
    with np.errstate(divide="ignore"):
        together = highest + np.log(shares / len(parts))
    together[:, list(never)] = -np.inf
    words = None if top is None else largest(together, top)
    found = together if words is None else np.take_along_axis(together, words, 1)
    return Scores(found, words, answers[0].weights)


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
        why = ""
        if other.target != first.target:
            why = "its target.json is another"
        elif other.copies != first.copies or (first.copies and other.source != first.source):
            why = "one copies source words, which the other does not know"
        if why:
            cause = f"cannot answer together with {first.name}: {why}"
            raise FolderError(cause, place=other.name, cure="train both on the same text, alike")
