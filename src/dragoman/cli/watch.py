"""``dragoman watch``"""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from rich.console import Console

from dragoman.cli.parse import Given
from dragoman.cli.paths import Input
from dragoman.errors import FolderError
from dragoman.layout import METRICS
from dragoman.lock import is_locked
from dragoman.runs.display import print_runs, row_lines
from dragoman.runs.history import History, damage_refused, read_metrics

SECONDS = 0.5
"""Between two looks at the folder."""


@dataclass(frozen=True)
class Watch:
    """Follow a run from another terminal until it ends; Ctrl-C stops watching, not the run."""

    folder: Input
    """The model folder."""
    once: bool = False
    """Print the state of the run once, and end."""


def main(asked: Watch, given: Given) -> int:
    """Run the verb."""
    folder, running = asked.folder, not asked.once
    if not folder.is_dir():
        raise FolderError("no such folder", place=str(folder))
    with suppress(KeyboardInterrupt):
        while running and is_locked(folder) and not (folder / METRICS).exists():
            time.sleep(SECONDS)  # the data is being prepared
        history = History.of(folder)
        # What is already there is told by its last rows; the next ones as they come.
        rows = [row for kind in ("validation", "train") if (row := history.latest(kind))]
        seen = len(history.rows)
        while rows or running:
            with damage_refused(folder):
                for line in chain.from_iterable(map(row_lines, rows)):
                    print(line, flush=True)
            if running:
                time.sleep(SECONDS)
                running = is_locked(folder)  # before reading, so that the last rows are read
            known = read_metrics(folder / METRICS)
            rows, seen = known[seen:], len(known)
        print_runs([History.of(folder)], Console())
    return 0
