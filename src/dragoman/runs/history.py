"""Writes and reads the files of a run: its options, the record of its start, its measurements.

``metrics.jsonl`` holds the measurements, one JSON object (a row) a line. Every row has ``kind``,
``step``, ``epoch`` and ``elapsed`` (seconds). The kinds are ``start`` and ``end`` (of each command
that the run took), ``train`` (each report interval), ``validation``, and ``skipped`` (a step whose
gradient was not finite, with the ``lines`` of its pairs in their file).
"""

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Self

from dragoman.config.options import Config
from dragoman.config.toml import load_config, plain
from dragoman.files import parse_json, write_text
from dragoman.layout import METRICS, RECORD

Row = dict[str, Any]
DEFAULTS = plain(Config())
"""The default of every option, by dotted name, in the types of JSON."""


def append_row(path: Path, row: Row) -> None:
    """Append one row to ``metrics.jsonl``."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(_line(row))


def delete_later_rows(path: Path, *, step: int, validated: int) -> None:
    """Delete the rows that a run will measure again, and lines that a crash has cut.

    Args:
        path: ``metrics.jsonl``; made if it is not there.
        step: the step from which the run continues.
        validated: the step of the last validation that its checkpoint knows of.
    """
    last = {"validation": validated, "skipped": step - 1}  # a skipped step does not count itself
    kept = [row for row in read_metrics(path) if row["step"] <= last.get(row["kind"], step)]
    write_text(path, "".join(map(_line, kept)))


def read_metrics(path: Path) -> list[Row]:
    """Read the rows, oldest first; none where there is no file.

    A line that is not a JSON object with a kind and a step is left out: a crash may have cut it.
    """
    rows, text = [], path.read_text("utf-8", errors="replace") if path.exists() else ""
    for line in text.split("\n"):
        with suppress(ValueError):
            row = parse_json(line)
            if isinstance(row, dict) and "kind" in row and isinstance(row.get("step"), int):
                rows.append(row)
    return rows


def _line(row: Row) -> str:
    return f"{json.dumps(row, ensure_ascii=False)}\n"


@dataclass(frozen=True, slots=True)
class History:
    """The options, record and measurements of a run, read from its folder."""

    folder: Path
    config: Config
    """The options as completed from the data; ``record`` has those that the user gave."""
    record: Row
    """``run.json``; empty where it is missing: it does not travel with an exported model."""
    rows: list[Row]
    """``metrics.jsonl``, oldest first."""

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read a folder.

        Raises:
            FolderError: it is no model folder, or its options are damaged.
        """
        config, record = load_config(folder), {}
        with suppress(OSError, ValueError, TypeError):
            record = dict(parse_json((folder / RECORD).read_text("utf-8")))
        return cls(folder, config, record, read_metrics(folder / METRICS))

    @property
    def name(self) -> str:
        """The name of the folder itself, without those above it."""
        return utf8_text(self.folder.resolve().name)

    def kind(self, kind: str) -> list[Row]:
        """The rows of one kind."""
        return [row for row in self.rows if row["kind"] == kind]

    def latest(self, kind: str) -> Row:
        """The last row of one kind; empty when there is none."""
        return next((row for row in reversed(self.rows) if row["kind"] == kind), {})

    @property
    def last(self) -> Row:
        """The latest row, of kind ``end`` unless a command runs or was killed; {} without rows."""
        return self.rows[-1] if self.rows else {}

    @property
    def best(self) -> Row:
        """The validation whose weights the folder holds; empty when there was none."""
        return next((r for r in reversed(self.kind("validation")) if r.get("best")), {})

    def asked(self) -> Row:
        """The options that the user set to something else than the default, by dotted name."""
        values = self.record.get("asked", {})
        return {n: v for n, v in values.items() if n in DEFAULTS and v != DEFAULTS[n]}

    def command(self) -> str:
        """The command that repeats this run, for the shell and working directory of the first."""
        words = ["dragoman", "train", *self.record.get("files", ["PAIRS"])]
        words += ["--out", self.record.get("out", utf8_text(self.folder))]
        for option, value in self.asked().items():
            name = option.replace("_", "-")
            if isinstance(DEFAULTS[option], bool):  # an option that may be auto is given =true
                words.append(f"--{name}" if value else "--{}.no-{}".format(*name.split(".")))
            elif isinstance(value, list):
                values = (one if isinstance(one, list) else [one] for one in value)
                words += [f"--{name}", *map(str, chain.from_iterable(values))]
            else:
                words.append(f"--{name}={value}")
        return shlex.join(words)


def utf8_text(text: Path | str) -> str:
    """Replace by ``?`` what UTF-8 cannot encode: a path may hold any bytes."""
    return str(text).encode("utf-8", "replace").decode()
