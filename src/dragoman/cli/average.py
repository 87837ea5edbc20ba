"""``dragoman average``"""

import sys
from dataclasses import dataclass

from dragoman.cli.parse import Given
from dragoman.cli.paths import Input, OutputFolder
from dragoman.config.options import Count
from dragoman.errors import OptionError


@dataclass(frozen=True)
class Average:
    """Write a model whose weights are the mean of a run's checkpoints.

    Train with --keep to have several checkpoints.
    """

    folder: Input
    """The model folder of a run."""
    out: OutputFolder
    """The model folder to write."""
    last: Count = 0
    """Number of latest checkpoints to average; 0: all."""
    checkpoints: tuple[int, ...] = ()
    """The steps whose checkpoints to average, instead of the latest."""


def main(asked: Average, given: Given) -> int:
    """Run the verb."""
    if asked.last and asked.checkpoints:
        raise OptionError("--last and --checkpoints are both given", cure="give one of them")
    from dragoman.training.averaging import average  # torch only now

    taken = average(asked.folder, asked.out, last=asked.last, steps=asked.checkpoints)
    print(f"{asked.out}: the mean of {', '.join(path.name for path in taken)}", file=sys.stderr)
    return 0
