"""A pair of text, and what can be wrong with a line of a file of pairs."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pair:
    """One example: ``source`` is what goes in, ``target`` what must come out.

    ``line`` counts from 1, as editors do, ``record`` counts what stands in the file, good and bad:
    a record of some formats has several lines. Neither side is empty, holds a line end or is longer
    than ``data.max_characters``; neither is normalised yet.
    """

    source: str
    target: str
    line: int
    record: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one line is no pair."""

    kind: str
    """``columns``, ``fields``, ``empty``, ``too long``, ``control characters``, ``not JSON``,
    ``encoding`` and others; lines are counted by it."""
    detail: str
    """What exactly is wrong."""
    cure: str = "fill these lines or delete them"
    """What the user can do."""
    file: str = ""
    """The file as messages show it; empty until the reader puts it in."""
    line: int = 0
    """The line, counted from 1; 0 until the reader puts it in."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.detail}"


Text = str | Fault
"""A decoded line, or why it cannot be used."""
Row = tuple[str, ...] | Fault | None
"""The two sides of a pair as they stand in a file, and its columns of features; or why there is no
pair; None: a blank line."""
Record = tuple[int, Row]
"""The line of the file where a row begins, counted from 1, and the row."""


@dataclass(slots=True)
class Faults:
    """Counts the unusable lines by kind and remembers the first of each."""

    remembered: int = 3
    """Faults of a kind that are remembered; one is, whatever the number."""
    lines: int = 0
    """Records read so far, good and bad: lines, or rows of a table, or units."""
    counts: Counter[str] = field(default_factory=Counter)
    """Unusable lines by kind."""
    first: dict[str, list[Fault]] = field(default_factory=dict)
    """The remembered faults by kind."""
    notes: list[str] = field(default_factory=list)
    """What else the user should read about the file, a sentence each."""

    def reads(self, *details: str) -> None:
        """Note first how the file is read, with all ``details`` that are not empty."""
        self.notes.insert(0, f"reads as: {', '.join(filter(None, details))}")

    def add(self, fault: Fault) -> None:
        """Count ``fault``; keep it when it is among the first of its kind."""
        self.counts[fault.kind] += 1
        places = self.first.setdefault(fault.kind, [])
        if len(places) < max(1, self.remembered):
            places.append(fault)

    @property
    def total(self) -> int:
        """Unusable lines of all kinds."""
        return self.counts.total()

    def summary(self) -> list[str]:
        """One line a kind: ``12 lines left out, empty: pairs.tsv:7: ...; pairs.tsv:9: ...``."""
        first = {kind: "; ".join(map(str, faults)) for kind, faults in self.first.items()}
        every = self.counts.most_common()
        return [f"{counted(n, 'line')} left out, {kind}: {first[kind]}" for kind, n in every]


def counted(number: int, noun: str) -> str:
    """``1 pair``, ``2,000 pairs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
