"""``dragoman train``"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.options import AllOptions, parse, recipe
from dragoman.config import Config
from dragoman.limits import check_options


@dataclass(frozen=True)
class Train:
    """Train a model on pairs of text.

    The same command again resumes an interrupted run. Ctrl-C stops after the current step and
    leaves a usable model. An option may be given without its group where its name is unique:
    --steps, --budget, --hidden, --beam, --reverse ...
    """

    pairs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One file of pairs (TSV or JSON lines; .gz, .zip; - for standard input), or two aligned."""
    out: Path
    """The model folder; made when it is not there."""
    recipe: Path | None = None
    """A TOML file of options; what the command line says goes before it."""
    options: AllOptions = field(default_factory=Config)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    began = time.monotonic()  # a time budget counts what is imported later, too
    default = Train(tyro.MISSING, tyro.MISSING, options=recipe(arguments))
    asked = parse(Train, arguments, verb="train", default=default)
    check_options(asked.options)
    from dragoman.api import train  # torch only now: --help and wrong options answer at once

    outcome = train(asked.pairs, asked.out, asked.options, began=began)
    if outcome.interrupted:
        print("the same command goes on from here", file=sys.stderr)
        return 128 + signal.Signals[outcome.reason.rpartition(" ")[2]]
    return 0
