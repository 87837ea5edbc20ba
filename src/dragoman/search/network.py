"""The interface between search and a neural network, whichever library computes it.

    N hypotheses   B sentences   S source positions   V vocabulary   C best words   Q slots

A network keeps no state of a search. :class:`dragoman.search.batched.BatchedScorer` decides
which sentences are encoded together, which hypotheses are stepped together, and how many rows fill
a batch, so that the numbers of a hypothesis do not depend on the rest of the batch.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from dragoman.data.source import Source

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.floating[Any]]

WITHOUT_WEIGHT = -1e4
"""Log-probability of a word with probability 0 under entmax; its score minus the best score is
added. It is finite, because constraints may leave no other word."""


class Rows(Protocol):
    """A value with one entry a row: encoded sentences, or states of hypotheses."""

    def __len__(self) -> int: ...

    def select(self, rows: Integers) -> Self:
        """The entries of ``rows`` [N'], which may repeat or leave out any."""

    def join(self, more: Self) -> Self:
        """These entries, then those of ``more``."""


class Query(NamedTuple):
    """What one step of N hypotheses is to score."""

    tokens: Integers
    """The last token of each hypothesis, [N]."""
    cells: Integers
    """Sentence x ``slots`` + number within the sentence, [N]: attention is computed over all B x Q
    cells, so that a row of it does not depend on how many are taken."""
    slots: int
    """Most hypotheses of a sentence, Q."""
    top: int = 0
    """Score only the C most probable words; 0: all."""
    never: Sequence[int] = ()
    """Words whose probability is set to zero."""


class Scores(NamedTuple):
    """The scores of one step for every hypothesis; the caller may write into the arrays."""

    log_probs: Numbers
    """Natural logarithms: of every next word, [N, V], or of the words in ``tokens``, [N, C]."""
    tokens: Integers | None
    """The most probable words, best first, [N, C]; None: all words in their order."""
    weights: Numbers | None
    """Attention over the source, [N, S], zero on padding; None for a network without it."""


class Network(Protocol):
    """An encoder and one step of a decoder, from NumPy arrays to NumPy arrays."""

    copies: bool
    """Whether it copies source words; those that the vocabulary lacks have ids from V on."""
    attends: bool
    """Whether a step returns attention weights."""
    multiple: int
    """The rows of a batch are filled up to a multiple of this number."""
    concurrency: int
    """How many batches may be computed at the same time, one thread each."""

    def encode(self, sources: Sequence[Source], width: int) -> tuple[Rows, Rows]:
        """Encode B sources, padded to ``width`` positions (end token included).

        Returns:
            The encoded sources and the first states of the decoder, B rows each.
        """

    def step(self, query: Query, state: Any, memory: Any) -> tuple[Scores, Rows]:
        """Score what follows the last tokens of N hypotheses.

        Args:
            query: their tokens and places, and which words to score.
            state: N rows.
            memory: the sentences that the hypotheses belong to, B rows.
        """
