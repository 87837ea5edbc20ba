"""The pairs of a check as Arrow columns on disk, and what is counted of them in one pass.

The texts stay on disk: two are the same when their 64-bit hashes are, about 60 bytes a pair.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dragoman.config.options import SideOptions
from dragoman.data.check.report import KINDS, Finding, Numbers, Side, Units
from dragoman.data.invisible import sentence_key
from dragoman.data.pairs import Pair
from dragoman.data.text import TextStatistics, open_batches, write_pairs
from dragoman.data.vocabularies import choose_level
from dragoman.errors import DataError


@dataclass(frozen=True)
class Column:
    """The texts of one side, N of them, and what is counted of them."""

    texts: Any
    """An Arrow chunked array of strings."""
    statistics: TextStatistics
    """Counts of all texts together; tokens are what white space separates."""
    hashes: Numbers
    """A hash of each text, [N]."""
    keys: Numbers
    """A hash of each text without case, punctuation and spaces, [N]."""
    characters: Numbers
    """The number of characters of each text, [N]."""
    tokens: Numbers
    """The number of tokens of each text, [N]."""

    @classmethod
    def count(cls, texts: Any) -> "Column":
        """Count in one pass; as many texts as are in one chunk are held in memory."""
        statistics, numbers = TextStatistics(), []
        for chunk in texts.chunks:
            lines = chunk.to_pylist()
            statistics.add(lines)
            hashes, keys = map(hash, lines), (hash(sentence_key(line)) for line in lines)
            counts = (hashes, keys, map(len, lines), (len(line.split()) for line in lines))
            numbers.append([np.fromiter(each, np.int64, len(lines)) for each in counts])
        return cls(texts, statistics, *np.concatenate(numbers, axis=1))

    def side(self) -> Side:
        """The numbers that are reported."""
        tokens = _units(self.tokens, len(self.statistics.words))
        characters = _units(self.characters, len(self.statistics.alphabet))
        level = choose_level(SideOptions(), self.statistics).level
        return Side(len(np.unique(self.hashes)), tokens, characters, level)


@dataclass(frozen=True)
class Corpus:
    """Pairs on disk, and what was counted of them."""

    file: str
    lines: Numbers
    """The line of each pair in its file."""
    source: Column
    target: Column
    shown: int
    """Places that are shown of each finding."""

    @classmethod
    def store(cls, pairs: Iterable[Pair], file: str, path: Path, shown: int) -> "Corpus":
        """Put ``pairs`` into the new file ``path`` as Arrow columns, and count them.

        Args:
            pairs: the pairs.
            file: the name of the file that they come from.
            path: the file to write.
            shown: places that are shown of each finding.

        Raises:
            DataError: there is no pair.
        """
        if not sum(map(len, write_pairs(pairs, path))):
            raise DataError("no pair would be left", place=file, cure="look at what is found")
        table = pa.Table.from_batches(open_batches(path)[1])
        sides = Column.count(table["source"]), Column.count(table["target"])
        return cls(file, table["line"].to_numpy(), *sides, shown)

    def text(self, row: int) -> tuple[str, str]:
        """Source and target of one row."""
        return self.source.texts[row].as_py(), self.target.texts[row].as_py()

    def texts(self) -> Iterator[tuple[str, str]]:
        """Source and target of every row."""
        for chunks in zip(self.source.texts.chunks, self.target.texts.chunks, strict=True):
            yield from zip(*(chunk.to_pylist() for chunk in chunks), strict=True)

    def place(self, row: int) -> str:
        """``file:line`` of one row."""
        return f"{self.file}:{self.lines[row]}"

    @property
    def usual(self) -> float:
        """More pairs than this are no fault: it is how the data are."""
        return max(20.0, 0.2 * len(self.lines))

    def finding(
        self, kind: str, rows: Numbers, detail: Callable[[int], str], fixed: Numbers | None = None
    ) -> Finding:
        """Make the finding of ``kind``.

        Args:
            kind: a name in ``KINDS``.
            rows: the pairs that have it.
            detail: says in words what one row has.
            fixed: the rows that ``--fix`` deals with; without it all, where ``KINDS`` has a way.
        """
        severity, meaning, fix = KINDS[kind]
        places = tuple(f"{self.place(row)}: {detail(row)}" for row in rows[: self.shown].tolist())
        fixed = (rows if fix else rows[:0]) if fixed is None else fixed
        return Finding(kind, severity, len(rows), meaning, places, fixed=fixed, detail=detail)


def _units(lengths: Numbers, distinct: int) -> Units:
    # "inverted_cdf" gives a length that occurs, not a number between two.
    ranks = np.percentile(lengths, [50, 95, 100], method="inverted_cdf")
    return Units(int(lengths.sum()), distinct, *map(int, ranks))
