"""The hypotheses that are being extended, and the way that each has come.

N hypotheses   t tokens so far, of the longest of them   S source
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Weights = npt.NDArray[np.floating[Any]]

NOTHING = -1
"""Stands before the first token of a hypothesis that is shorter than others."""


@dataclass(frozen=True, slots=True)
class Open:
    """The hypotheses of one step, those of a sentence side by side."""

    sentences: Integers
    """Whose they are, [N], ascending."""
    log_probs: npt.NDArray[np.float64]
    """[N]."""
    lengths: Integers
    """Tokens that each has, [N]: sentences need not have begun together."""
    tokens: Integers
    """The last token, [N]; the begin token where there is none."""
    parents: Integers
    """Which hypothesis of the step before each continues, [N]; -1 where it begins."""


class Trail:
    """The steps that the open hypotheses have come through: a tree whose leaves they are."""

    def __init__(self) -> None:
        self.steps: list[Open] = []
        self.looked: list[Weights | None] = []
        """The attention of each step, [N, S]; None where it is not kept, or there is none."""

    def add(self, now: Open) -> None:
        """Go a step further, and forget the steps that no open hypothesis has come through."""
        self.steps.append(now)
        self.looked.append(None)
        past = len(self.steps) - 1 - int(now.lengths.max(initial=0))
        del self.steps[:past], self.looked[:past]

    def path(self, row: int) -> list[tuple[Open, Weights | None, int]]:
        """The steps of one of the latest hypotheses, its first one first, and its row in each."""
        found = []
        for step, looked in zip(reversed(self.steps), reversed(self.looked), strict=True):
            found.append((step, looked, row))
            row = int(step.parents[row])
            if row < 0:
                break
        return found[::-1]

    def history(self) -> Integers:
        """The tokens of the latest hypotheses, [N, t], with :data:`NOTHING` before short ones."""
        now = self.steps[-1]
        rows, columns = np.arange(len(now.tokens)), []
        for back in range(int(now.lengths.max(initial=0))):
            step = self.steps[-1 - back]
            there = now.lengths > back
            columns.append(np.where(there, step.tokens[rows], NOTHING))
            rows = np.where(there, step.parents[rows], 0)
        return np.stack(columns[::-1], 1) if columns else np.zeros((len(rows), 0), np.int64)
