"""Compares runs: their options, costs and scores, read from their folders without torch."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dragoman.config.toml import plain
from dragoman.errors import FolderError, UsageError
from dragoman.files import parse_json
from dragoman.layout import CHECKPOINTS, STATE, WEIGHTS
from dragoman.runs.history import History, Row, damage_refused
from dragoman.runs.scores import TRANSLATION_SCORES


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run in the comparison; None stands for what its folder does not hold (yet)."""

    name: str
    """The part of its path that differs from those of the other runs."""
    folder: str
    data: str | None
    """Digest of the pairs that the run was begun with."""
    pairs: int | None
    """Number of training pairs."""
    parameters: int | None
    steps: int
    tokens: int
    """Target tokens learned from, as of the last row or checkpoint."""
    seconds: float
    """Wall-clock time of all its commands."""
    training_loss: float | None
    """Nats a token, mean of the last report interval."""
    best: dict[str, dict[str, float]]
    """The best ``value`` of each held-out score, and the first ``step`` that reached it."""
    options: dict[str, Any]
    """Every option, by dotted name."""
    rows: list[Row]
    """The rows of ``metrics.jsonl``."""


def compare(folders: Sequence[str | Path]) -> list[RunRecord]:
    """Read two or more run folders, which may still be in training.

    Raises:
        UsageError: fewer than two folders, or one of them twice.
        FolderError: a folder is no run, or is damaged.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise UsageError("compare needs two or more runs", cure="name another folder")
    for number, path in enumerate(paths):
        if not path.is_dir():
            raise FolderError("no such folder", place=str(path))
        if any(path.samefile(other) for other in paths[:number]):
            raise UsageError("is named twice", place=str(path))
    names = short_names([path.resolve() for path in paths])
    return [_read(path, name) for path, name in zip(paths, names, strict=True)]


def differing(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """The options that differ between the runs, by dotted name: one value for each run."""
    values = {name: [run.options[name] for run in runs] for name in runs[0].options}
    return {name: each for name, each in values.items() if any(v != each[0] for v in each)}


def different_data(runs: Sequence[RunRecord]) -> str:
    """A warning when the runs learned from different data, or when that is unknown; else empty."""
    by_data: dict[str | None, list[str]] = {}
    for run in runs:
        by_data.setdefault(run.data, []).append(run.name)
    groups = [f"{data[:8]} ({', '.join(names)})" for data, names in by_data.items() if data]
    if None in by_data:
        known = f"; known: {', '.join(groups)}" if groups else ""
        return f"not every run says which data it used, so scores may not be comparable{known}"
    if len(groups) > 1:
        return f"the runs used different data, so scores are not comparable: {', '.join(groups)}"
    return ""


def short_names(paths: Sequence[Path]) -> list[str]:
    """Each path without the leading and the trailing folders that all of them share."""
    parts = [list(path.parts) for path in paths]
    for end in (0, -1):
        while min(map(len, parts)) > 1 and len({each[end] for each in parts}) == 1:
            for each in parts:
                del each[end]
    return ["/".join(each) for each in parts]


def _read(path: Path, name: str) -> RunRecord:
    history = History.of(path)
    with damage_refused(path):
        saved = sorted(path.glob(f"{CHECKPOINTS}/step-*[0-9]"))
        counted = list(history.rows)
        with suppress(OSError, ValueError, TypeError, IndexError):
            counted.append(dict(parse_json((saved[-1] / STATE).read_text("utf-8"))))

        def latest(counter: str) -> Any:
            return max((row[counter] for row in counted if row.get(counter)), default=0)

        return RunRecord(
            name=name,
            folder=str(path),
            data=history.record.get("data"),
            pairs=history.record.get("facts", {}).get("pairs"),
            parameters=_parameters([path, *saved[::-1]]),
            steps=latest("step"),
            tokens=latest("tokens"),
            seconds=latest("elapsed"),
            training_loss=history.latest("train").get("loss"),
            best=_best(history),
            options=plain(history.config),
            rows=history.rows,
        )


def _best(history: History) -> dict[str, dict[str, float]]:
    """The lowest loss, and the highest value of every other score."""
    best = {}
    for score in ("loss", "token_accuracy", "free_accuracy", *TRANSLATION_SCORES):
        rows = [row for row in history.kind("validation") if row.get(score) is not None]
        if rows:
            row = (min if score == "loss" else max)(rows, key=lambda row: row[score])
            best[score] = {"value": row[score], "step": row["step"]}
    return best


def _parameters(folders: Sequence[Path]) -> int | None:
    """The number of weights of the first folder that has some, from the shapes in their header."""
    from safetensors import SafetensorError, safe_open

    for folder in folders:
        try:
            with safe_open(str(folder / WEIGHTS), framework="np") as file:
                return sum(int(math.prod(file.get_slice(n).get_shape())) for n in list(file.keys()))
        except (OSError, SafetensorError):
            continue
    return None
