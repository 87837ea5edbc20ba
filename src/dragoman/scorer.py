"""What search needs of a model: anything with ``start``, ``step`` and ``select``.

It stands below the models (torch here, ONNX there), which give it, and search, which takes it.

B sentences   Q hypotheses a sentence   S source   V vocabulary
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from dragoman.data.tokenizer import Ids

State = TypeVar("State")


class Scores(NamedTuple):
    """What one step says of every hypothesis."""

    log_probs: npt.NDArray[np.float32]
    """Of every next token, natural logarithm, [B, Q, V]; the caller may write into it."""
    weights: npt.NDArray[np.float32] | None
    """Attention over the source, [B, Q, S]; None for a model without attention."""


class Scorer(Protocol[State]):
    """A model as search sees it. Its state is a value that search only hands back."""

    def width(self, tokens: int) -> int:
        """Sources with equal width may share a batch."""
        ...

    def start(self, sources: Sequence[Ids]) -> State:
        """Read the sources (ids without end token); one hypothesis for each."""
        ...

    def step(self, tokens: npt.NDArray[np.int64], state: State) -> tuple[Scores, State]:
        """Score what follows the last tokens [B, Q] of the hypotheses."""
        ...

    def select(
        self, state: State, sentences: npt.NDArray[np.int64] | None, parents: npt.NDArray[np.int64]
    ) -> State:
        """Keep the given sentences (None: all), with hypotheses continuing ``parents`` [B, Q']."""
        ...
