"""``dragoman evaluate``"""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from dragoman.cli.parse import Given, Inputs, OutputFile, UsesModel
from dragoman.config.options import ReadingOptions
from dragoman.errors import OptionError
from dragoman.files import write_text
from dragoman.runs.display import number_text
from dragoman.runtime.folder import is_model

if TYPE_CHECKING:
    from dragoman.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class Evaluate(UsesModel):
    """Score a model on pairs of text; without a file, on the pairs that its training held out."""

    test: Inputs = ()
    """One file of pairs, or two aligned files (source, target). More model
    folders may stand before it; each is compared with the first."""
    multiple_references: bool = False
    """Score each source once, against all the targets that the file has for
    it, such as several pronunciations of a word."""
    raw_references: bool = False
    """Do not normalise the references (lower case, accents ...) as the
    training targets were."""
    breakdown: bool = False
    """Also show the scores by length of the source, by training count of its
    rarest word, and of sources that were not in training."""
    json: bool = False
    """Print JSON instead of a table."""
    outputs: OutputFile = None
    """Write the model's outputs into this file: one line for each of the test
    file, empty for what is not a pair."""
    data: ReadingOptions = field(default_factory=ReadingOptions)
    """How pairs are read. Options that are not given are those of the training,
    whatever default stands here."""


def main(asked: Evaluate, given: Given) -> None:
    """Load all models, score each on the same examples, and compare them with the first."""
    folders = [asked.folder, *filter(is_model, asked.test)]
    files = [path for path in asked.test if not is_model(path)]
    if asked.outputs is not None and len(folders) > 1:
        raise OptionError(f"{len(folders)} models, it takes one", place="--outputs")
    from dragoman.api import load  # torch only now
    from dragoman.evaluation.metrics import compare

    models = [load(folder, device=asked.device) for folder in folders]
    reading = {"multiple_references": asked.multiple_references, **given.get("data", {})}
    examples = models[0].examples(files or None, say=asked.say, **reading)
    raw, options = asked.raw_references, given.get("search", {})
    if not raw and len({examples.with_references(m.folder.target.normalize) for m in models}) > 1:
        raw = True
        asked.say("models of differently normalised targets: references are compared as they stand")
    results = [model.evaluate(examples, raw_references=raw, **options) for model in models]
    for note in dict.fromkeys(note for result in results for note in result.notes):
        asked.say(note)
    if asked.outputs is not None:
        lines = examples.by_record(results[0].outputs)
        write_text(asked.outputs, "".join(f"{line}\n" for line in lines))
    found = list(zip(map(str, folders), results, strict=True))
    against = {name: compare(results[0].measures, r.measures) for name, r in found[1:]}
    if asked.json:
        trees = [{"folder": name} | result.tree() for name, result in found]
        whole = {"models": trees, "against_first": against} if against else trees[0]
        print(json.dumps(whole, default=asdict, ensure_ascii=False, indent=1))
        return
    for name, result in found:
        _show(f"{name}: " if against else "", result, asked)
    for name, differences in against.items():
        table = _table("difference", "95 % interval", "p")
        for d in differences:
            interval = " – ".join(f"{bound:+.2f}" for bound in d.interval)
            table.add_row(d.name, f"{d.value:+.2f}", interval, f"{d.p:.4f}")
        print(f"{name} against {folders[0]}")
        Console().print(table)
    for line in dict.fromkeys(f"{m.name}: {m.signature}" for r in results for m in r.measures):
        print(line)


def _show(model: str, result: "Evaluation", asked: Evaluate) -> None:
    table = _table("score", "95 % interval", *result.baselines)
    for m in result.measures:
        interval = " – ".join(map(number_text, m.interval or ()))
        others = [number_text(b[m.name]) if m.name in b else "" for b in result.baselines.values()]
        name = f"{m.name} {'↑' if m.higher else '↓'}"
        table.add_row(name, number_text(m.value()), interval, *others)
    print(f"{model}{result.examples.name}: {len(result.outputs)} lines, {result.search}")
    Console().print(table)
    if asked.breakdown:
        table = _table("lines", *(m.name for m in result.measures))
        for kind, parts in result.breakdown.items():
            for part, scores in parts.items():
                lines, *values = scores.values()
                table.add_row(f"{kind}: {part}", str(lines), *(f"{v:.1f}" for v in values))
            table.add_section()
        Console().print(table)


def _table(*columns: str) -> Table:
    right = (Column(name, justify="right") for name in columns)
    return Table("", *right, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
