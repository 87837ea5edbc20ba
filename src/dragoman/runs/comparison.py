"""Runs side by side: what was asked of each, what it cost, and what it reached.

All of it is read from the run folders: their history, the last checkpoint's counters, the headers
of the weights. Nothing is run, and torch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from dragoman.data.corpus import Corpus
from dragoman.errors import FolderError, UsageError
from dragoman.files import parse_json
from dragoman.layout import CORPUS, TRAIN
from dragoman.runs.history import SCORES, History, trusted

_WEIGHTS, _CHECKPOINTS = "model.safetensors", "checkpoints/step-*[0-9]"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one run folder says; None stands for what it does not hold (yet)."""

    name: str
    """The part of its path that the other runs do not share."""
    folder: str
    data: str | None
    """The digest of the pairs that it was begun with."""
    pairs: int | None
    """How many of them it learned from."""
    parameters: int | None
    steps: int
    tokens: int
    """Target tokens learned from, as last written down."""
    seconds: float
    """Wall-clock time of all its commands."""
    training_loss: float | None
    """Nats a token, over the last reported window."""
    best: dict[str, dict[str, float]]
    """The best ``value`` of each held-out score, and the first ``step`` that reached it."""
    options: dict[str, Any]
    history: list[dict[str, Any]]
    """The rows of ``metrics.jsonl``."""


def compare(folders: Sequence[str | Path]) -> list[RunRecord]:
    """Read two or more run folders, which may still be in training.

    Raises:
        UsageError: fewer than two folders, one of them twice.
        FolderError: one that is no run, or a damaged one.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise UsageError("two or more runs are compared, one or none is named")
    for number, path in enumerate(paths):
        if not path.is_dir():
            raise FolderError("no such folder", place=str(path))
        if any(path.samefile(other) for other in paths[:number]):
            raise UsageError("is named twice", place=str(path))
    names = short_names([path.resolve() for path in paths])
    return [_read(path, name) for path, name in zip(paths, names, strict=True)]


def differing(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The options that are not the same in all runs, by dotted name: a value for each run."""
    values = {name: [run.options[name] for run in runs] for name in runs[0].options}
    return {name: each for name, each in values.items() if any(v != each[0] for v in each)}


def short_names(paths: Sequence[Path]) -> list[str]:
    """Each path without the folders that all have in common, before and after what differs."""
    parts = [list(path.parts) for path in paths]
    for end in (0, -1):
        while min(map(len, parts)) > 1 and len({each[end] for each in parts}) == 1:
            for each in parts:
                del each[end]
    return ["/".join(each) for each in parts]


def _read(path: Path, name: str) -> RunRecord:
    history = History.of(path)
    with trusted(history):
        saved = sorted(path.glob(_CHECKPOINTS))
        marks = [*history.rows, *map(_state, saved[-1:])]
        last = {
            key: max((mark[key] for mark in marks if mark.get(key)), default=0)
            for key in ("step", "tokens", "elapsed")
        }
        losses = [row.get("loss") for row in history.kind("train")]
        return RunRecord(
            name,
            str(path),
            history.record.get("data"),
            _pairs(path),
            _parameters([path, *saved[::-1]]),
            last["step"],
            last["tokens"],
            last["elapsed"],
            losses[-1] if losses else None,
            _best(history),
            history.options(),
            history.rows,
        )


def _best(history: History) -> dict[str, dict[str, float]]:
    """Of the loss the lowest, of every other score the highest."""
    best = {}
    for score in ("loss", "token_accuracy", "free_accuracy", *SCORES):
        rows = [row for row in history.kind("validation") if row.get(score) is not None]
        if rows:
            row = (min if score == "loss" else max)(rows, key=lambda row: row[score])
            best[score] = {"value": row[score], "step": row["step"]}
    return best


def _state(checkpoint: Path) -> dict[str, Any]:
    """Its counters; none where they cannot be read."""
    try:
        return dict(parse_json((checkpoint / "state.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _pairs(path: Path) -> int | None:
    try:
        return len(Corpus(path / CORPUS / TRAIN))
    except FolderError:  # it does not travel with a model
        return None


def _parameters(folders: Sequence[Path]) -> int | None:
    """Of the first folder with weights, from the shapes in their header."""
    for folder in folders:
        try:
            with safe_open(str(folder / _WEIGHTS), framework="np") as file:
                return sum(int(math.prod(file.get_slice(n).get_shape())) for n in list(file.keys()))
        except (OSError, SafetensorError):
            continue
    return None
