"""What a model reads of one source, and how pairs of text become it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dragoman.data.copies import copy_ids, extend_target
from dragoman.data.tokenizer import Ids, Tokenizer

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


def encode_pairs(
    sources: Sequence[str], targets: Sequence[str], tokenizers: Sequence[Tokenizer], *, copy: bool
) -> tuple[list[Source], list[Ids]]:
    """Encode pairs of text.

    Args:
        sources, targets: the text of each pair.
        tokenizers: of source and target.
        copy: encode for a copying model: a target word that only the source has gets an id beyond
            the vocabulary.

    Returns:
        What a model reads of each source, and the ids of each target without begin and end.
    """
    source, target = tokenizers
    if not copy:
        return [Source(ids) for ids in source.encode(sources)], target.encode(targets)
    encoded, target_ids = [], []
    for source_text, target_text in zip(sources, targets, strict=True):
        source_pieces, target_pieces = source.pieces(source_text), target.pieces(target_text)
        copies, words = copy_ids(source_pieces, target)
        encoded.append(Source(source.ids_of(source_pieces), copies))
        ids = target.ids_of(target_pieces)
        target_ids.append(extend_target(ids, target_pieces, words, len(target)))
    return encoded, target_ids
