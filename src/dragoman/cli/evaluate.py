"""``dragoman evaluate``"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dragoman.cli.options import given, parse
from dragoman.errors import OptionError
from dragoman.files import write_text

if TYPE_CHECKING:
    from dragoman.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class Evaluate:
    """Score a model on pairs of text; without a file, on those that its training held out."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The model folder."""
    test: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """One file of pairs, read as the training pairs were, or two aligned ones (source, target)."""
    beam: int | None = None
    """Hypotheses kept a step; 1: greedy (default: the folder's search.beam)."""
    length_penalty: float | None = None
    """Exponent of the length that divides a score (default: the folder's)."""
    batch_size: int | None = None
    """Lines translated at a time; changes speed only (default: the folder's)."""
    reverse: bool = False
    """Swap the sides of TEST, compared with how the training pairs were read."""
    multiple_references: bool = False
    """Score each source once, against all the targets that TEST has for it, such as the several
    pronunciations of a word; else each line by itself."""
    raw_references: bool = False
    """Compare with the references as they stand, where the model's training targets were
    normalised (lower case, no accents ...)."""
    json: bool = False
    """Print JSON instead of a table."""
    outputs: Path | None = None
    """Write the model's outputs into this file, one a line."""


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Evaluate, arguments, verb="evaluate")
    options = given(asked, ("beam", "length_penalty", "batch_size"))
    if asked.outputs is not None and not asked.outputs.parent.is_dir():
        raise OptionError(f"no such folder: {asked.outputs.parent}", place="--outputs")
    from dragoman.api import load  # torch only now

    model = load(asked.folder)
    reading = model.config.data
    if (len(asked.test) == 2) != (reading.format == "aligned"):
        reading = replace(reading, format="auto")
    reading = replace(reading, reverse=reading.reverse != asked.reverse)
    result = model.evaluate(
        asked.test or None, reading=reading, multiple_references=asked.multiple_references,
        raw_references=asked.raw_references, **options,
    )  # fmt: skip
    for note in result.notes:
        print(f"dragoman evaluate: {note}", file=sys.stderr)
    if asked.outputs is not None:
        write_text(asked.outputs, "".join(f"{line}\n" for line in result.outputs))
    if asked.json:
        print(result.to_json())
    else:
        _show(result)
    return 0


def _show(result: Evaluation) -> None:
    console = Console()
    title = f"{result.examples.name}: {len(result.outputs)} lines, {result.search}"
    console.print(Text(title), soft_wrap=True)
    table = Table()
    table.add_column("")
    table.add_column("score", justify="right")
    for measure, metric in zip(result.measures, result.metrics, strict=True):
        table.add_row(f"{metric.name} {'↑' if measure.higher else '↓'}", f"{metric.value:.2f}")
    console.print(table)
    for metric in result.metrics:
        if metric.signature:
            console.print(Text(f"{metric.name}: {metric.signature}"), soft_wrap=True)
