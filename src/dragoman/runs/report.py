"""The report of a run: one HTML file that needs nothing but a browser, made from its folder.

``report.html`` beside this file draws what is put into it as JSON. All text gets into the page as
text nodes, so that no sentence of the data is ever read as markup.
"""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from dragoman.config.options import Config
from dragoman.config.toml import plain
from dragoman.evaluation.mistakes import MISTAKES
from dragoman.files import write_text
from dragoman.layout import REPORT
from dragoman.runs.history import History, Row, trusted

MOST_BYTES = 2_000_000
_MOST_ROWS = 1000
_MOST_CHARACTERS = 600


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run's folder; returns its path.

    Raises:
        FolderError: it is no run's folder.
    """
    write_text(folder / REPORT, report_page(History.of(folder)))
    return folder / REPORT


def report_page(history: History) -> str:
    """The page; a run with more measurements than fit into 2 MB is thinned out.

    Raises:
        FolderError: its rows are not as a run writes them.
    """
    template = files("dragoman.runs").joinpath("report.html").read_text("utf-8")
    before, _, rest = template.partition("{title}")
    between, _, after = rest.partition("{data}")
    most = _MOST_ROWS
    while True:
        with trusted(history):
            shown = report_data(history, most)
        data = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
        safe = data.replace("<", "\\u003c")
        page = f"{before}{escape(history.name)}{between}{safe}{after}"
        if len(page.encode()) <= MOST_BYTES or most < 10:
            return page
        most //= 2


def report_data(history: History, most: int) -> Row:
    """All that the page shows, with about ``most`` points of each curve."""
    train, validations = history.kind("train"), history.kind("validation")
    starts, now = history.kind("start"), validations[-1] if validations else {}
    return {
        "name": history.name,
        "state": history.reason or "in training, when this was written",
        "metric": history.config.training.metric,
        "best": _numbers(history.best),
        "last": _numbers(history.last),
        "train": _columns(_thinned(train, most)),
        "validation": _columns(_thinned(validations, most)),
        "signatures": now.get("signatures", {}),
        "watched": _clipped(_watched(_thinned(validations, most // 5))),
        "samples": _clipped([*now.get("samples", ()), *now.get("watched", ())]),
        "worst": _clipped(now.get("worst", [])),
        "mistakes": [(n, kind, MISTAKES[kind]) for kind, n in now.get("mistakes", {}).items() if n],
        "facts": history.record.get("facts", {}),
        "notes": history.record.get("notes", []),
        "options": _clipped(_options(history)),
        "environment": starts[-1].get("environment", {}) if starts else {},
        "commands": len(starts),
        "command": history.command(),
    }


def _numbers(row: Row) -> Row:
    return {n: v for n, v in row.items() if isinstance(v, (int, float)) and n != "open_end"}


def _thinned(rows: list[Row], most: int) -> list[Row]:
    """Every n-th row, counted from the last one, which is always there."""
    every = -(-len(rows) // most) or 1
    return rows[::-1][::every][::-1]


def _columns(rows: list[Row]) -> Row:
    """Rows as one list a name; null where a row has no such number."""
    names = dict.fromkeys(name for row in rows for name in _numbers(row))
    return {name: [row.get(name) for row in rows] for name in names}


def _watched(validations: list[Row]) -> list[Row]:
    """What became of each watched sentence: the steps at which its translation changed."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in validations:
        for sample in row.get("watched", ()):
            said = found.setdefault(sample["source"], [])
            if not said or said[-1][1] != sample["output"]:
                said.append((row["step"], sample["output"]))
    return [{"source": source, "said": said} for source, said in found.items()]


def _clipped(value: Any) -> Any:
    """The same with every text cut to what one wants to read."""
    if isinstance(value, str):
        return value if len(value) <= _MOST_CHARACTERS else f"{value[:_MOST_CHARACTERS]}…"
    if isinstance(value, (list, tuple)):
        return [_clipped(item) for item in value]
    return {n: _clipped(v) for n, v in value.items()} if isinstance(value, dict) else value


def _options(history: History) -> list[tuple[str, Any, str]]:
    """Name, value and origin: ``asked`` for, ``chosen`` from the data, or ``default``."""
    asked, defaults = history.asked(), plain(Config())
    values = history.options()
    origin = {
        name: "asked" if name in asked else "default" if value == defaults[name] else "chosen"
        for name, value in values.items()
    }
    return sorted(((n, v, origin[n]) for n, v in values.items()), key=lambda option: option[2])
