"""``dragoman train``"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.options import parse
from dragoman.config import (
    Config,
    DataOptions,
    ModelOptions,
    SearchOptions,
    SideOptions,
    TrainingOptions,
    from_toml,
)
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
    data: DataOptions = field(default_factory=DataOptions)
    source: SideOptions = field(default_factory=SideOptions)
    target: SideOptions = field(default_factory=SideOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    search: SearchOptions = field(default_factory=SearchOptions)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    began = time.monotonic()  # a time budget counts what is imported later, too
    base = _recipe(arguments)
    groups = [group.name for group in fields(Config)]
    default = Train(tyro.MISSING, tyro.MISSING, **{name: getattr(base, name) for name in groups})
    asked = parse(Train, arguments, verb="train", default=default)
    config = Config(**{name: getattr(asked, name) for name in groups})
    check_options(config)
    from dragoman.api import train  # torch only now: --help and wrong options answer at once

    outcome = train(asked.pairs, asked.out, config, began=began)
    if outcome.interrupted:
        print("the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _recipe(arguments: Sequence[str]) -> Config:
    """The options of ``--recipe``, read first: they are the defaults that help shows."""
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--recipe" and (equals or at + 1 < len(arguments)):
            return from_toml(Path(value if equals else arguments[at + 1]))
    return Config()
