"""Writes a run's report: one HTML file that shows everything about it in any browser.

:func:`write_documents` writes it with the model card, during a training and at its end.

``report.html`` beside this file is the page. It draws the JSON that is put into it, and every text
of the data becomes a text node, so that no sentence is read as markup.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.toml import plain
from dragoman.files import write_text
from dragoman.layout import CARD, REPORT
from dragoman.runs.card import write_card
from dragoman.runs.display import print_runs
from dragoman.runs.history import History, Row

_MOST_ROWS = 1000
"""Most points of a curve."""


def write_documents(folder: Path, console: Console | None = None) -> None:
    """Write the report and the model card from what a run's folder holds now.

    A failure is printed on stderr and never ends a training.

    Args:
        folder: of the run.
        console: of a run that has ended: its scores and the report's path are printed there.
    """
    with _reported(f"{REPORT} is not written"):
        write_report(folder)
    with _reported(f"{CARD} is not written"):
        write_card(folder)
    if console is not None:
        with _reported("the run cannot be shown"):
            print_runs([History.of(folder)], console)
        console.print(f"report: {folder / REPORT}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _reported(failure: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        print(f"dragoman: {failure}: {type(error).__name__}: {error}", file=sys.stderr)


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run's folder, and return its path.

    Of a long run the page holds only every n-th measurement.

    Raises:
        FolderError: it is no model folder.
    """
    history = History.of(folder)
    template = files("dragoman.runs").joinpath("report.html").read_text("utf-8")
    data = json.dumps(report_data(history), ensure_ascii=False, separators=(",", ":"))
    page = template.replace("{data}", data.replace("<", "\\u003c"), 1)
    page = page.replace("{title}", escape(history.name), 1)  # which stands before the data
    write_text(folder / REPORT, page)
    return folder / REPORT


def report_data(history: History) -> Row:
    """The JSON that the page draws."""
    return {
        "name": history.name,
        "metric": history.config.training.metric,
        "record": history.record,
        "best": _numbers(history.best),
        "last": history.last,
        "now": history.latest("validation"),
        "train": _columns(history.kind("train")),
        "validation": _columns(history.kind("validation")),
        "options": _options(history),
        "environment": history.latest("start").get("environment", {}),
        "commands": len(history.kind("start")),
        "command": history.command(),
    }


def _numbers(row: Row) -> Row:
    return {n: v for n, v in row.items() if isinstance(v, (int, float))}


def _columns(rows: list[Row]) -> Row:
    """A list for each number of the rows, with null where a row lacks it.

    Of many rows every n-th is taken, counted back from the last one.
    """
    rows = rows[:: -(len(rows) // _MOST_ROWS + 1)][::-1]
    names = dict.fromkeys(name for row in rows for name in _numbers(row))
    return {name: [row.get(name) for row in rows] for name in names}


def _options(history: History) -> list[tuple[str, Any, str]]:
    """Each option's name, value and origin: ``asked`` by the user, ``chosen`` from the data and the
    machine, or ``default``."""
    asked, defaults, found = history.asked(), plain(Config()), []
    for name, value in plain(history.config).items():
        origin = "default" if value == defaults[name] else "chosen"
        found.append((name, value, "asked" if name in asked else origin))
    return sorted(found, key=lambda option: option[2])
