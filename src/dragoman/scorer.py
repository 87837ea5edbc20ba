"""What search needs of a model: anything with ``start``, ``step``, ``select`` and ``join``.

It stands below the models (torch here, ONNX there), which give it, and search, which takes it.

N hypotheses, those of a sentence side by side   S source   V vocabulary   C words that are scored
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

State = TypeVar("State")

_BLOCK = 64
"""Scores are searched for their largest in blocks of so many."""


class Scores(NamedTuple):
    """What one step says of every hypothesis; the caller may write into it."""

    log_probs: npt.NDArray[np.floating[Any]]
    """Natural logarithms: of every next word, [N, V], or of the words in ``tokens``, [N, C]."""
    tokens: npt.NDArray[np.int64] | None
    """The most probable words, best first, [N, C]; None: all words in their order."""
    weights: npt.NDArray[np.floating[Any]] | None
    """Attention over the source, [N, S], with zeros on padding; None for a model without it."""


class Scorer(Protocol[State]):
    """A model as search sees it. Its state is a value that search only hands back.

    A source is its ids, without end token; where the model :attr:`copies`, these with those of the
    same words in the target's vocabulary (:func:`dragoman.data.copies.copy_ids`).
    """

    @property
    def copies(self) -> bool:
        """It copies source words: words of a source's own have ids from V on."""
        ...

    @property
    def attends(self) -> bool:
        """It says where it looked."""
        ...

    def at_once(self) -> AbstractContextManager[int]:
        """While it is entered, so many batches may be searched at once, each by a thread."""
        ...

    def start(self, sources: Sequence[Any], beam: int, *, int8: bool = False) -> State:
        """Read the sources: one hypothesis each, at most ``beam`` later.

        Raises:
            OptionError: this device has no products of 8-bit numbers, which ``int8`` asks for.
        """
        ...

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        state: State,
        top: int | None = None,
        never: Sequence[int] = (),
    ) -> tuple[Scores, State]:
        """Score what follows the last tokens [N] of the hypotheses.

        All words, with minus infinity for those that are ``never`` said; or the ``top`` most
        probable ones, without them.
        """
        ...

    def select(self, state: State, parents: npt.NDArray[np.int64]) -> State:
        """Go on with hypotheses that continue ``parents`` [N'], in the order of sentences."""
        ...

    def join(self, state: State, more: State) -> State:
        """The hypotheses of one state, then those of another."""
        ...


def largest(values: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Columns of the ``count`` largest values of each row, largest first, ties to the left.

    The largest values lie in the blocks with the largest maxima: only those are sorted.
    """
    rows, columns = values.shape
    count = min(count, columns)
    if columns > 4 * count * _BLOCK:
        blocks = columns // _BLOCK
        maxima = values[:, : blocks * _BLOCK].reshape(rows, blocks, _BLOCK).max(2)
        # A stable order keeps the leftmost of equal blocks; what is left of the row is always read.
        chosen = np.sort(np.argsort(-maxima, axis=1, kind="stable")[:, :count], axis=1)
        near = (chosen[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(rows, -1)
        rest = np.broadcast_to(np.arange(blocks * _BLOCK, columns), (rows, columns % _BLOCK))
        near = np.concatenate((near, rest), 1)
        inside = np.argsort(-np.take_along_axis(values, near, 1), axis=1, kind="stable")
        return np.take_along_axis(near, inside[:, :count], 1)
    return np.argsort(-values, axis=1, kind="stable")[:, :count]
