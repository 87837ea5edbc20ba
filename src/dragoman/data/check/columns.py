"""The pairs of a check as Arrow columns on disk, and what is counted of them in one pass.

No text is held in memory: sameness is judged by 64-bit hashes, about 60 bytes a pair.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dragoman.config.options import DataOptions
from dragoman.data.check.kinds import KINDS
from dragoman.data.check.report import Finding, Rows, Side
from dragoman.data.lines import place
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.sameness import sentence_key
from dragoman.data.text import CHUNK, open_batches, write_chunks

Numbers = npt.NDArray[Any]


@dataclass(slots=True)
class Counts:
    """What is counted of one side: hashes and lengths, one a pair."""

    words: Counter[int] = field(default_factory=Counter)
    """How often each token comes, by its hash; tokens are what white space separates."""
    alphabet: Numbers = field(default_factory=lambda: np.zeros(0x110000, np.int64))
    """How often each character comes, by its code."""
    texts: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    """Hashes of the texts without case, punctuation and spaces."""
    characters: array[int] = field(default_factory=lambda: array("I"))
    tokens: array[int] = field(default_factory=lambda: array("I"))

    def add(self, column: Any) -> None:
        """Take in the texts of one record batch."""
        texts = column.to_pylist()
        words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(column))
        found = pc.value_counts(pc.list_flatten(words))
        for word, count in zip(*(found.field(n).to_pylist() for n in (0, 1)), strict=True):
            self.words[hash(word)] += count
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
        self.alphabet += np.bincount(codes, minlength=len(self.alphabet))
        self.texts.extend(map(hash, texts))
        self.keys.extend(hash(_key(text)) for text in texts)
        self.characters.extend(map(len, texts))
        self.tokens.extend(pc.list_value_length(words).to_numpy().tolist())

    def side(self) -> Side:
        """The numbers that are reported."""
        return Side(
            distinct_texts=len(set(self.texts)),
            tokens=sum(self.tokens),
            distinct_tokens=len(self.words),
            tokens_seen_once=sum(count == 1 for count in self.words.values()),
            characters=sum(self.characters),
            distinct_characters=int((self.alphabet > 0).sum()),
            tokens_a_line=_lengths(self.tokens),
            characters_a_line=_lengths(self.characters),
            lines=len(self.tokens),
        )


@dataclass(frozen=True)
class Corpus:
    """Pairs on disk, and what was counted of them."""

    file: str
    batches: Sequence[Any]
    """Arrow record batches with the columns ``source`` and ``target``."""
    lines: Rows
    """The line of each pair in its file."""
    shown: int
    """Places that are told of each finding."""
    source: Counts
    target: Counts

    @classmethod
    def read(
        cls, files: Sequence[Path], options: DataOptions, folder: Path, faults: Faults
    ) -> Corpus:
        """Put the pairs of ``files`` into the new ``folder`` as Arrow columns, and count them."""
        folder.mkdir()
        pairs = read_pairs(files, options, faults, as_is=True)
        deque(write_chunks(pairs, folder / "text.arrow"), maxlen=0)
        batches, sides = open_batches(folder / "text.arrow"), (Counts(), Counts())
        for batch in batches:
            for counts, name in zip(sides, ("source", "target"), strict=True):
                counts.add(batch.column(name))
        lines = np.concatenate([batch.column("line").to_numpy() for batch in batches])
        return cls(place(files[0]), batches, lines, faults.remembered, *sides)

    def text(self, row: int) -> tuple[str, str]:
        """Source and target of one row."""
        batch, at = self.batches[row // CHUNK], row % CHUNK
        return batch.column("source")[at].as_py(), batch.column("target")[at].as_py()

    def texts(self) -> Iterator[tuple[str, str]]:
        """Source and target of every row."""
        for batch in self.batches:
            sources, targets = batch.column("source"), batch.column("target")
            yield from zip(sources.to_pylist(), targets.to_pylist(), strict=True)

    def place(self, row: int) -> str:
        """``file:line`` of one row."""
        return f"{self.file}:{self.lines[row]}"

    def rows_where(self, mask: Callable[[Any, Any], Numbers]) -> Rows:
        """Rows for which ``mask`` of a source and a target column is true."""
        masks = [mask(batch.column("source"), batch.column("target")) for batch in self.batches]
        return np.flatnonzero(np.concatenate(masks))

    @cached_property
    def alphabet(self) -> dict[str, int]:
        """Every character with its number, most frequent first."""
        both = self.source.alphabet + self.target.alphabet
        codes = np.flatnonzero(both)
        return {chr(c): int(both[c]) for c in codes[np.argsort(-both[codes], kind="stable")]}

    @cached_property
    def pairs(self) -> Numbers:
        """A hash of each pair."""
        return numbers(self.source.texts) * np.int64(1_000_003) ^ numbers(self.target.texts)

    @property
    def usual(self) -> float:
        """What more pairs than this have is in the nature of the data, and no fault."""
        return max(20.0, 0.2 * len(self.lines))

    def finding(
        self, kind: str, rows: Rows, detail: Callable[[int], str], fixed: Rows | None = None
    ) -> Finding:
        """What ``rows`` have; ``fixed``: those to fix, if not all."""
        severity, meaning, fix = KINDS[kind]
        places = tuple(f"{self.place(row)}: {detail(row)}" for row in rows[: self.shown].tolist())
        fixed = (rows if fix else rows[:0]) if fixed is None else fixed
        return Finding(kind, severity, len(rows), meaning, places, fixed=fixed, detail=detail)


def numbers(values: array[int]) -> Numbers:
    """An array as NumPy sees it, without a copy."""
    return np.frombuffer(values, dtype=values.typecode)


def _key(text: str) -> str:
    """What texts that count as the same share; in one without letters every sign counts."""
    return sentence_key(text) if any(map(str.isalpha, text)) else text.strip()


def _lengths(values: array[int]) -> tuple[int, int, int]:
    # "inverted_cdf" gives a length that occurs, not a number between two.
    levels = np.percentile(numbers(values), [50, 95, 100], method="inverted_cdf")
    return int(levels[0]), int(levels[1]), int(levels[2])
