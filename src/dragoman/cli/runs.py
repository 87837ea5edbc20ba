"""``dragoman runs``"""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dragoman.cli import say
from dragoman.cli.parse import Given
from dragoman.cli.paths import Inputs
from dragoman.errors import OptionError
from dragoman.runs.display import print_runs
from dragoman.runs.history import find_runs


@dataclass(frozen=True)
class Runs:
    """Put the runs in some folders side by side: the state of each, its cost, its best scores, and
    the options that differ. Scores on different data ("data" differs) do not compare."""

    folders: Inputs = (Path(),)
    """Where to look: model folders, or folders of them."""
    json: bool = False
    """Print a JSON list instead of a table."""


def main(asked: Runs, given: Given) -> int:
    """Run the verb."""
    for folder in asked.folders:
        if not folder.is_dir():
            raise OptionError("no such folder", place=str(folder))
    runs = find_runs(*asked.folders, tell=lambda text: say("runs", text))
    if not runs:
        say("runs", "no run there (a run has metrics.jsonl, a bundle has none)")
    if asked.json:
        shown = [run.summary() | {"options": run.asked()} for run in runs]
        print(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        print_runs(runs, Console())
    return 0
