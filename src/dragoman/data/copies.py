"""The ids under which a copying model puts words of the source into the target.

The model (:mod:`dragoman.model.copying`) reads every source word as an id of the target's
vocabulary of V tokens. A word that is not in the vocabulary has an id for this one sentence: V for
the first such word, V + 1 for the next different one. A target word that is not in the vocabulary
but in the source has the same id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dragoman.data.tokenizer import EOS, UNK, Ids, Tokenizer


def copy_ids(pieces: Sequence[str], target: Tokenizer) -> tuple[Ids, list[str]]:
    """The source's tokens as ids of the target, with the end token at the end.

    Args:
        pieces: the source's tokens as text (:meth:`Tokenizer.pieces`).
        target: the target's tokenizer, V tokens.

    Returns:
        Ids [S + 1], and the words whose ids are V, V + 1, ...
    """
    beyond: dict[str, int] = {}
    ids = []
    for piece in pieces:
        known = target.token_id(piece)
        ids.append(len(target) + beyond.setdefault(piece, len(beyond)) if known is None else known)
    return np.array([*ids, EOS], dtype=np.int32), list(beyond)


def extend_target(ids: Ids, pieces: Sequence[str], words: Sequence[str], vocabulary: int) -> Ids:
    """The target's ids, where unknown tokens that stand among the source's ``words`` get theirs.

    Args:
        ids: the target's, [T].
        pieces: the target's tokens as text, [T].
        words: of ids ``vocabulary``, ``vocabulary`` + 1, ...
        vocabulary: V.
    """
    place = {word: vocabulary + number for number, word in enumerate(words)}
    return np.array(
        [
            place.get(piece, int(i)) if i == UNK else int(i)
            for i, piece in zip(ids, pieces, strict=True)
        ],
        dtype=np.int32,
    )
