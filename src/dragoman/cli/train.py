"""``dragoman train``"""

import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from dragoman.cli.parse import AllOptions, Given, training_options
from dragoman.cli.paths import Inputs, OutputFolder
from dragoman.config.options import Config


@dataclass(frozen=True)
class Train:
    """Train a model on pairs of text.

    The same command again resumes an interrupted run. Limits, learning rate and batch size may
    change between two commands. Ctrl-C stops after the current step and leaves a usable model.
    Leave out an option's group where its last name is unique: --steps, --budget, --hidden, --beam,
    --reverse.
    """

    pairs: Inputs
    """One file of pairs (TSV or JSON lines; plain, .gz or .zip; - for
    standard input), or two aligned files."""
    out: OutputFolder
    """The model folder; it is made if it is not there."""
    recipe: Path | None = None
    """A TOML file of options; options of the command line override it."""
    options: AllOptions = field(default_factory=Config)


def main(asked: Train, given: Given) -> int:
    """Run the verb."""
    began = time.monotonic()  # a time budget counts the imports as well
    options = training_options(asked.recipe, given)
    from dragoman.api import train  # torch only now: --help and wrong options answer at once

    outcome = train(asked.pairs, asked.out, options, began=began)
    if outcome.interrupted:
        print("the same command goes on from here", file=sys.stderr)
        return 128 + signal.Signals[outcome.reason.rpartition(" ")[2]]
    return 0
