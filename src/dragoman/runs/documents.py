"""Writes what a run leaves for people. A failure here is reported and never ends a training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from dragoman.layout import CARD, REPORT
from dragoman.runs.card import write_card
from dragoman.runs.display import print_runs
from dragoman.runs.history import History
from dragoman.runs.report import write_report


def write_documents(folder: Path) -> None:
    """Write the report and the model card from what the folder holds now."""
    _attempt(f"{REPORT} is not written", lambda: write_report(folder))
    _attempt(f"{CARD} is not written", lambda: write_card(folder))


def conclude(folder: Path, console: Console) -> None:
    """Write the documents of a run that has ended, and print its scores and the report's path."""
    write_documents(folder)
    _attempt("the run cannot be shown", lambda: print_runs([History.of(folder)], console))
    console.print(f"report: {folder / REPORT}", markup=False, highlight=False, soft_wrap=True)


def _attempt(failure: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:
        print(f"dragoman: {failure}: {type(error).__name__}: {error}", file=sys.stderr)
