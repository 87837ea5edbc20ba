"""The values that the parts of a model exchange, and the interfaces of encoder and decoder.

    B sentences   N hypotheses   S source   T target   H hidden   K rows of a state
    M width of the encoder's states

A family is a package beside this file, such as :mod:`dragoman.model.recurrent`. The encoder of one
family works with the decoder of any other.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol, Self

import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding

Record = Callable[[str, str, Tensor], None]
"""Receives an intermediate value: its name, a letter for each axis ("B S H"), and the tensor."""


def discard(name: str, axes: str, value: Tensor) -> None:
    """A :data:`Record` that ignores every value."""


@dataclass(frozen=True)
class Rows:
    """A value with one entry a row; a subclass names its fields, which are tensors [N, ...]."""

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]

    def __len__(self) -> int:
        return len(self._tensors()[0])

    def select(self, rows: Tensor | npt.NDArray[Any]) -> Self:
        """The entries of ``rows``, integers [N'], which may repeat or leave out any."""
        index = torch.as_tensor(rows, device=self._tensors()[0].device)
        return type(self)(*(tensor.index_select(0, index) for tensor in self._tensors()))

    def join(self, more: Self) -> Self:
        """The entries of this value, then those of ``more``."""
        pairs = zip(self._tensors(), more._tensors(), strict=True)
        return type(self)(*(torch.cat(pair) for pair in pairs))


@dataclass(frozen=True)
class Memory(Rows):
    """B encoded sentences, as the decoder reads them at every step."""

    states: Tensor
    """Encoder states, [B, S, M]."""
    keys: Tensor
    """What attention compares its queries with, [B, S, H]; the states themselves without it. For a
    Transformer the keys and values of all its layers, [B, S, 2LH]."""
    mask: Tensor
    """False on padding, [B, S]."""
    copies: Tensor
    """Ids of the source's words in the target's vocabulary, [B, S]; [B, 0] for a model that does
    not copy."""


class Cells(NamedTuple):
    """Which sentence of a memory each of N hypotheses belongs to.

    Every sentence has a fixed number of slots, and attention is computed for all B x ``slots``
    cells, so that the numbers of a hypothesis do not depend on how many slots are taken.
    """

    places: Tensor
    """Sentence x ``slots`` + number of the hypothesis within its sentence, [N]."""
    slots: int
    """Most hypotheses of a sentence."""


Features = tuple[Tensor, Tensor | None]
"""What the decoder computes of whole targets: features [B, T, H], from which the next tokens are
scored, and attention weights [B, T, S] (None without attention)."""
Step = tuple[Tensor, Any, Tensor | None]
"""Features [N, H], the new state (:class:`Rows`), and attention weights [N, S] or None."""
Stepper = Callable[[Tensor, Any], Step]
"""Reads one more token of each of N hypotheses: (ids [N], state) -> :data:`Step`."""


class Encoder(Protocol):
    """Computes one state for every position of source sentences."""

    embedding: Embedding

    def __call__(
        self, source: Tensor, mask: Tensor, lengths: Ids | None = None, record: Record = discard
    ) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            source: ids [B, S].
            mask: [B, S], false on padding.
            lengths: real tokens of each source, [B]. None reads them off the mask, which makes
                the program wait for a GPU.
            record: receives intermediate values.

        Returns:
            States [B, S, M], and a summary of each sentence [B, K, H] for the decoder's first
            state.
        """


class Decoder(Protocol):
    """Computes features of the next token from the target tokens so far and the encoded source."""

    embedding: Embedding
    attends: bool
    """Whether a step returns attention weights."""

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor) -> Memory:
        """Compute what every step needs of encoder states [B, S, M]; see :class:`Memory`."""

    def start(self, summary: Tensor, memory: Memory) -> Any:
        """The first state, from the summary of each sentence [B, K, H] and the sentences."""

    def unroll(self, target: Tensor, state: Any, memory: Memory) -> Features:
        """Read whole known targets, as training does.

        Args:
            target: the decoder's input, ids [B, T]; padding at the end is computed and ignored.
            state: the first state of each sentence.
            memory: the encoded sentences.
        """

    def stepper(
        self, memory: Memory, cells: Cells | None = None, record: Record = discard
    ) -> Stepper:
        """A function that reads one more token of each hypothesis.

        Args:
            memory: the encoded sentences.
            cells: the sentence of each hypothesis. None: hypothesis n belongs to sentence n.
            record: receives intermediate values.
        """
