"""Pairs as ids on disk: memory-mapped Arrow, so that a corpus may be larger than memory.

    pairs ─► text.arrow ─► which rows are held out ─► tokenizers ─► train.arrow, validation.arrow

Columns: ``source``, ``target`` (lists of int32 ids, no begin or end tokens), ``copies`` (the
source's words for a copying model, else empty; see :mod:`dragoman.data.copies`), ``line`` (of the
file of pairs), and in the held-out part also ``source_text`` and ``target_text``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dragoman.data.copies import copy_ids, extend_target
from dragoman.data.pairs import Pair
from dragoman.data.sameness import sentence_key
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS, UNK, Ids, Tokenizer
from dragoman.errors import FolderError

CHUNK = 8192
"""Rows of a record batch; every batch but the last has exactly so many."""

REASONS = (
    "a side normalises to nothing",
    "a side has too many tokens",
    "a token is not in the vocabulary",
)
"""Why a pair may be left out of a corpus."""

_LISTS = ("source", "target", "copies")
_TEXT = pa.schema([("source", pa.string()), ("target", pa.string()), ("line", pa.int32())])
_IDS = pa.schema([*((name, pa.list_(pa.int32())) for name in _LISTS), ("line", pa.int32())])
_IDS_AND_TEXT = _IDS.append(pa.field("source_text", pa.string())).append(
    pa.field("target_text", pa.string())
)


class Corpus:
    """An opened file of ids.

    Attributes:
        source_lengths: tokens of each source, int32 [rows].
        target_lengths: tokens of each target, int32 [rows].
    """

    def __init__(self, path: Path) -> None:
        """Map ``path`` into memory.

        Raises:
            FolderError: there is no such file, or it is not a corpus.
        """
        try:
            self._batches = open_batches(path)
            if any(len(batch) != CHUNK for batch in self._batches[:-1]):
                raise ValueError(f"not every batch but the last has {CHUNK} rows")
            self._columns = [
                tuple(
                    (column.offsets.to_numpy(), column.values.to_numpy())
                    for column in map(
                        batch.column, _LISTS[: 3 if "copies" in batch.schema.names else 2]
                    )
                )
                for batch in self._batches
            ]
        except (pa.ArrowException, KeyError, AttributeError, ValueError) as error:
            raise FolderError(
                f"is not a corpus: {error}", place=str(path), cure="choose another --out"
            ) from error
        self.source_lengths = self._lengths(0)
        self.target_lengths = self._lengths(1)

    def _lengths(self, side: int) -> npt.NDArray[np.int32]:
        parts = [np.diff(columns[side][0]) for columns in self._columns]
        return np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def pair(self, row: int) -> tuple[Source, Ids]:
        """Source and target ids of one row, as views of the file."""
        columns, at = self._columns[row // CHUNK], row % CHUNK
        source, target, *copies = (ids[starts[at] : starts[at + 1]] for starts, ids in columns)
        return Source(source, *copies), target

    def target_counts(self, vocabulary: int) -> npt.NDArray[np.int64]:
        """How often each target token comes, the end once a row: int64 [V]."""
        counts = np.zeros(vocabulary, np.int64)
        for columns in self._columns:
            starts, ids = columns[1]
            seen = np.bincount(ids[starts[0] : starts[-1]], minlength=vocabulary)
            counts += seen[:vocabulary]  # what follows are words that a source copies
        counts[EOS] += len(self)
        return counts

    def line(self, row: int) -> int:
        """The line that one row had in the file of pairs."""
        return int(self._batches[row // CHUNK].column("line")[row % CHUNK].as_py())

    def texts(self) -> list[tuple[str, str]]:
        """Raw source and target of every row, where the file holds them (the held-out part)."""
        rows: list[tuple[str, str]] = []
        if self._batches and "source_text" not in self._batches[0].schema.names:
            raise FolderError("holds no text", cure="name a file of test pairs")
        for batch in self._batches:
            sources, targets = batch.column("source_text"), batch.column("target_text")
            rows += zip(sources.to_pylist(), targets.to_pylist(), strict=True)
        return rows


def open_batches(path: Path) -> list[Any]:
    """The record batches of an Arrow file, mapped into memory.

    Raises:
        FolderError: it cannot be read.
    """
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
    except OSError as error:
        raise FolderError(f"cannot be read: {error}", place=str(path)) from error
    batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
    for batch in batches:
        batch.validate(full=True)  # an offset beyond the end would be read, whatever lies there
    return batches


def write_text(pairs: Iterable[Pair], path: Path) -> int:
    """Store the text of ``pairs`` in their order; returns how many there were."""
    count = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _TEXT) as writer:
        for chunk in _chunks(pairs):
            columns = [
                [p.source for p in chunk],
                [p.target for p in chunk],
                [p.line for p in chunk],
            ]
            writer.write_batch(pa.record_batch(columns, schema=_TEXT))
            count += len(chunk)
    return count


def read_text(path: Path) -> Iterator[tuple[list[str], list[str], npt.NDArray[np.int32]]]:
    """Sources, targets and line numbers of a file of :func:`write_text`, a chunk at a time."""
    for batch in open_batches(path):
        yield (
            batch.column("source").to_pylist(),
            batch.column("target").to_pylist(),
            batch.column("line").to_numpy(),
        )


def hold_out(text: Path, wanted: int, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the rows to hold out, at random but by source sentence.

    Rows whose sources differ only in case, punctuation or spaces go together, so that no source
    is on both sides of the split. At most a tenth of all rows is held out.

    Returns:
        True for the rows held out, [rows].
    """
    salt = seed.to_bytes(8, "little")
    keys = np.array(
        [
            int.from_bytes(
                hashlib.blake2b(sentence_key(s).encode(), digest_size=8, key=salt).digest()
            )
            for sources, _, _ in read_text(text)
            for s in sources
        ],
        dtype=np.uint64,
    )
    # A keyed hash is a random order of the sentences: take sentences in it until there are enough.
    sentences, rows = np.unique(keys, return_counts=True)
    room = min(wanted, len(keys) // 10)
    sentences, rows = sentences[rows <= room], rows[rows <= room]  # some are very common
    return np.isin(keys, sentences[np.cumsum(rows) <= room])


def write_ids(
    text: Path,
    rows: npt.NDArray[np.bool_],
    tokenizers: tuple[Tokenizer, Tokenizer],
    longest: tuple[int, int],
    path: Path,
    *,
    keep_text: bool,
    drop_unknown: bool = False,
    copy: bool = False,
) -> dict[str, int]:
    """Encode the chosen ``rows`` of ``text`` into ``path``.

    Args:
        text: a file of :func:`write_text`.
        rows: which of its rows, [all rows].
        tokenizers: of source and target.
        longest: most tokens of source and target; longer pairs are left out.
        path: the file to write.
        keep_text: store the raw text as well.
        drop_unknown: leave out pairs with an unknown token.
        copy: store what a copying model copies.

    Returns:
        How many pairs were left out, by reason.
    """
    schema = _IDS_AND_TEXT if keep_text else _IDS
    left_out = dict.fromkeys(REASONS, 0)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        pairs = _encoded(text, rows, tokenizers, longest, left_out, drop_unknown, copy)
        for chunk in _chunks(pairs):
            columns = [list(column) for column in zip(*chunk, strict=True)]
            writer.write_batch(pa.record_batch(columns[: len(schema)], schema=schema))
    return {reason: count for reason, count in left_out.items() if count}


def _encoded(
    text: Path,
    rows: npt.NDArray[np.bool_],
    tokenizers: tuple[Tokenizer, Tokenizer],
    longest: tuple[int, int],
    left_out: dict[str, int],
    drop_unknown: bool,
    copy: bool,
) -> Iterator[tuple[Any, ...]]:
    nothing, too_long, unknown = REASONS
    at = 0
    for sources, targets, lines in read_text(text):
        chosen = np.flatnonzero(rows[at : at + len(sources)])
        at += len(sources)
        encoded = encode_pairs(
            [sources[i] for i in chosen], [targets[i] for i in chosen], tokenizers, copy=copy
        )
        for i, source, t in zip(chosen, *encoded, strict=True):
            s = source.ids
            if not len(s) or not len(t):
                left_out[nothing] += 1
            elif len(s) > longest[0] or len(t) > longest[1]:
                left_out[too_long] += 1
            elif drop_unknown and (UNK in s or UNK in t):
                left_out[unknown] += 1
            else:
                yield s, t, source.copies, int(lines[i]), sources[i], targets[i]


def encode_pairs(
    sources: list[str], targets: list[str], tokenizers: tuple[Tokenizer, Tokenizer], *, copy: bool
) -> tuple[list[Source], list[Ids]]:
    """Encode pairs of text; with ``copy``, as a copying model reads them."""
    encoded = [Source(ids) for ids in tokenizers[0].encode(sources)]
    target_ids = tokenizers[1].encode(targets)
    if copy:
        for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
            copies, words = copy_ids(tokenizers[0].pieces(source), tokenizers[1])
            encoded[row] = Source(encoded[row].ids, copies)
            pieces = tokenizers[1].pieces(target)
            target_ids[row] = extend_target(target_ids[row], pieces, words, len(tokenizers[1]))
    return encoded, target_ids


def _chunks(items: Iterable[Any]) -> Iterator[Sequence[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
