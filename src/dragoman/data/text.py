"""The text of the training files on disk: read and checked once, then read a part at a time.

The file of pairs may be larger than memory, and standard input can be read only once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dragoman.config.options import Config, SideOptions
from dragoman.data.levels import WordCount
from dragoman.data.normalizer import build_normalizer
from dragoman.data.pairs import Pair
from dragoman.data.split import HELD_OUT, LEFT_OUT, TRAIN, Parts, held_out_rows, split_keys
from dragoman.errors import DataError

CHUNK = 8192
"""Rows of a record batch."""
_SCHEMA = pa.schema([("source", pa.string()), ("target", pa.string()), ("line", pa.int32())])

Rows = tuple[list[Pair], Parts]
"""A chunk of pairs, and the part that each of them goes to."""


class StoredText:
    """All pairs as text, in a file that is mapped into memory.

    Attributes:
        parts: the part of each row: training, held out or left out.
        counts: the words of the training rows, of source and target; one and the same for a shared
            vocabulary, empty where no option asks for statistics of the text.
    """

    def __init__(self, path: Path, parts: Parts, counts: tuple[WordCount, WordCount]) -> None:
        self._batches = open_batches(path)
        self.parts, self.counts = parts, counts

    def column(self, name: str, part: int) -> Iterator[str]:
        """The texts of one side, ``source`` or ``target``, that belong to a part."""
        for batch, parts in self._chunks():
            yield from _decoded(batch, name, parts == part)

    def rows(self, chosen: Parts | None = None) -> Iterator[Rows]:
        """The pairs that are not left out, a chunk at a time.

        Args:
            chosen: takes the place of :attr:`parts`.
        """
        for batch, parts in self._chunks(chosen):
            wanted = parts != LEFT_OUT
            if wanted.any():
                columns = (_decoded(batch, name, wanted) for name in _SCHEMA.names)
                yield list(map(Pair, *columns)), parts[wanted]

    def _chunks(self, parts: Parts | None = None) -> Iterator[tuple[Any, Parts]]:
        parts, at = self.parts if parts is None else parts, 0
        for batch in self._batches:
            yield batch, parts[at : at + len(batch)]
            at += len(batch)


def _decoded(batch: Any, column: str, wanted: npt.NDArray[np.bool_]) -> list[Any]:
    """The chosen values of one column; the other columns are not touched."""
    return list(batch.column(column).filter(pa.array(wanted)).to_pylist())


def store_text(pairs: Iterable[Pair], path: Path, config: Config) -> StoredText:
    """Write ``pairs`` to ``path`` and decide in the same pass where each of them goes.

    Raises:
        DataError: no pair has the length that the options ask for.
    """
    data = config.data
    sides = config.source, config.target
    counts = (WordCount(), WordCount())
    if config.model.shared_embeddings:
        counts = (counts[0], counts[0])
    automatic = ["auto" in (options.level, options.vocabulary) for options in sides]
    keys, fitting = [np.zeros(0, np.uint64)], [np.zeros(0, np.bool_)]
    for chunk in write_chunks(pairs, path):
        sources, targets = [pair.source for pair in chunk], [pair.target for pair in chunk]
        if not data.validation_pairs:
            keys.append(split_keys(sources, data.split_seed))
        fits = _fit(sources, config.source) & _fit(targets, config.target)
        fitting.append(fits)
        for side, count, is_automatic in zip((sources, targets), counts, automatic, strict=True):
            if is_automatic:
                count.add([text for text, fit in zip(side, fits, strict=True) if fit])
    fits = np.concatenate(fitting)
    if not fits.any():
        raise DataError("no pair has the length asked for", cure="look at max_characters")
    parts = np.where(fits, TRAIN, LEFT_OUT).astype(np.int8)
    if not data.validation_pairs:
        parts[held_out_rows(np.concatenate(keys), data.validation) & fits] = HELD_OUT
    text = StoredText(path, parts, counts)
    for name, count, is_automatic in zip(("source", "target"), counts, automatic, strict=True):
        if is_automatic:
            count.remove(list(text.column(name, HELD_OUT)))
    return text


def write_chunks(pairs: Iterable[Pair], path: Path) -> Iterator[list[Pair]]:
    """Write ``pairs`` to ``path`` while they are read; yields each chunk once it is written."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        for chunk in _chunks(pairs):
            columns = [[getattr(pair, name) for pair in chunk] for name in _SCHEMA.names]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            yield chunk


def open_batches(path: Path) -> list[Any]:
    """The record batches of a file of :func:`write_chunks`, mapped into memory."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(i) for i in range(reader.num_record_batches)]


def rows_of(pairs: Iterable[Pair], part: int) -> Iterator[Rows]:
    """Pairs that are not stored, a chunk at a time, all of one part."""
    for chunk in _chunks(pairs):
        yield chunk, np.full(len(chunk), part, dtype=np.int8)


def _fit(texts: Sequence[str], options: SideOptions) -> npt.NDArray[np.bool_]:
    """Which of ``texts`` have the length, in characters once normalised, that a side may have."""
    least, most = options.min_characters, options.max_characters
    if not least and not most:
        return np.ones(len(texts), dtype=np.bool_)
    normalize = build_normalizer(options).normalize_str
    lengths = np.array([len(normalize(text)) for text in texts])
    return (lengths >= least) & (lengths <= (most or np.inf))


def _chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    pairs = iter(pairs)
    while chunk := list(islice(pairs, CHUNK)):
        yield chunk
