"""Kill a training with SIGKILL at random moments, resume it, compare it with one that ran through.

    python -m benchmarks.kill --kills 200

Every other kill comes by the clock, the rest right before a random operation on a file in a save,
so that all its moments are met. Attempts are forked from one process that has imported torch once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file

from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.layout import STATE, WEIGHTS
from dragoman.model.folder import load_folder
from dragoman.training import loop
from dragoman.training.checkpoint import checkpoints
from dragoman.training.run import train
from tools.differences import differences

WORDS = {"un": "one", "deux": "two", "trois": "three", "quatre": "four", "cinq": "five"}
EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.scandir"}


@dataclass
class Tally:
    """What was done and what went wrong."""

    kills: int = 0
    in_a_save: int = 0
    runs: int = 0
    wrong: list[str] = field(default_factory=list)


def write_pairs(path: Path) -> Path:
    """Numbers said in French, to be said backwards in English."""
    names = list(WORDS)
    rows = [(a, b, c) for a in names for b in names for c in names]
    lines = [f"{' '.join(row)}\t{' '.join(WORDS[w] for w in reversed(row))}" for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(family: str) -> Config:
    """A short run that saves and validates often, with all that is random: dropout, order."""
    model: dict[str, object] = {"family": family, "hidden": 16, "dropout": 0.2}
    if family == "monotonic":
        model |= {"family": "recurrent", "attention": family}
    if family == "recurrent":
        model |= {"embedding": 12, "encoder_layers": 2}
    tree = {
        "model": model,
        "training": {
            "steps": 40,
            "batch_tokens": 150,
            "validate_every": 8,
            "save_every": 3,
            "report_every": 1,
            "warmup": 5,
            "precision": "fp32",
            "threads": 1,
            "validation_sample": 4,
        },
        "search": {"beam": 1},
    }
    return merge(Config(), tree, place="benchmarks/kill.py")


def attempt(pairs: Path, out: Path, family: str, before: Callable[[], None] = lambda: None) -> int:
    """Fork a process that trains a model of ``family`` into ``out``; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        before()
        train([pairs], out, options(family), console=Console(quiet=True))
        code = 0
    finally:
        os._exit(code)


def at_operation(out: Path, last: int) -> Callable[[], None]:
    """Kill this process right before its operation number ``last`` on a file of the run."""

    def arm() -> None:
        seen = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event in EVENTS and str(arguments[0]).startswith(str(out)):
                seen += 1
                if seen == last:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)

    return arm


def uninterrupted(pairs: Path, out: Path, family: str) -> tuple[float, list[int], set[str]]:
    """Run through; seconds, the numbers of operations in saves, and every best model it had."""
    notes = out.with_suffix(".notes")

    def before() -> None:
        count = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            count += event in EVENTS and str(arguments[0]).startswith(str(out))

        def noting(real: Callable[..., None]) -> Callable[..., None]:
            def save(folder: Path, *rest: Any) -> None:
                first = count + 1
                real(folder, *rest)
                with notes.open("a") as file:
                    file.write(f"{first} {count} {digest(folder / WEIGHTS)}\n")

            return save

        loop.save_weights = noting(loop.save_weights)
        loop.save_checkpoint = noting(loop.save_checkpoint)
        sys.addaudithook(watch)

    began = time.monotonic()
    wait(attempt(pairs, out, family, before))
    rows = [line.split() for line in notes.read_text().splitlines()]
    within = [n for first, last, _ in rows for n in range(int(first), int(last) + 1)]
    return time.monotonic() - began, within, {best for *_, best in rows}


def wait(child: int) -> bool:
    """Whether a process came to its end by itself.

    Raises:
        RuntimeError: it failed.
    """
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise RuntimeError(f"a training failed with code {os.WEXITSTATUS(status)}")
    return True


def digest(path: Path) -> str:
    """SHA-256 of all tensors of a file, if it is there; its header is in no fixed order."""
    if not path.exists():
        return "none"
    tensors = sorted(load_file(path).items())
    parts = [name.encode() + tensor.contiguous().numpy().tobytes() for name, tensor in tensors]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def look(out: Path, best: set[str], tally: Tally) -> None:
    """Right after a kill: was a save cut short, and is the best model still there and whole?"""
    tally.in_a_save += any(out.glob("**/*.partial"))
    validated = [json.loads((path / STATE).read_text())["validated"] for path in checkpoints(out)]
    if (out / WEIGHTS).exists():
        load_folder(out)
        if digest(out / WEIGHTS) not in best:
            tally.wrong.append(f"run {tally.runs}: a best model that the whole run never had")
    elif max(validated, default=-1) >= 0:
        tally.wrong.append(f"run {tally.runs}: the best model is lost")


def kill_and_resume(kills: int, seed: int, family: str, place: Path) -> Tally:
    """Kill until there were so many, in as many runs as it takes; each run is then finished."""
    rng, tally = random.Random(seed), Tally()
    pairs, whole = write_pairs(place / "pairs.tsv"), place / "whole"
    seconds, operations, best = uninterrupted(pairs, whole, family)
    while tally.kills < kills:
        out, ended, left = place / f"run-{tally.runs}", False, 1.0
        while not ended:
            if tally.kills < kills and rng.random() < 0.7:
                if rng.random() < 0.5:
                    child = attempt(pairs, out, family)
                    time.sleep(rng.uniform(0, 0.8 * left * seconds))
                    os.kill(child, signal.SIGKILL)
                else:
                    some = operations[: max(1, int(left * len(operations)))]
                    child = attempt(pairs, out, family, at_operation(out, rng.choice(some)))
                ended = wait(child)
                tally.kills += not ended
                left /= 2  # a resumed run has less to do
                look(out, best, tally)
            else:
                ended = wait(attempt(pairs, out, family))
        tally.wrong += [f"run {tally.runs}: {what} differs" for what in differences(out, whole)]
        tally.runs += 1
        shutil.rmtree(out)
    return tally


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    families = "recurrent, monotonic (with such attention), transformer or hybrid"
    parser.add_argument("--family", default="recurrent", help=families)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        tally = kill_and_resume(asked.kills, asked.seed, asked.family, Path(place))
    print(
        f"{tally.kills} kills, {tally.in_a_save} of them within a save, in {tally.runs} runs; "
        f"{len(tally.wrong)} differences from the run that went through"
    )
    print("".join(f"{line}\n" for line in tally.wrong), end="")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
