"""Pairs as ids on disk: memory-mapped Arrow, so that a corpus may be larger than memory.

Columns: ``source``, ``target`` (lists of int32 ids, no begin or end tokens), ``copies`` (the
source's tokens in the target's vocabulary for a copying model, else empty; see
:mod:`dragoman.data.copies`), ``line`` (of the file of pairs), and for held-out pairs also
``source_text`` and ``target_text``.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dragoman.data.pairs import Pair
from dragoman.data.source import Source
from dragoman.data.tokenizer import EOS, UNK, Ids
from dragoman.errors import FolderError

CHUNK = 8192
"""Rows of a record batch; every batch but the last has exactly so many."""

_LISTS = ("source", "target", "copies")
_IDS = pa.schema([*((name, pa.list_(pa.int32())) for name in _LISTS), ("line", pa.int32())])
_TEXTS = pa.schema([(name, pa.string()) for name in ("source_text", "target_text")])
_IDS_AND_TEXT = pa.unify_schemas([_IDS, _TEXTS])


class Corpus:
    """An opened file of ids.

    Attributes:
        source_lengths: tokens of each source, int32 [rows].
        target_lengths: tokens of each target, int32 [rows].
    """

    def __init__(self, path: Path) -> None:
        """Map ``path`` into memory and check that every row lies within the file.

        Raises:
            FolderError: there is no such file, or it is not a corpus.
        """
        self._path = path
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            if reader.schema not in (_IDS, _IDS_AND_TEXT):
                raise ValueError(
                    f"its columns are {', '.join(reader.schema.names)}, or of other types"
                )
            self._has_text = reader.schema == _IDS_AND_TEXT
            self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            for batch in self._batches:
                batch.validate()  # every buffer has the size that its rows need
            if any(len(batch) != CHUNK for batch in self._batches[:-1]):
                raise ValueError(f"not every batch but the last has {CHUNK} rows")
            self._columns = [
                [_rows(batch.column(name)) for name in _LISTS] for batch in self._batches
            ]
        except OSError as error:
            raise FolderError(f"cannot be read: {error}", place=str(path)) from error
        except (pa.ArrowException, ValueError) as error:
            raise self._damaged(error) from error
        empty = np.zeros(0, np.int32)
        self.source_lengths, self.target_lengths = (
            np.concatenate([empty, *(np.diff(columns[side][0]) for columns in self._columns)])
            for side in (0, 1)
        )

    def __len__(self) -> int:
        return len(self.source_lengths)

    def pair(self, row: int) -> tuple[Source, Ids]:
        """Source and target ids of one row, as views of the file."""
        columns, at = self._columns[row // CHUNK], row % CHUNK
        source, target, copies = (ids[starts[at] : starts[at + 1]] for starts, ids in columns)
        return Source(source, copies), target

    def target_counts(self, vocabulary: int) -> npt.NDArray[np.int64]:
        """How often each target token comes, the end once a row: int64 [V]."""
        counts = np.zeros(vocabulary, np.int64)
        for columns in self._columns:
            starts, ids = columns[1]
            seen = np.bincount(ids[starts[0] : starts[-1]], minlength=vocabulary)
            counts += seen[:vocabulary]  # ids from V on are words that a source copies
        counts[EOS] += len(self)
        return counts

    def line(self, row: int) -> int:
        """The line that one row had in the file of pairs."""
        return int(self._batches[row // CHUNK].column("line")[row % CHUNK].as_py())

    def texts(self) -> list[tuple[str, str]]:
        """Raw source and target of every row, where the file holds them (held-out pairs).

        Raises:
            FolderError: it holds no text, or the text is damaged.
        """
        if not self._has_text:
            raise FolderError("holds no text", cure="name a file of test pairs")
        rows: list[tuple[str, str]] = []
        for batch in self._batches:
            try:
                batch.validate(full=True)  # text that lies beyond the file would end the program
            except pa.ArrowException as error:
                raise self._damaged(error) from error
            columns = (batch.column(name).to_pylist() for name in _TEXTS.names)
            rows += zip(*columns, strict=True)
        return rows

    def _damaged(self, error: Exception) -> FolderError:
        cause = f"is not a corpus: {error}"
        return FolderError(cause, place=str(self._path), cure="choose another --out")


def _rows(column: Any) -> tuple[npt.NDArray[np.int32], Ids]:
    """Offsets and ids of a column of lists, once every row is known to lie within the ids.

    This reads the offsets alone; Arrow's own full validation reads all ids as well.
    """
    starts, ids = column.offsets.to_numpy(), column.values.to_numpy()
    if len(starts) and (starts[0] < 0 or starts[-1] > len(ids) or (np.diff(starts) < 0).any()):
        raise ValueError("a row lies beyond its end")
    return starts, ids


class CorpusWriter:
    """Writes pairs of ids to a file, but for those that cannot be used. A context manager.

    Attributes:
        rows: the number of pairs written.
        left_out: the number of pairs that were not written, by reason.

    Args:
        path: the file.
        keep_text: store the raw text as well.
        longest: most tokens of source and of target; None: no limit.
        drop_unknown: leave out pairs with an unknown token.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_text: bool = False,
        longest: tuple[int, int] | None = None,
        drop_unknown: bool = False,
    ) -> None:
        self._schema = _IDS_AND_TEXT if keep_text else _IDS
        self._longest, self._drop_unknown = longest, drop_unknown
        self._chunk: list[tuple[Any, ...]] = []
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        self.rows, self.left_out = 0, Counter[str]()

    def add(self, pair: Pair, source: Source, target: Ids) -> None:
        """Write one pair as ids, or count why it is left out."""
        sizes, longest = (len(source), len(target)), self._longest
        if not all(sizes):
            self.left_out["a side normalises to nothing"] += 1
        elif longest and (sizes[0] > longest[0] or sizes[1] > longest[1]):
            self.left_out["a side has too many tokens"] += 1
        elif self._drop_unknown and (UNK in source.ids or UNK in target):
            self.left_out["a token is not in the vocabulary"] += 1
        else:
            texts = pair.source, pair.target
            self._chunk.append((source.ids, target, source.copies, pair.line, *texts))
            self.rows += 1
            if len(self._chunk) == CHUNK:
                self._write()

    def _write(self) -> None:
        arrays = []
        columns = list(zip(*self._chunk, strict=True))[: len(self._schema)]
        for values, field in zip(columns, self._schema, strict=True):
            if field.name in _LISTS:
                starts = np.cumsum([0, *map(len, values)], dtype=np.int32)
                arrays.append(pa.ListArray.from_arrays(starts, np.concatenate(values)))
            else:
                arrays.append(pa.array(values, field.type))
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._chunk = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._file, self._writer:
            if self._chunk and not any(error):
                self._write()
