"""A pair of text, and what can be wrong with one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import not_
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

FILL = "fill these lines or delete them"


@dataclass(frozen=True, slots=True)
class Pair:
    """One example: ``source`` is what goes in, ``target`` what must come out.

    ``line`` counts from 1, as editors do. Neither side is empty, holds a line end or is longer
    than ``data.max_characters``; neither is normalised yet.
    """

    source: str
    target: str
    line: int


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a line is no pair."""

    kind: str
    """``columns``, ``fields``, ``empty``, ``too long``, ``control characters``, ``not JSON`` or
    ``encoding``; lines are counted by it."""
    detail: str
    cure: str = FILL
    file: int = 0
    """Which of two aligned files is at fault: 0 or 1."""


Text = str | Unusable
"""A decoded line, or why there is none."""
Row = tuple[int, tuple[str, str] | Unusable]
"""A line number with the two sides of a pair as they stand there, or why there is no pair."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A file with its decoded lines."""

    file: Path
    lines: Iterator[Text]


def numbered(rows: Iterable[T], blank: Callable[[T], bool] = not_) -> Iterator[tuple[int, T]]:
    """Count ``rows`` from 1; a last one that is ``blank`` is left out: editors leave it there."""
    held: tuple[int, T] | None = None
    for line, row in enumerate(rows, 1):
        if held:
            yield held
        held = (line, row) if blank(row) else None
        if not held:
            yield line, row


@dataclass(frozen=True, slots=True)
class Fault:
    """One line that was left out: where, of which kind, and what exactly is wrong."""

    kind: str
    file: str
    line: int
    detail: str
    cure: str = FILL

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.detail}"


@dataclass(slots=True)
class Faults:
    """Counts the unusable lines by kind and remembers the first of each."""

    remembered: int = 3
    lines: int = 0
    """Lines read so far, good and bad."""
    counts: Counter[str] = field(default_factory=Counter)
    tell: Callable[[Fault], None] | None = None
    """Called with every fault, for a full list."""
    first: dict[str, list[Fault]] = field(default_factory=dict)
    cures: dict[str, str] = field(default_factory=dict)
    """What to do about each kind."""
    columns: int = 0
    """Columns of the first line of a file whose columns nobody chose; 0: another kind of file."""

    def add(self, fault: Fault) -> None:
        """Count ``fault``; keep it when it is among the first of its kind."""
        self.counts[fault.kind] += 1
        self.cures[fault.kind] = fault.cure
        if self.tell:
            self.tell(fault)
        places = self.first.setdefault(fault.kind, [])
        if len(places) < self.remembered:
            places.append(fault)

    @property
    def total(self) -> int:
        """Unusable lines of all kinds."""
        return self.counts.total()

    def unread(self) -> list[str]:
        """A line about columns that nobody reads; none where there are no more than two."""
        columns = "column 3 is" if self.columns == 3 else f"columns 3 to {self.columns} are"
        note = f"{columns} not read: source and target are columns 1 and 2 (--columns to choose)"
        return [note] if self.columns > 2 else []

    def summary(self) -> list[str]:
        """One line a kind: ``12 lines left out, empty: pairs.tsv:7: ...; pairs.tsv:9: ...``."""
        return [
            f"{count} {'line' if count == 1 else 'lines'} left out, {kind}: "
            + "; ".join(str(fault) for fault in self.first[kind])
            for kind, count in self.counts.most_common()
        ]
