"""``dragoman runs``"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from dragoman.cli import say
from dragoman.cli.parse import Given, Inputs
from dragoman.errors import OptionError
from dragoman.runs.display import print_runs
from dragoman.runs.history import find_runs


@dataclass(frozen=True)
class Runs:
    """Put the runs in some folders side by side: the state of each, its cost, its best scores, and
    the options that differ. Scores on different data ("data" differs) do not compare."""

    folders: Inputs = (Path(),)
    """Where to look: model folders, or folders of them."""


def main(asked: Runs, given: Given) -> int:
    """Run the verb."""
    for folder in asked.folders:
        if not folder.is_dir():
            raise OptionError("no such folder", place=str(folder))
    if runs := find_runs(*asked.folders, tell=partial(say, "runs")):
        print_runs(runs, Console())
    else:
        say("runs", "no run there (a run has metrics.jsonl, a bundle has none)")
    return 0
