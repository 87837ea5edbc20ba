"""What a family of models gives: an encoder and a decoder that fit those of any other family.

    B sentences   N hypotheses   S source   T target   H hidden   K rows of a state

A family is a package beside this file (:mod:`dragoman.model.recurrent`);
:mod:`dragoman.model.build` chooses families by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy.typing as npt
from torch import Tensor

from dragoman.data.tokenizer import Ids
from dragoman.model.embedding import Embedding
from dragoman.model.linear import Maker
from dragoman.model.rows import Memory

Record = Callable[[str, str, Tensor], None]
"""Receives an intermediate value: its name, a letter for each axis ("B S H"), and the tensor."""


def discard(name: str, axes: str, value: Tensor) -> None:
    """Ignores an intermediate value."""


class State(Protocol):
    """Where the decoder stands in each of N hypotheses; a value, never changed in place."""

    def __len__(self) -> int: ...

    def select(self, rows: Tensor | npt.NDArray[Any]) -> Self:
        """The entries of ``rows``, integers [N'], which may repeat or leave out any."""
        ...

    def join(self, more: Self) -> Self:
        """These entries, then those of ``more``."""
        ...


Step = tuple[Tensor, Any, Tensor | None]
"""Features [N, H], the new state, and attention weights [N, S] (None without attention)."""


class Encoder(Protocol):
    """Source sentences to one state a position."""

    embedding: Embedding

    def __call__(
        self,
        source: Tensor,
        mask: Tensor,
        lengths: Ids | None = None,
        make: Maker | None = None,
        record: Record = discard,
    ) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            source: ids [B, S].
            mask: [B, S], false on padding.
            lengths: real tokens of each source, [B]. Without them they are read off the mask,
                which makes the program wait for a GPU.
            make: makes the products; None takes those that are fastest in training.
            record: receives intermediate values.

        Returns:
            States [B, S, H], and a summary of each sentence [B, K, H] for the decoder's first
            state.
        """
        ...


class Decoder(Protocol):
    """Target tokens so far and the encoded source to features of the next token."""

    embedding: Embedding

    @property
    def attends(self) -> bool:
        """Steps give attention weights."""
        ...

    def remember(self, states: Tensor, mask: Tensor, copies: Tensor, make: Maker = ...) -> Memory:
        """What the steps need of encoder states [B, S, H]; see :class:`Memory`."""
        ...

    def start(self, summary: Tensor) -> Any:
        """The first state, from the summary of each sentence [B, K, H]."""
        ...

    def unroll(self, target: Tensor, state: Any, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """Read whole known targets, as training does.

        Args:
            target: the decoder's input, ids [B, T]; padding at the end is computed and ignored.
            state: the first state of each sentence.
            memory: the encoded sentences.

        Returns:
            Features [B, T, H], and attention weights [B, T, S] or None.
        """
        ...

    def stepper(self, memory: Memory) -> Callable[[Tensor, Any], Step]:
        """A function (ids [B], state) -> :data:`Step`, to read targets of B sentences in a loop.

        Like :meth:`step` for one hypothesis a sentence; gradients are cheaper.
        """
        ...

    def products(self, make: Maker) -> Any:
        """What :meth:`step` multiplies by; search makes it once."""
        ...

    def step(
        self,
        token: Tensor,
        state: Any,
        memory: Memory,
        products: Any = None,
        cells: Tensor | None = None,
        slots: int = 1,
        record: Record = discard,
    ) -> Step:
        """Read one more token of each hypothesis.

        Args:
            token: ids [N].
            state: of N hypotheses.
            memory: the encoded sentences.
            products: from :meth:`products`; plain ones by default.
            cells: sentence x ``slots`` + number of the hypothesis within its sentence, [N].
                Attention is computed for all B x ``slots`` cells, so that its numbers do not
                depend on how many of them are taken. None: row n of the memory is hypothesis n's.
            slots: most hypotheses of a sentence.
            record: receives intermediate values.
        """
        ...
