"""Pairs as ids on disk: memory-mapped Arrow, so that a corpus may be larger than memory.

Columns: ``source``, ``target`` (lists of int32 ids, no begin or end tokens), ``copies`` (the
source's tokens in the target's vocabulary for a copying model, else empty; see
:mod:`dragoman.data.source`), ``line`` (of the file of pairs), and for held-out pairs also
``source_text`` and ``target_text``. A large corpus has several files, its shards. Rows of different
origins stand one after the other, as the JSON file beside the corpus says
(:class:`dragoman.data.plans.Group`).
"""

import json
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dragoman.data.pairs import Pair
from dragoman.data.plans import Group, Lengths
from dragoman.data.source import IdPair, Source
from dragoman.data.text import open_batches, write_rows
from dragoman.data.tokenizer import EOS, Ids
from dragoman.errors import FolderError
from dragoman.files import parse_json, reading, write_text

_LISTS = ("source", "target", "copies")
_IDS = pa.schema([*((name, pa.list_(pa.int32())) for name in _LISTS), ("line", pa.int32())])
_TEXTS = pa.schema([(name, pa.string()) for name in ("source_text", "target_text")])
_IDS_AND_TEXT = pa.unify_schemas([_IDS, _TEXTS])
_WRONG = ("is not a corpus", "copy it again, or choose another --out")
"""What an error in reading a file says, and its cure."""

Example = tuple[int, Pair, Source, Ids]
"""A pair: the part it belongs to (:mod:`dragoman.data.text`), its text, its source and target as
ids."""


class Corpus:
    """An opened corpus, of one shard or several.

    Attributes:
        groups: where its rows come from, in their order.
        source_lengths: tokens of each source, int32 [rows].
        target_lengths: tokens of each target, int32 [rows].
    """

    def __init__(self, path: Path) -> None:
        """Map ``path`` and its other shards into memory; check that every row lies within them.

        Raises:
            FolderError: there is no such file, or it is not a corpus.
        """
        self._batches, self._columns = list[Any](), list[list[tuple[Lengths, Ids]]]()
        self._path, lengths = path, [np.zeros((2, 0), np.int32)]  # [2, rows of each batch]
        for file in (path, *takewhile(Path.exists, (shard(path, n) for n in count(1)))):
            with reading(file, *_WRONG):
                self._schema, batches = open_batches(file)
                if self._schema not in (_IDS, _IDS_AND_TEXT):
                    names = ", ".join(self._schema.names)
                    raise ValueError(f"its columns are {names}, or of other types")
                for batch in batches:
                    batch.validate()  # every buffer has the size that its rows need
                    self._columns.append([_rows(batch.column(name)) for name in _LISTS])
                    lengths.append(np.diff([starts for starts, _ in self._columns[-1][:2]]))
                self._batches += batches
        with reading(path, *_WRONG):
            self.source_lengths, self.target_lengths = np.concatenate(lengths, axis=1)
            self._starts = [0, *np.cumsum([len(batch) for batch in self._batches]).tolist()]
            self.groups: tuple[Group, ...] = (Group(len(self)),)
            if (beside := path.with_suffix(".json")).exists():
                self.groups = tuple(Group(*one) for one in parse_json(beside.read_text("utf-8")))
            if sum(group.rows for group in self.groups) != len(self):
                raise ValueError(f"{beside.name} is of another corpus")

    def __len__(self) -> int:
        return len(self.source_lengths)

    def pair(self, row: int) -> IdPair:
        """Source and target ids of one row, as views of the file."""
        number = bisect(self._starts, row) - 1
        at, columns = row - self._starts[number], self._columns[number]
        source, target, copies = (ids[starts[at] : starts[at + 1]] for starts, ids in columns)
        return Source(source, copies), target

    def examples(self) -> Iterator[Example]:
        """Every row without its text; the number of its group is its part."""
        parts = np.repeat(np.arange(len(self.groups)), [one.rows for one in self.groups])
        for row, of in enumerate(parts.tolist()):
            yield of, Pair("", "", self.line(row)), *self.pair(row)

    def target_counts(self, vocabulary: int) -> npt.NDArray[np.int64]:
        """Count each target token; the end token counts once for each row: int64 [V]."""
        counts = np.zeros(vocabulary, np.int64)
        for _, (starts, ids), _ in self._columns:
            # Ids from V on are words that a source copies.
            counts += np.bincount(ids[starts[0] : starts[-1]], minlength=vocabulary)[:vocabulary]
        counts[EOS] += len(self)
        return counts

    def line(self, row: int) -> int:
        """The line that one row had in the file of pairs."""
        number = bisect(self._starts, row) - 1
        return int(self._batches[number].column("line")[row - self._starts[number]].as_py())

    def texts(self) -> list[tuple[str, str]]:
        """Raw source and target of every row, where the file holds them (held-out pairs).

        Raises:
            FolderError: it holds no text, or the text is damaged.
        """
        if self._schema != _IDS_AND_TEXT:
            raise FolderError("holds no text", cure="name a file of test pairs")
        with reading(self._path, *_WRONG):
            table = pa.Table.from_batches(self._batches, self._schema).select(_TEXTS.names)
            table.validate(full=True)  # text that lies beyond the file would end the program
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _rows(column: Any) -> tuple[Lengths, Ids]:
    """Offsets and ids of a column of lists, once every row is known to lie within the ids.

    This reads the offsets alone; Arrow's own full validation reads all ids as well.
    """
    starts, ids = column.offsets.to_numpy(), column.values.to_numpy()
    if len(starts) and (starts[0] < 0 or starts[-1] > len(ids) or (np.diff(starts) < 0).any()):
        raise ValueError("a row lies beyond its end")
    return starts, ids


def shard(path: Path, number: int) -> Path:
    """The file of a shard of the corpus ``path``: ``path`` itself for 0, train-1.arrow for 1."""
    return path.with_stem(f"{path.stem}-{number}") if number else path


def write_corpus(
    path: Path, examples: Iterable[Example], *, keep_text: bool = False
) -> Counter[int]:
    """Write pairs as ids to the new file ``path``, and as raw text with ``keep_text``.

    Returns:
        The number of pairs of each part.
    """
    schema, written = _IDS_AND_TEXT if keep_text else _IDS, Counter[int]()

    def rows() -> Iterator[tuple[Any, ...]]:
        for part, pair, source, target in examples:
            written[part] += 1
            row = source.ids, target, source.copies, pair.line, pair.source, pair.target
            yield row[: len(schema)]

    for _ in write_rows(rows(), path, schema):
        pass
    return written


def write_groups(path: Path, groups: Sequence[Group]) -> None:
    """Write beside the corpus ``path`` where its rows come from."""
    write_text(path.with_suffix(".json"), json.dumps(groups))
