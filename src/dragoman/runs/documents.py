"""Writes what a run leaves for people. A failure here is reported and never ends a training."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from dragoman.layout import CARD, REPORT
from dragoman.runs.card import write_card
from dragoman.runs.display import print_runs
from dragoman.runs.history import History
from dragoman.runs.report import write_report


def write_documents(folder: Path, console: Console | None = None) -> None:
    """Write the report and the model card from what a run's folder holds now.

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
