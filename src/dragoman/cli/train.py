"""``dragoman train``"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.parse import Given, Inputs, OutputFolder, training_options
from dragoman.config.continuing import continued
from dragoman.config.options import Config
from dragoman.config.values import PositiveCount
from dragoman.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Train(Config):
    """Train a model on pairs of text.

    The same command again resumes an interrupted run. Limits, learning rate and batch size may
    change between two commands. Ctrl-C stops after the current step and leaves a usable model.
    Leave out an option's group where its last name is unique: --steps, --budget, --hidden, --beam,
    --reverse.
    """

    pairs: Inputs
    """One file of pairs (TSV, CSV, JSON, Parquet, TMX ..., plain or packed; -
    for standard input), or two aligned files."""
    out: OutputFolder
    """The model folder; it is made if it is not there."""
    recipe: Path | None = None
    """A TOML file of options; options of the command line override it."""
    continue_: Annotated[Path | None, tyro.conf.arg(name="continue")] = None
    """A model folder that has learned other pairs: the new model begins with
    its weights, tokenizers and options, and replays its pairs
    (data.replay), so that they are not forgotten."""
    seeds: PositiveCount = 1
    """Number of models to train, one after the other, with training.seed and
    the seeds after it. They share the split and the budget. Each has a folder
    (seed-1, seed-2 ...) in the model folder, which is their ensemble."""


def main(asked: Train, given: Given) -> int:
    """Run the verb."""
    began = time.monotonic()  # a time budget counts the imports as well
    if asked.continue_ and asked.recipe:
        raise OptionError("cannot stand beside --continue", place="--recipe", cure="leave it out")
    folder = asked.continue_
    options = continued(folder, given) if folder else training_options(asked.recipe, given)
    from dragoman.learn import train  # torch only now: --help and wrong options answer at once

    return train(asked.pairs, asked.out, options, seeds=asked.seeds, began=began).exit_code
