"""The text of the training files on disk: read, checked and split once, then read by part.

The file of pairs may be larger than memory, and standard input can be read only once.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dragoman.config.options import Config, SideOptions
from dragoman.data.lines import blocks
from dragoman.data.pairs import Pair
from dragoman.data.sameness import sentence_key
from dragoman.data.tags import Tags, column_tags, find_tags, tag_token
from dragoman.data.vocabulary import build_normalizer
from dragoman.errors import DataError

Cells = tuple[Any, ...]
"""A row of an Arrow file."""
CHUNK = 8192
"""Rows of a record batch; every batch of a file but the last has exactly so many."""
HELD_OUT, LEFT_OUT, OVERLAP, TRAIN = range(4)
"""The parts that a pair may belong to: validation; none, by its length; none, because its source is
held out; training. Pairs of the n-th file of ``data.also`` have the part ``TRAIN`` + n."""
_SCHEMA = pa.schema([("source", pa.string()), ("target", pa.string()), ("line", pa.int32())])


class StoredText:
    """All pairs as text, in a file that is mapped into memory.

    Attributes:
        parts: the part of each row, int16 [rows].
        tags: those of the sources.
        training: the parts to learn from: of the main pairs, and of each file of ``data.also``.
    """

    def __init__(self, path: Path, parts: npt.NDArray[np.int16], tags: Tags, groups: int) -> None:
        self._batches, self.parts, self.tags = open_batches(path), parts, tags
        self.training = range(TRAIN, TRAIN + groups)

    def column(self, name: str, part: int) -> Iterator[Any]:
        """The values of one column, ``source``, ``target`` or ``line``, that belong to a part."""
        start = 0
        for batch in self._batches:
            wanted = pa.array(self.parts[start : start + len(batch)] == part)
            yield from batch.column(name).filter(wanted).to_pylist()
            start += len(batch)

    def pairs(self, part: int) -> Iterator[Pair]:
        """The pairs that belong to a part."""
        return map(Pair, *(self.column(name, part) for name in _SCHEMA.names))


def store_text(
    pairs: Iterable[Pair], path: Path, config: Config, also: Sequence[Iterable[Pair]] = ()
) -> StoredText:
    """Write pairs to ``path`` and decide which part each of them belongs to.

    Sources that differ only in their tags belong to the same part. Where there are no columns of
    features, the first chunk tells whether there are tags beside the words; at level ``word`` these
    are words like others, for it cannot read words that training never saw.

    Args:
        pairs: the main pairs, of which some are held out.
        path: the new file.
        config: the options.
        also: the pairs of each file of ``data.also``.

    Raises:
        DataError: no pair has the length that the options ask for.
    """
    data, keys, fitting = config.data, list[npt.NDArray[np.uint64]](), []
    tags, sizes = Tags(()), [0] * (1 + len(also))

    def counted() -> Iterator[Pair]:
        for group, some in enumerate((pairs, *also)):
            for pair in some:
                sizes[group] += 1
                yield pair

    for chunk in write_pairs(counted(), path):
        sources, targets, _ = (list(column) for column in zip(*chunk, strict=True))
        if data.features:
            tags = Tags(tags.tokens | column_tags(sources))
        elif not keys and config.source.level != "word":
            tags = find_tags(sources)
        if data.tag_also:
            tags = Tags({*tags.tokens, tag_token(data.tag_also)})
        words = list(map(tags.words, sources))
        keys.append(split_keys(words, data.split_seed))
        fitting.append(_fit(words, config.source) & _fit(targets, config.target))
    fits = np.concatenate(fitting)
    if not fits.any():
        raise DataError("no pair has the length asked for", cure="look at max_characters")
    groups, every = np.repeat(np.arange(len(sizes)), sizes), np.concatenate(keys)
    wanted = 0 if data.validation_pairs else data.validation
    main = every[: sizes[0]]
    held = np.flatnonzero(held_out_rows(main, wanted))
    overlaps = np.isin(every, main[held])
    parts = np.where(overlaps, OVERLAP, TRAIN + groups).astype(np.int16)
    parts[held] = HELD_OUT
    parts[~fits] = LEFT_OUT
    return StoredText(path, parts, tags, len(sizes))


def write_pairs(pairs: Iterable[Pair], path: Path) -> Iterator[list[Cells]]:
    """Write ``pairs`` to ``path``; yields source, target and line of each, in chunks."""
    return write_rows(((pair.source, pair.target, pair.line) for pair in pairs), path, _SCHEMA)


def write_rows(rows: Iterable[Cells], path: Path, schema: Any) -> Iterator[list[Cells]]:
    """Write rows to the new Arrow file ``path``; yields each chunk once it is written."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for chunk in blocks(rows, CHUNK):
            writer.write_batch(pa.record_batch(list(zip(*chunk, strict=True)), schema=schema))
            yield chunk


def open_batches(path: Path) -> list[Any]:
    """The record batches of a file of :func:`write_rows`, mapped into memory."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    return [reader.get_batch(i) for i in range(reader.num_record_batches)]


def split_keys(sources: Iterable[str], seed: int) -> npt.NDArray[np.uint64]:
    """A keyed hash of each source sentence, uint64 [rows].

    Sources that differ only in case, punctuation or spaces have the same hash. Each ``seed`` puts
    the sentences in another random order.
    """
    salt = seed.to_bytes(8, "little")
    hashes = (hashlib.blake2b(sentence_key(s).encode(), digest_size=8, key=salt) for s in sources)
    return np.array([int.from_bytes(one.digest()) for one in hashes], dtype=np.uint64)


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


def _fit(texts: Sequence[str], options: SideOptions) -> npt.NDArray[np.bool_]:
    """True for each text whose length in characters, once normalised, is allowed: [rows]."""
    least, most = options.min_characters, options.max_characters
    if not least and not most:
        return np.ones(len(texts), dtype=np.bool_)
    lengths = np.array(list(map(len, map(build_normalizer(options).normalize_str, texts))))
    return (lengths >= least) & (lengths <= (most or np.inf))
