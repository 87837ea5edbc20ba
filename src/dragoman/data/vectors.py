"""Reads word vectors from text files: GloVe, word2vec and fastText, plain or packed.

    E width of a vector

A line is a word and E numbers, separated by single spaces; word2vec and fastText put a header line
of two numbers first.
"""

from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dragoman.data.lines import decoded_lines
from dragoman.data.streams import opened, place
from dragoman.data.tokenizer import EOS, SPACE, Tokenizer
from dragoman.errors import DataError

Vector = npt.NDArray[np.float32]
"""The numbers of one word, [E]."""
_LONGEST = 1 << 16
"""Most bytes of a line, beside 64 for each number."""


def read_vectors(path: Path, tokenizer: Tokenizer, width: int) -> tuple[dict[int, Vector], str]:
    """Read the vectors of the tokens that ``tokenizer`` knows.

    A token takes the vector of its own spelling, else that of its lower case; ``▁the`` and ``the``
    are one word here. Of a word that the file has twice, the first vector is used.

    Args:
        path: the file.
        tokenizer: its vocabulary is looked up.
        width: E, the width of the embeddings to be filled.

    Returns:
        The vector [E] of each id that has one. A line for the user: the share of the vocabulary
        with a vector, and the places (``file:line``) of the first three lines that are no vectors.

    Raises:
        DataError: there is no such file, it has vectors of another width, or none that is needed.
    """
    ids = range(EOS + 1, len(tokenizer))
    texts = (text.removeprefix(SPACE) for text in tokenizer.tokens(ids))
    spellings = {token: (text.lower(), text) for token, text in zip(ids, texts, strict=True)}
    wanted = set(chain.from_iterable(spellings.values()))
    vectors, unreadable, first = dict[str, Vector](), list[str](), True
    with ExitStack() as stack:
        for line, raw in enumerate(decoded_lines(opened(path, stack), _LONGEST + 64 * width), 1):
            # A word may hold spaces (GloVe's ". . ."): the numbers are counted from the end.
            parts = raw.rstrip().split(" ") if isinstance(raw, str) else []
            if line == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                continue
            has = len(parts) - 1
            if first and 0 < has != width and _numbers(parts[1:]) is not None:
                cause = f"has vectors of {has} numbers, the embeddings are {width} wide"
                raise DataError(cause, place=place(path, line), cure=f"set --model.embedding {has}")
            first = False
            word = " ".join(parts[:-width])
            numbers = _numbers(parts[-width:]) if has >= width else None
            if numbers is None:
                unreadable = [*unreadable, place(path, line)][:3]
            elif word in wanted:
                vectors.setdefault(word, numbers)
    found = {token: vectors[s] for token, both in spellings.items() for s in both if s in vectors}
    if not found:
        cure = "are these words of the right language? set the level to word"
        raise DataError("has no vector for any token", place=path, cure=cure)
    share = f"{len(found):,} of {len(ids):,} tokens ({100 * len(found) / len(ids):.1f} %)"
    passed = "; lines that are no vectors passed over: " if unreadable else ""
    return found, f"word vectors for {share}{passed}{'; '.join(unreadable)}"


def _numbers(parts: list[str]) -> Vector | None:
    try:
        values = np.array(parts, dtype=np.float32)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None
