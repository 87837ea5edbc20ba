"""Sends each pair to one part: training, held out for validation, or left out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from dragoman.data.sameness import sentence_key

TRAIN, HELD_OUT, LEFT_OUT = range(3)
Parts = npt.NDArray[np.int8]
"""The part of each row."""


def split_keys(sources: Iterable[str], seed: int) -> npt.NDArray[np.uint64]:
    """A keyed hash of each source sentence.

    Sources that differ only in case, punctuation or spaces have the same hash. Each ``seed`` puts
    the sentences in another random order.
    """
    salt = seed.to_bytes(8, "little")
    digests = (
        hashlib.blake2b(sentence_key(source).encode(), digest_size=8, key=salt).digest()
        for source in sources
    )
    return np.array([int.from_bytes(digest) for digest in digests], dtype=np.uint64)


def held_out_rows(keys: npt.NDArray[np.uint64], wanted: int) -> npt.NDArray[np.bool_]:
    """Choose the rows to hold out, by source sentence.

    Rows of one key go together, so that no source is on both sides of the split. At most a tenth
    of all rows is held out.

    Args:
        keys: of each row, from :func:`split_keys`.
        wanted: the number of rows to hold out.

    Returns:
        True for the rows held out.
    """
    sentences, rows = np.unique(keys, return_counts=True)
    room = min(wanted, len(keys) // 10)
    # A sentence with more rows than that is passed over; the others are taken in their order.
    sentences, rows = sentences[rows <= room], rows[rows <= room]
    return np.isin(keys, sentences[np.cumsum(rows) <= room])
