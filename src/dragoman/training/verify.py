"""A proof that a run goes on as if it had never stopped: its next steps twice, once with a stop.

Each part runs in a process of its own, as a resumed training does: ``python -m
dragoman.training.verify FOLDER STEP`` trains what stands in a folder up to a step.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

from dragoman.config.options import Config
from dragoman.config.toml import to_toml
from dragoman.errors import DragomanError, TrainingError
from dragoman.files import write_text
from dragoman.layout import CONFIG, LOCK, METRICS, STATE, WEIGHTS
from dragoman.lock import locked
from dragoman.training.checkpoint import checkpoints, step_of
from dragoman.training.loop import train_loop
from dragoman.training.machine import fixed_order, keep_threads
from dragoman.training.resume import open_run, reopen
from dragoman.training.run import assemble_run, begin, refuse_foreign

STEPS = 5
"""Before the stop, and after it."""
CLOCKS = {"elapsed", "reserve"}
"""What a checkpoint knows of the time that was needed."""
EXACT = (
    "kind",
    "step",
    "epoch",
    "loss",
    "gradient_norm",
    "learning_rate",
    "tokens",
    "chrf",
    "bleu",
    "exact",
    "best",
)
"""Fields of ``metrics.jsonl`` that must be the same; the others tell of time and memory."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What two ways to the same step were found to differ in."""

    start: int
    """The step that both began at."""
    losses: tuple[float, ...]
    """Of the steps of the run that was not stopped."""
    differences: tuple[str, ...]
    """Rows of metrics, tensors and counters that are not the same to the bit."""


def verify_resume(
    files: Sequence[Path], out: Path, config: Config, say: Callable[[str], None]
) -> Proof:
    """Train a run's next steps twice, once with a stop, in copies: ``out`` stays as it is.

    Args:
        files: its pairs.
        out: a folder that holds a run, or one that is not there: then its first steps are taken.
        config: the run's options. Its ends are put off: the learning rate may take another course
            than in the run itself.
        say: told of what preparation has to say.

    Raises:
        UsageError: what :func:`dragoman.training.run.train` would refuse.
        TrainingError: a part failed.
    """
    refuse_foreign(out)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}.verify-", dir=_existing(out)) as place:
        through, stopped = Path(place, "through"), Path(place, "stopped")
        if (out / CONFIG).exists():
            with locked(out):
                prepared = reopen(files, out, config, {}, say)
                shutil.copytree(out, through, ignore=shutil.ignore_patterns(LOCK))
        else:
            through.mkdir()
            prepared = begin(list(files), through, config, say)
        saved = checkpoints(through)
        start = step_of(saved[-1]) if saved else 0
        write_text(through / CONFIG, to_toml(_without_end(prepared.config, start + 2 * STEPS)))
        (through / METRICS).unlink(missing_ok=True)
        shutil.copytree(through, stopped)
        for folder, step in ((through, 2 * STEPS), (stopped, STEPS), (stopped, 2 * STEPS)):
            _in_a_process(folder, start + step)
        losses = [row["loss"] for row in _measured(through) if row["kind"] == "train"]
        return Proof(start, tuple(losses), tuple(differences(stopped, through)))


def _existing(out: Path) -> Path:
    """The nearest folder above ``out`` that is there, with the room that the run has."""
    return next(path for path in out.absolute().parents if path.is_dir())


def _without_end(config: Config, step: int) -> Config:
    """The options of a run that goes on to ``step``, each step of which is reported."""
    options = config.training
    limited = options.steps or options.epochs or options.budget != "none"  # schedules need an end
    steps = max(options.steps, step + 1) if limited else 0
    return replace(
        config,
        training=replace(
            options, steps=steps, epochs=0, budget="none", patience=0, report_every=1, track=()
        ),
    )


def _in_a_process(folder: Path, step: int) -> None:
    command = [sys.executable, "-m", "dragoman.training.verify", str(folder), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TrainingError(f"the steps up to {step} failed: {last}", place="--verify-resume")


def train_until(folder: Path, step: int) -> None:
    """Train what stands in ``folder`` up to ``step``, and save it."""
    prepared = open_run(folder)
    keep_threads(int(prepared.config.training.threads))
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    quiet = Console(quiet=True)
    run = assemble_run(folder, prepared, quiet, time.monotonic(), lambda: "", accelerator)
    run.interrupted = lambda: "the proof" if run.state.step >= step else ""
    run.state.finished = ""
    with run.reporter, fixed_order(prepared.config.training.deterministic):
        run.reporter.start(run.state, {}, lambda row: None)
        train_loop(run)


def differences(one: Path, other: Path) -> list[str]:
    """What is not the same, to the bit, in two runs: rows of metrics, best and last weights,
    optimizer and random states, counters."""
    mine, yours = _measured(one), _measured(other)
    wrong = [f"{METRICS}: step {a['step']}" for a, b in zip(mine, yours, strict=False) if a != b]
    if len(mine) != len(yours):
        wrong.append(f"{METRICS}: {len(mine)} and {len(yours)} rows")
    last, its = (checkpoints(folder)[-1] for folder in (one, other))
    wrong += _unequal_tensors(one / WEIGHTS, other / WEIGHTS)
    for name in ("model.safetensors", "optimizer.safetensors"):
        wrong += _unequal_tensors(last / name, its / name)
    a, b = (json.loads((path / STATE).read_text("utf-8")) for path in (last, its))
    return wrong + [f"{STATE}: {key}" for key in sorted(a.keys() - CLOCKS) if a[key] != b.get(key)]


def _unequal_tensors(one: Path, other: Path) -> list[str]:
    a, b = load_file(one), load_file(other)
    return [
        f"{one.parent.name}/{one.name}: {key}"
        for key in sorted(a.keys() | b.keys())
        if key not in a or key not in b or not torch.equal(a[key], b[key])
    ]


def _measured(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / METRICS).read_text("utf-8").splitlines()
    rows = (row for row in map(json.loads, lines) if row["kind"] in ("train", "validation"))
    return [{name: row.get(name) for name in EXACT} for row in rows]


if __name__ == "__main__":
    try:
        train_until(Path(sys.argv[1]), int(sys.argv[2]))
    except DragomanError as error:
        sys.exit(str(error))
