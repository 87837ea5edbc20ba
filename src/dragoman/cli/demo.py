"""``dragoman demo``"""

import shlex
import shutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from dragoman.cli import run_verb
from dragoman.cli.parse import Given, OutputFolder
from dragoman.config.values import seconds
from dragoman.errors import OptionError

FILES = ("phrases.tsv", "questions.txt", "attention.png")
MODEL = "model"
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


def main(asked: Demo, given: Given) -> int:
    """Run the verb."""
    seconds(asked.budget)  # a wrong one ends here, before a file is written
    import_module("dragoman.training.run")  # and a base install
    out, ours = asked.out, {*FILES, MODEL}
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= ours):
        raise OptionError("is not a demo's folder", place=out, cure="another --out")
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / MODEL, ignore_errors=True)  # a run there would be resumed
    pairs, text, picture, model = (out / name for name in (*FILES, MODEL))
    text.write_text("".join(f"{line}\n" for line in ASKED), encoding="utf-8")
    for command in (
        ("data", "get", "phrases", "--out", pairs),
        ("check", pairs),
        ("train", pairs, "--out", model, "--budget", asked.budget, "--patience", 0),
        ("evaluate", model),
        ("translate", model, "--input", text),
        ("explain", model, ASKED[0], "--attention", picture),
    ):
        words = [str(word) for word in command]
        print(f"\n$ dragoman {shlex.join(words)}", flush=True)
        if words[0] == "translate":
            print(*(f"> {line}" for line in ASKED), sep="\n", flush=True)
        if code := run_verb(words[0], words[1:]):
            return code
    print(f"\nReport: {model / 'report.html'}   attention: {picture}")
    return 0
