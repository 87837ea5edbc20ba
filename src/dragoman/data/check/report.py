"""What ``dragoman check`` reports: every kind of oddity, and values that become text or JSON."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from dragoman.data.pairs import counted

Numbers = npt.NDArray[Any]
"""One number for each of some pairs; rows count from 0, without the lines that are left out."""
Severity = Literal["problem", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")


class Kind(NamedTuple):
    """The severity and meaning of a kind of oddity, and what ``--fix`` does with its pairs."""

    severity: Severity
    meaning: str
    fix: Literal["", "remove", "move", "swap", "clean"] = ""
    """Nothing; it is left out; it takes another's target; its sides change places; its text is
    cleaned."""


KINDS = {
    "test sources": Kind("problem", "have a source of the test", "remove"),
    "duplicates": Kind("warning", "repeat an earlier pair", "remove"),
    "untranslated": Kind("warning", "source and target are the same", "remove"),
    "swapped sides": Kind("warning", "the source reads like a target, and vice versa", "swap"),
    "shifted lines": Kind("warning", "the targets of other lines", "move"),
    "length ratio": Kind("warning", "one side unusually long for the other; misaligned?", "remove"),
    "lost characters": Kind("warning", "in the place of others that are lost", "remove"),
    "wordless": Kind("warning", "one side has no letter and no digit", "remove"),
    "broken encoding": Kind("warning", "decoded wrongly once", "clean"),
    "invisible characters": Kind("warning", "easily missed", "clean"),
    "ligatures": Kind("warning", "several letters as one sign", "clean"),
    "decomposed letters": Kind("warning", "not in Unicode's form NFC", "clean"),
    "line ends inside": Kind("warning", "tabs or line ends in a text, read as spaces", "clean"),
    "byte order marks": Kind("warning", "U+FEFF, which has no use inside a text", "clean"),
    "entities": Kind("warning", "HTML's names for characters", "clean"),
    "loose spaces": Kind("note", "at an end of a text", "clean"),
    "mixed scripts": Kind("warning", "two scripts in one word: letters that look alike?"),
    "markup": Kind("warning", "tags of HTML or a wiki"),
    "addresses": Kind("note", "of the web or of mail"),
    "unusual spaces": Kind("note", "not U+0020"),
    "private characters": Kind("note", "of no script that others know; a font's own?"),
    "different digits": Kind("note", "the two sides do not have the same digits"),
}
ALWAYS = ("line ends inside", "byte order marks")
"""Kinds that are fixed however many pairs have them: else the file would not read back alike."""

_ENOUGH = (
    (100_000, "enough for short everyday sentences"),
    (10_000, "enough for short sentences of one subject, or a regular task"),
    (1_000, "enough only for a narrow, regular task such as spelling, dates or commands"),
    (0, "too few to do more than repeat them"),
)
"""Number of pairs, and what at least so many suffice for."""


@dataclass(frozen=True)
class Finding:
    """One kind of oddity: how often, what it means, where, and what is to be fixed."""

    kind: str
    severity: Severity
    count: int
    meaning: str
    places: tuple[str, ...] = ()
    """``file:line: detail`` of the first ones."""
    unit: str = "pair"
    fixed: Numbers = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    """The rows that ``--fix`` changes or leaves out."""
    moves: Numbers = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    """Where lines are shifted: the row whose target each of ``fixed`` takes; -1: it is left out."""
    detail: Callable[[int], str] = field(default=str, compare=False)
    """Says in words what one row has."""

    def __str__(self) -> str:
        """One line for the terminal."""
        places = f" ({'; '.join(self.places)})" if self.places else ""
        head = f"{self.severity}: {self.kind}: {counted(self.count, self.unit)}"
        return f"{head}: {self.meaning}{places}"


@dataclass(frozen=True)
class Units:
    """The tokens or the characters of one side in numbers."""

    total: int
    distinct: int
    median: int
    """Of a line, as the next two."""
    percentile_95: int
    longest: int

    def in_words(self, name: str) -> str:
        """The numbers in words."""
        lengths = f"median {self.median:,}, 95 % {self.percentile_95:,}, longest {self.longest:,}"
        return f"{self.total:,} {name}, {self.distinct:,} distinct (a line: {lengths})"


@dataclass(frozen=True)
class Side:
    """One side of all pairs in numbers; tokens are what white space separates."""

    distinct_texts: int
    tokens: Units
    characters: Units
    level: str
    """The unit of text that training would choose."""

    def __str__(self) -> str:
        """The numbers in one line."""
        units = f"{self.tokens.in_words('tokens')}; {self.characters.in_words('characters')}"
        return f"{counted(self.distinct_texts, 'distinct text')}; {units}"


@dataclass(frozen=True)
class Report:
    """The results of ``dragoman check`` for one corpus."""

    files: tuple[str, ...]
    total_lines: int
    pairs: int
    left_out: tuple[Finding, ...]
    """Unusable lines by kind."""
    source: Side
    target: Side
    findings: tuple[Finding, ...]
    """Findings about the usable pairs, most severe first."""
    changes: tuple[str, ...] = ()
    """What ``--fix`` does, a sentence for each kind of change."""
    notes: tuple[str, ...] = ()
    """How the files were read, a sentence each."""
    cleaned: str = ""
    """A line about the file that ``--fix`` wrote; empty without ``--fix``."""

    def lines(self) -> list[str]:
        """Plain text for a terminal: the size, what is wrong, what to expect."""
        lines, pairs = counted(self.total_lines, "line"), counted(self.pairs, "usable pair")
        enough = next(text for limit, text in _ENOUGH if self.pairs >= limit)
        source, target = self.source.level, self.target.level
        levels = source if source == target else f"{source} for the source, {target} for the target"
        return [
            f"{' and '.join(self.files)}: {lines}, {pairs}",
            *self.notes,
            *map(str, self.left_out),
            f"source: {self.source}",
            f"target: {self.target}",
            *map(str, self.findings),
            f"learnable: {counted(self.pairs, 'pair')}, {enough}; suggests {levels}",
            *self.changes,
        ]


def to_json(value: Report | Side | Units | Finding) -> dict[str, Any]:
    """Turn a report into what ``json.dumps`` writes of it (its argument ``default``)."""
    return {each.name: getattr(value, each.name) for each in fields(value) if each.compare}


def excerpt(text: str, at: int = 0) -> str:
    """A few words around ``at``; characters that cannot be seen are written as their codes."""
    start, end = max(0, at - 15), at + 16
    shown = (c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text[start:end])
    return f"{'…' if start else ''}{''.join(shown)}{'…' if end < len(text) else ''}"
