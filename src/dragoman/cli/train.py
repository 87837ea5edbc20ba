"""``dragoman train``"""

import time
from dataclasses import dataclass

from dragoman.cli.parse import Given
from dragoman.cli.prepare import Prepare, options_of
from dragoman.config.values import PositiveCount


@dataclass(frozen=True, kw_only=True)
class Train(Prepare):
    """Train a model on pairs of text.

    The same command again resumes an interrupted run. Limits, learning rate and batch size may
    change between two commands. Ctrl-C stops after the current step and leaves a usable model.
    Leave out an option's group where its last name is unique: --steps, --budget, --hidden, --beam,
    --reverse.
    """

    seeds: PositiveCount = 1
    """Number of models to train, one after the other, with training.seed and
    the seeds after it. They share the split and the budget. Each has a folder
    (seed-1, seed-2 ...) in the model folder, which is their ensemble; seeds
    of earlier commands stay in it."""


def main(asked: Train, given: Given) -> int:
    """Run the verb."""
    began = time.monotonic()  # a time budget counts the imports as well
    options = options_of(asked, given)
    from dragoman.learn import train  # torch only now: --help and wrong options answer at once

    return train(asked.pairs, asked.out, options, seeds=asked.seeds, began=began).exit_code
