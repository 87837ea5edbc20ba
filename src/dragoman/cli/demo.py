"""``dragoman demo``"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from dragoman.cli.outputs import OutputFolder
from dragoman.cli.parse import parse
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.errors import DragomanError, OptionError

PAIRS = "phrases.tsv"
MODEL = "model"
PICTURE = "attention.png"
ASKED = (
    "Est-ce que tu as un vieux chat blanc ?",
    "Nous ne mangeons pas de pain.",
    "Elle est allée à la gare hier.",
)
"""Translated at the end; a reader may try others of the same words."""


@dataclass(frozen=True)
class Demo:
    """Write French-English phrases, look at them, train on them, score the model, use it."""

    out: OutputFolder = Path("dragoman-demo")
    """The folder for all of it; an earlier demo there is replaced."""
    budget: str = "110s"
    """Time to train."""
    seed: int = 1
    """Seed of phrases and training."""


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Demo, arguments, verb="demo")
    config = Config()
    training = replace(config.training, budget=asked.budget, seed=asked.seed, patience=0)
    config = replace(config, training=training)
    check_options(config)
    import_module("dragoman.training.run")  # a base install ends here, before a file is written
    _clear(asked.out)
    from dragoman.api import load, train  # torch only now
    from dragoman.cli.check import main as check
    from dragoman.cli.data import main as data
    from dragoman.cli.evaluate import main as evaluate

    pairs, model, picture = asked.out / PAIRS, asked.out / MODEL, asked.out / PICTURE
    _say(f"dragoman data get phrases --out {pairs} --seed {asked.seed}")
    data(["get", "phrases", "--out", str(pairs), "--seed", str(asked.seed)])
    _say(f"dragoman check {pairs}")
    check([str(pairs)])
    _say(f"dragoman train {pairs} --out {model} --budget {asked.budget} --patience 0")
    if train(pairs, model, config).interrupted:
        return 130
    _say(f"dragoman evaluate {model}")
    evaluate([str(model)])
    _say(f"dragoman translate {model} --attention {picture}")
    _show(load(model), picture)
    print(f"\nReport: {model / 'report.html'}   attention: {picture}")
    return 0


def _say(command: str) -> None:
    print(f"\n$ {command}", flush=True)


def _clear(out: Path) -> None:
    """Remove an earlier demo, and nothing else."""
    if out.is_file():
        raise OptionError("is a file, a folder is expected", place=str(out), cure="another --out")
    out.mkdir(parents=True, exist_ok=True)
    foreign = sorted({path.name for path in out.iterdir()} - {PAIRS, MODEL, PICTURE})
    if foreign:
        raise OptionError(
            f"is not a demo's folder: it holds {foreign[0]!r}", place=str(out), cure="another --out"
        )
    for name in (PAIRS, PICTURE):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / MODEL, ignore_errors=True)


def _show(model: object, picture: Path) -> None:
    from dragoman.api import Model
    from dragoman.inspection.attention_map import AttentionMap, draw_maps

    assert isinstance(model, Model)
    answers = model.translate(ASKED, attention=True)
    for answer in answers:
        print(f"> {answer.source}\n< {answer.text}")
    first = answers[0]
    weights = first.hypotheses[0].weights
    assert weights is not None
    try:
        draw_maps([AttentionMap(first.source_tokens, first.target_tokens, weights)], picture)
    except DragomanError as error:  # the model is whole without its picture
        print(f"dragoman demo: {error}", file=sys.stderr)
