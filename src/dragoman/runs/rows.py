"""Writes and reads ``metrics.jsonl``, a run's measurements: one JSON object a line.

Every row has ``kind``, ``step``, ``epoch`` and ``elapsed`` (seconds). The kinds are ``start`` and
``end`` (of each command that the run took), ``train`` (each report interval) and ``validation``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from dragoman.files import parse_json, write_text

Row = dict[str, Any]


class MetricsLog:
    """Appends rows to a run's ``metrics.jsonl``.

    Args:
        path: the file.
        step: the step from which the run continues.
        validated: the last step whose validation it knows of. Rows of later steps and of later
            validations are deleted, because the run will measure them again.
    """

    def __init__(self, path: Path, *, step: int, validated: int) -> None:
        self._path, last = path, {"validation": validated}
        if path.exists():
            rows = read_metrics(path)
            kept = [row for row in rows if row["step"] <= last.get(row["kind"], step)]
            write_text(path, "".join(map(_line, kept)))

    def write(self, row: Row) -> None:
        """Append one row."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(_line(row))


def read_metrics(path: Path) -> list[Row]:
    """Read the rows, oldest first; none where there is no file.

    A line that is not a JSON object with a kind and a step is left out: a crash may have cut it.
    """
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        with suppress(ValueError):
            row = parse_json(line)
            if isinstance(row, dict) and "kind" in row and isinstance(row.get("step"), int):
                rows.append(row)
    return rows


def _line(row: Row) -> str:
    return f"{json.dumps(row, ensure_ascii=False)}\n"
