"""``dragoman evaluate``"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dragoman.cli.options import check_output, given, parse
from dragoman.errors import OptionError
from dragoman.files import write_text
from dragoman.runs.scores import number_text

if TYPE_CHECKING:
    from dragoman.evaluation.evaluate import Evaluation
    from dragoman.evaluation.significance import Difference


@dataclass(frozen=True)
class Evaluate:
    """Score a model on pairs of text; without a file, on those that its training held out."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The model folder."""
    test: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """One file of pairs, read as the training pairs were, or two aligned ones (source, target).
    Other model folders may stand before it: they are compared with the first."""
    beam: int | None = None
    """Hypotheses kept a step; 1: greedy (default: the folder's search.beam)."""
    length_penalty: float | None = None
    """Exponent of the length that divides a score (default: the folder's)."""
    batch_size: int | None = None
    """Lines translated at a time; changes speed only (default: the folder's)."""
    int8: bool = False
    """Multiply numbers of 8 bits, even where the folder's search.int8 does not say so."""
    reverse: bool = False
    """Swap the sides of TEST, compared with how the training pairs were read."""
    multiple_references: bool = False
    """Score each source once, against all the targets that TEST has for it, such as the several
    pronunciations of a word; else each line by itself."""
    raw_references: bool = False
    """Compare with the references as they stand, where the model's training targets were
    normalised (lower case, no accents ...)."""
    breakdown: bool = False
    """Show the scores by source length, by the rarest word's count in training, and of sources that
    are not training sources."""
    cases: int = 0
    """Show so many outputs of each kind of mistake."""
    json: bool = False
    """Print JSON instead of a table."""
    outputs: Path | None = None
    """Write the model's outputs into this file, one a line."""


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Evaluate, arguments, verb="evaluate")
    folders = [asked.folder, *(path for path in asked.test if path.is_dir())]
    if asked.cases < 0:
        raise OptionError(f"{asked.cases} is too small, at least 0", place="--cases")
    check_output(asked.outputs, "--outputs")
    if asked.outputs is not None and len(folders) > 1:
        raise OptionError(f"{len(folders)} models, it takes one", place="--outputs")
    results = _evaluate(asked, folders, [path for path in asked.test if not path.is_dir()])
    for note in dict.fromkeys(note for result in results for note in result.notes):
        print(f"dragoman evaluate: {note}", file=sys.stderr)
    if asked.outputs is not None:
        write_text(asked.outputs, "".join(f"{line}\n" for line in results[0].outputs))
    from dragoman.evaluation.significance import compare

    models = list(zip(map(str, folders), results, strict=True))
    against = {name: compare(results[0].measures, r.measures) for name, r in models[1:]}
    if asked.json:
        trees = [{"folder": name} | result.tree(asked.cases) for name, result in models]
        apart = {name: [asdict(d) for d in rows] for name, rows in against.items()}
        whole = {"models": trees, "against_first": apart} if against else trees[0]
        print(json.dumps(whole, ensure_ascii=False, indent=1))
        return 0
    for name, result in models:
        _show(f"{name}: " if against else "", result, asked)
    for name, differences in against.items():
        _show_differences(f"{name} against {folders[0]}", differences)
    for line in dict.fromkeys(f"{m.name}: {m.signature}" for r in results for m in r.metrics):
        print(line)
    return 0


def _evaluate(asked: Evaluate, folders: Sequence[Path], files: Sequence[Path]) -> list[Evaluation]:
    """Load all models, then score each on the same examples."""
    options = given(asked, ("beam", "length_penalty", "batch_size"))
    options |= {"int8": True} if asked.int8 else {}
    from dragoman.api import load  # torch only now

    first, *others = [load(folder) for folder in folders]
    reading = first.config.data
    if (len(files) == 2) != (reading.format == "aligned"):
        reading = replace(reading, format="auto")
    reading = replace(reading, reverse=reading.reverse != asked.reverse)
    examples = first.examples(
        files or None, reading=reading, multiple_references=asked.multiple_references
    )
    forms = {examples.with_references(m.folder.target.normalize) for m in (first, *others)}
    raw = asked.raw_references or len(forms) > 1
    if raw and not asked.raw_references:
        print(
            "dragoman evaluate: the models were trained on differently normalised targets: "
            "references are compared as they stand",
            file=sys.stderr,
        )
    return [m.evaluate(examples, raw_references=raw, **options) for m in (first, *others)]


def _show(model: str, result: Evaluation, asked: Evaluate) -> None:
    console = Console()
    title = f"{model}{result.examples.name}: {len(result.outputs)} lines, {result.search}"
    console.print(Text(title), soft_wrap=True)
    table = _table("", "score", "95 % interval", *result.baselines)
    for measure, m in zip(result.measures, result.metrics, strict=True):
        cells = (scores.get(m.name) for scores in result.baselines.values())
        table.add_row(
            f"{m.name} {'↑' if measure.higher else '↓'}",
            number_text(m.value),
            " – ".join(map(number_text, m.interval or ())),
            *("" if cell is None else number_text(cell) for cell in cells),
        )
    console.print(table)
    if asked.breakdown:
        names = [m.name for m in result.measures if m.key in ("bleu", "chrf", "exact", "errors")]
        table = _table("", "lines", *names)
        for kind, parts in result.breakdown.items():
            for part, scores in parts.items():
                row = (f"{scores[name]:.1f}" for name in names)
                table.add_row(f"{kind}: {part}", str(scores["lines"]), *row)
            table.add_section()
        console.print(table)
    counts = ", ".join(f"{len(lines)} {kind}" for kind, lines in result.mistakes.items())
    console.print(Text(f"mistakes: {counts}"))
    if found := result.calibration:
        print(f"confidence: calibration error {found['error']:.3f}, right is: {found['right']}")
    for kind, lines in result.mistakes.items():
        for line in lines[: asked.cases]:
            case = result.case(line)
            rows = [("source", case["source"]), ("output", case["output"])]
            rows += [("reference", text) for text in case["references"]]
            print(f"{kind}, line {case['line']}:", *(f"  {k}: {v}" for k, v in rows), sep="\n")


def _table(first: str, *columns: str) -> Table:
    table = Table(first, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _show_differences(title: str, differences: Sequence[Difference]) -> None:
    console = Console()
    console.print(Text(title), soft_wrap=True)
    table = _table("", "difference", "95 % interval", "p")
    for d in differences:
        interval = " – ".join(f"{bound:+.2f}" for bound in d.interval)
        table.add_row(d.name, f"{d.value:+.2f}", interval, f"{d.p:.4f}")
    console.print(table)
