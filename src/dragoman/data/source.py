"""What a model reads of one source, and how pairs of text become it.

A copying model (:mod:`dragoman.model.copying`) reads every source word also as an id of the
target's vocabulary of V tokens. A word that is not in the vocabulary has an id for this one
sentence: V for the first such word, V + 1 for the next different one. A target word that is not in
the vocabulary but in the source has the same id.

S source tokens   T target tokens   V target vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dragoman.data.tags import is_tag
from dragoman.data.tokenizer import EOS, PAD, UNK, Ids, Tokenizer

NONE: Ids = np.zeros(0, dtype=np.int32)
"""The copies of a source for a model that does not copy."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One source as ids; compared by identity, for arrays have no single truth value."""

    ids: Ids
    """Tokens in the source's vocabulary, [S], without an end token."""
    copies: Ids = field(default_factory=lambda: NONE)
    """The same tokens and the end token in the target's vocabulary, [S + 1], for a model that
    copies; empty for other models."""
    wanted: Ids = field(default_factory=lambda: NONE)
    """Target words that the output is asked to hold: a shortlist does not leave them out."""

    def __len__(self) -> int:
        return len(self.ids)


IdPair = tuple[Source, Ids]
"""A source, and the ids of its target without begin and end tokens."""


def encode_pairs(
    pairs: Sequence[tuple[str, str]], tokenizers: Sequence[Tokenizer], *, copy: bool
) -> list[IdPair]:
    """Encode pairs of text: what a model reads of each source, and the ids of its target.

    Args:
        pairs: source and target, raw text.
        tokenizers: of source and target.
        copy: encode for a copying model: a target word that only the source has gets an id beyond
            the vocabulary.

    Returns:
        Of each pair what a model reads of the source, and the target's ids without begin and end.
    """
    source, target = tokenizers
    texts = [text for text, _ in pairs], [text for _, text in pairs]
    found = list(zip(map(Source, source.encode(texts[0])), target.encode(texts[1]), strict=True))
    for row, (text, answer) in enumerate(pairs if copy else ()):
        (read, ids), (copies, words) = found[row], copy_ids(source.pieces(text), target)
        ids = extend_target(ids, target.pieces(answer), words, len(target))
        found[row] = Source(read.ids, copies), ids
    return found


def copy_ids(pieces: Sequence[str], target: Tokenizer) -> tuple[Ids, list[str]]:
    """Turn the source's tokens into ids of the target, with the end token at the end.

    Tags are not copied: they count as the unknown word.

    Args:
        pieces: the source's tokens as text (:meth:`Tokenizer.pieces`).
        target: the target's tokenizer, V tokens.

    Returns:
        Ids [S + 1], and the words whose ids are V, V + 1, ...
    """
    beyond: dict[str, int] = {}
    ids = []
    for piece in pieces:
        known = UNK if is_tag(piece) else target.token_id(piece)
        ids.append(len(target) + beyond.setdefault(piece, len(beyond)) if known is None else known)
    return np.array([*ids, EOS], dtype=np.int32), list(beyond)


def extend_target(ids: Ids, pieces: Sequence[str], words: Sequence[str], vocabulary: int) -> Ids:
    """Give unknown tokens of a target that stand among the source's ``words`` the ids of these.

    Args:
        ids: the target's, [T].
        pieces: the target's tokens as text, [T].
        words: of ids ``vocabulary``, ``vocabulary`` + 1, ...
        vocabulary: V.
    """
    place = {word: vocabulary + number for number, word in enumerate(words)}
    extended = ids.astype(np.int32)
    for at in np.flatnonzero(ids == UNK).tolist():
        extended[at] = place.get(pieces[at], UNK)
    return extended


def pad(
    rows: Sequence[Ids], *, first: int | None = None, last: int | None = None, multiple: int = 1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Rows of ids as one array.

    Args:
        rows: ids of each sequence.
        first: a token put before each.
        last: a token put after each.
        multiple: the width is rounded up to a multiple of this.

    Returns:
        Ids [B, width], padded at the end, and the mask of what is real.
    """
    before, after = (np.array([] if one is None else [one], np.int32) for one in (first, last))
    lengths = np.array([len(row) for row in rows]) + len(before) + len(after)
    width = -(-int(lengths.max()) // multiple) * multiple
    mask = np.arange(width) < lengths[:, None]  # [B, width]
    ids = np.full(mask.shape, PAD, dtype=np.int64)
    ids[mask] = np.concatenate([part for row in rows for part in (before, row, after)])
    return ids, mask
