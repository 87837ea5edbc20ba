"""Ensembles: the mean of the probabilities of several models.

N hypotheses   V vocabulary   C most probable words
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from dragoman.search.choose import largest
from dragoman.search.network import Scores


def mean(answers: Sequence[Scores], top: int | None, never: Sequence[int]) -> Scores:
    """The logarithm of the arithmetic mean of the members' probabilities.

    Args:
        answers: each member's scores of all words, [N, V]; attention is taken from the first.
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
