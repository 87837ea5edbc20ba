"""What a model reads of one source."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dragoman.data.tokenizer import Ids

NONE: Ids = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One source as ids; compared by identity, for arrays have no single truth value.

    S source tokens
    """

    ids: Ids
    """Tokens in the source's vocabulary, [S], without an end token."""
    copies: Ids = field(default_factory=lambda: NONE)
    """The same tokens and the end token in the target's vocabulary, [S + 1], for a model that
    copies (:mod:`dragoman.data.copies`); empty for other models."""

    def __len__(self) -> int:
        return len(self.ids)
