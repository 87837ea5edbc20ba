"""The rows of the board, as ``rows.toml`` has them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
ROWS = FOLDER / "rows.toml"
RESULTS = FOLDER / "results"
LANGUAGE = "{language}"
"""Stands for the language in the file names of a row of several languages."""
BUSY = 0.25
"""Cores that others used on average, above which a record is of a busy machine."""
LOWER = ("word error", "token error rate", "loss")
"""Scores and measures of which less is better."""


class RowError(Exception):
    """A row cannot be read, or its data are missing; the message names the row and the cause."""


@dataclass(frozen=True)
class Published:
    """A figure that others report for the same task."""

    figure: str
    what: str
    """The system."""
    source: str
    """Where the figure stands."""
    scored: str
    """On which test set, and how."""
    by_language: dict[str, float] = field(default_factory=dict)
    checked: bool = False
    """The figure was seen at its source; else it is quoted from what others report of it."""


@dataclass(frozen=True)
class Measure:
    """A quantity of the training itself that the original of a recipe reports."""

    measure: str
    """``loss`` or ``accuracy`` (of the training rows of ``metrics.jsonl``), ``validation loss`` or
    ``free_accuracy`` (of its validations), or ``samples/s``."""
    step: int = 0
    """Of the row that is read; 0: the last."""
    published: float | None = None

    @property
    def name(self) -> str:
        """Such as ``loss at step 1,000``."""
        return f"{self.measure} at step {self.step:,}" if self.step else self.measure


@dataclass(frozen=True)
class Row:
    """One task and one way to train for it."""

    name: str
    group: str
    title: str
    data: str
    """The pairs in words: how many, and how train, validation and test are made."""
    expected: float
    """Minutes of one seed, all languages together, on two quiet cores, roughly."""
    score: str
    """The score of the table: a name of ``dragoman evaluate``, or ``word error``."""
    options: list[str] = field(default_factory=list)
    """Options of ``dragoman train``."""
    train: list[str] = field(default_factory=list)
    """Files below the data folder."""
    pairs: list[list[str]] = field(default_factory=list)
    """In place of ``train``: the pairs themselves, which are the test too."""
    sample: str = ""
    """In place of ``train``: a corpus of ``dragoman data get``."""
    hold_out: int = 0
    """Column (from 1) of the source by which 1,000 pairs of ``train`` are the test; 0: none."""
    validation: list[str] = field(default_factory=list)
    test: dict[str, list[str]] = field(default_factory=dict)
    """Test files by name; without a file, the pairs that the training held out."""
    test_options: list[str] = field(default_factory=list)
    """Options of ``dragoman evaluate``."""
    languages: list[str] = field(default_factory=list)
    seeds: int = 3
    published: list[Published] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    note: str = ""
    program: str = ""
    """Of ``benchmarks/programs``, which trains in place of ``dragoman train``."""
    workload: str = "w1"
    """Words and sizes for ``program``, of ``benchmarks/workloads.py``."""
    steps: int = 0
    """Updates of ``program``."""

    @property
    def training(self) -> str:
        """How it is trained, and what ends a training."""
        if self.program:
            steps = f"{self.steps:,} steps"
            return f"`benchmarks/programs/{self.program}.toml`, workload {self.workload}, {steps}"
        own = "the recipe's number of steps or epochs"
        own = own if "--recipe" in self.options else "it ends when validations find nothing better"
        bound = "" if "--budget" in self.options else f"; {own}"
        return f"`{' '.join(['dragoman train', *self.options])}`{bound}"

    @property
    def identity(self) -> str:
        """A digest of everything that a score of the row depends on, but for the program itself."""
        facts = [self.train, self.pairs, self.sample, self.hold_out, self.validation, self.test]
        facts += [self.test_options, self.options, self.program, self.workload, self.steps]
        for word in self.options:
            if word.endswith(".toml"):  # a recipe; its comments do not count
                facts.append(tomllib.loads((ROOT / word).read_text(encoding="utf-8")))
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]

    def entries(self) -> list[str]:
        """The languages; one empty name for a row that has none."""
        return self.languages or [""]


def read_rows(path: Path = ROWS) -> dict[str, Row]:
    """The rows of a file, in its order.

    Raises:
        RowError: a row has an unknown field or lacks one.
    """
    rows = {}
    for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
        rows[name] = _row(name, table)
    return rows


def _row(name: str, table: dict[str, Any]) -> Row:
    if unknown := table.keys() - {f.name for f in fields(Row)}:
        raise RowError(f"{name}: unknown field {', '.join(sorted(unknown))}")
    try:
        published = [Published(**one) for one in table.pop("published", [])]
        measures = [Measure(**one) for one in table.pop("measures", [])]
        return Row(name, published=published, measures=measures, **table)
    except TypeError as error:
        raise RowError(f"{name}: {error}") from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a row, one for each language and seed; none where the file is missing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def commit() -> str:
    """The commit that is checked out, with a plus sign where the program was changed since."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "recipes")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
