"""``dragoman average``"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.options import parse
from dragoman.errors import OptionError


@dataclass(frozen=True)
class Average:
    """Make a model of the mean of a run's checkpoints; train with --keep to have several."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The model folder of a run."""
    out: Path
    """The new model folder."""
    last: int = 0
    """Take so many latest checkpoints; 0: all that there are."""
    checkpoints: tuple[int, ...] = ()
    """Take the checkpoints of these steps instead."""


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Average, arguments, verb="average")
    if asked.last < 0:
        raise OptionError(f"{asked.last} is too small, at least 0", place="--last")
    if asked.last and asked.checkpoints:
        raise OptionError("--last and --checkpoints choose differently", cure="give one of them")
    from dragoman.api import average  # torch only now

    taken = average(asked.folder, asked.out, last=asked.last, steps=asked.checkpoints)
    print(f"{asked.out}: the mean of {', '.join(path.name for path in taken)}", file=sys.stderr)
    return 0
