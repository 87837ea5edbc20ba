"""``dragoman train``"""

from __future__ import annotations

import signal
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from dragoman.cli.options import AllOptions, parse, recipe
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import merge
from dragoman.errors import OptionError, TrainingError


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
    batch: Literal["auto"] | int | None = None
    """Target tokens of a batch; auto: what is fastest on this machine within memory, measured
    before a run begins (training.batch-tokens "fastest")."""
    resume_with: tuple[str, ...] = ()
    """Options that a begun run goes on with from here, beside the same command:
    learning_rate=5e-4 batch_tokens=2000."""
    verify_resume: bool = False
    """Only prove, in copies, that a stop changes nothing: the next steps twice, once with a stop,
    to the same bits."""
    options: AllOptions = field(default_factory=Config)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    began = time.monotonic()  # a time budget counts what is imported later, too
    default = Train(tyro.MISSING, tyro.MISSING, options=recipe(arguments))
    asked = parse(Train, arguments, verb="train", default=default)
    if asked.batch is not None:
        size = "fastest" if asked.batch == "auto" else asked.batch
        tree = {"training": {"batch_tokens": size}}
        asked = replace(asked, options=merge(asked.options, tree, place="--batch"))
    check_options(asked.options)
    changes = dict(map(_change, asked.resume_with))
    if asked.verify_resume and changes:
        raise OptionError(
            "a proof changes nothing", place="--resume-with", cure="leave it or --verify-resume out"
        )
    if asked.verify_resume:
        return _verify(asked)
    from dragoman.api import train  # torch only now: --help and wrong options answer at once

    outcome = train(asked.pairs, asked.out, asked.options, began=began, resume_with=changes)
    if outcome.interrupted:
        print("the same command goes on from here", file=sys.stderr)
        return 128 + signal.Signals[outcome.reason.rpartition(" ")[2]]
    return 0


def _change(text: str) -> tuple[str, Any]:
    """``batch_tokens=2000`` as a name and a value; what TOML cannot read is text."""
    name, equals, value = text.partition("=")
    if not equals or not name or "\n" in value:
        raise OptionError(
            f"{text!r} is no option with a value",
            place="--resume-with",
            cure="such as learning_rate=5e-4",
        )
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _verify(asked: Train) -> int:
    from dragoman.training.verify import verify_resume

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    proof = verify_resume(asked.pairs, asked.out, asked.options, say)
    steps = len(proof.losses)
    if proof.differences:
        raise TrainingError(
            f"{steps} steps from step {proof.start:,} on, with a stop and without, differ in "
            f"{proof.differences[0]} and {len(proof.differences) - 1} more",
            place="--verify-resume",
            cure="do other things differ, such as --threads?",
        )
    say(
        f"{steps} steps from step {proof.start:,} on, with a stop in the middle and without: "
        "losses, weights, optimizer and counters are the same to the bit"
    )
    return 0
