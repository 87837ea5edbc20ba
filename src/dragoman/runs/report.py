"""Writes what people read of a run, during a training and at its end: report and model card.

The report is one HTML file that any browser shows. ``report.html`` beside this file is the page. It
draws the JSON that is put into it, and every text of the data becomes a text node, so that no
sentence is read as markup.

The card is ``README.md`` of a model folder, in the Hugging Face hub's form; ``card.md`` beside this
file is its template. It asks for what only the author knows (licence, languages, intended use). A
card that somebody has edited is kept: the last line of a card holds a digest of the text above it.
"""

import hashlib
import json
import shlex
import sys
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from textwrap import indent
from typing import Any

from jinja2 import Environment
from rich.console import Console

from dragoman.config.toml import plain
from dragoman.files import write_text
from dragoman.layout import CARD, REPORT
from dragoman.runs.display import SCORES, clock, scores_line
from dragoman.runs.history import DEFAULTS, History, Row

_MOST_ROWS = 1000
"""Most points of a curve."""


def write_documents(folder: Path, console: Console | None = None) -> None:
    """Write the report and the model card from what a run's folder holds now.

    A failure to write one is printed on stderr and never ends a training.

    Args:
        folder: of the run.
        console: of a run that has ended: the report's path is printed there.
    """
    for name, write in ((REPORT, write_report), (CARD, write_card)):
        try:
            write(folder)
        except Exception as error:
            said = f"{name} is not written: {type(error).__name__}: {error}"
            print(f"dragoman: {said}", file=sys.stderr)
    if console is not None:
        console.print(f"report: {folder / REPORT}", markup=False, highlight=False, soft_wrap=True)


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
    asked, found = history.asked(), []
    for name, value in plain(history.config).items():
        origin = "default" if value == DEFAULTS[name] else "chosen"
        found.append((name, value, "asked" if name in asked else origin))
    return sorted(found, key=lambda option: option[2])


_MARK = "\n<!-- written by dragoman, and again with each training, until you edit it: {} -->\n"
_CODE = "    "
"""Indents a block of code: no text within can end it, as it could end a fence."""


def write_card(folder: Path) -> None:
    """Write the card of a run's folder, unless the folder has one that somebody edited.

    Raises:
        FolderError: it is no model folder.
    """
    path = folder / CARD
    there = path.read_text("utf-8", errors="replace") if path.exists() else _marked("")
    if there == _marked(there.rpartition(_MARK.partition("{")[0])[0]):
        write_text(path, _marked(card_text(History.of(folder))))


def _marked(text: str) -> str:
    """A card with its last line, which holds a digest of the text above it."""
    return text + _MARK.format(hashlib.sha256(text.encode()).hexdigest()[:16])


def card_text(history: History) -> str:
    """The card as Markdown, after the hub's metadata in YAML: ``card.md`` filled in."""
    # A source that the last validation translated, and that a shell reads as it stands.
    sources = [row["source"] for row in history.latest("validation").get("samples", ())]
    example = next((s for s in sources if not set(s) & set('"\\$`!\n\r')), "...")
    made = Environment(trim_blocks=True, keep_trailing_newline=True)
    made.filters |= {"code": partial(indent, prefix=_CODE), "escaped": _escaped, "repr": repr}
    shown = {"SCORES": SCORES, "clock": clock, "quote": shlex.quote, "scores_line": scores_line}
    card = made.from_string(files("dragoman.runs").joinpath("card.md").read_text("utf-8"))
    return card.render(history=history, example=example, **shown)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return escape(" ".join(text.split()), quote=False).replace("`", "&#96;")
