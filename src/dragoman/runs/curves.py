"""The curves of one run, or of several together, from their ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from dragoman.layout import METRICS
from dragoman.runs.history import SCORES, read_metrics
from dragoman.runs.pictures import as_label, save_figure

CURVES = "curves.png"
Rows = list[dict[str, Any]]


def draw_curves(folder: Path) -> Path:
    """Draw loss (left) and scores (right) over steps into ``curves.png``; returns its path."""
    rows = read_metrics(folder / METRICS)
    training = [row for row in rows if row["kind"] == "train"]
    validations = [row for row in rows if row["kind"] == "validation"]
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    loss, scores = figure.subplots(1, 2)
    loss.plot(
        [r["step"] for r in training], [r["loss"] for r in training], color="0.7", label="training"
    )
    steps = [row["step"] for row in validations]
    loss.plot(steps, [row["loss"] for row in validations], marker="o", label="held out")
    loss.set(xlabel="step", ylabel="loss (nats a token)", title="Loss")
    for name, label in SCORES.items():
        if validations and name in validations[-1]:
            scores.plot(steps, [row[name] for row in validations], marker="o", label=label)
    scores.set(xlabel="step", ylabel="score", ylim=(0, 100), title="Held-out scores (greedy)")
    for axes in (loss, scores):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    save_figure(figure, folder / CURVES)
    return folder / CURVES


def comparison_figure(runs: Mapping[str, Rows]) -> Figure:
    """The curves of several runs over steps (above) and over wall time (below).

    Args:
        runs: the rows of each run's ``metrics.jsonl``, by the run's name.

    Returns:
        A column for each measure that a run has: training loss, held-out loss, the scores. A run
        has a line in each, of the same colour everywhere; an empty one where it lacks the measure.
    """
    measures = {
        ("train", "loss"): "training loss (nats a token)",
        ("validation", "loss"): "held-out loss (nats a token)",
    } | {("validation", score): f"held-out {label}" for score, label in SCORES.items()}
    points = {key: [_points(rows, *key) for rows in runs.values()] for key in measures}
    shown = {key: title for key, title in measures.items() if any(points[key])}
    figure = Figure(figsize=(4.5 * len(shown), 8), dpi=120, layout="constrained")
    colours = colormaps["tab10" if len(runs) <= 10 else "turbo"].resampled(max(10, len(runs)))
    grid = figure.subplots(2, len(shown), squeeze=False)
    for column, (key, title) in enumerate(shown.items()):
        for row, across in enumerate(("step", "wall time (minutes)")):
            axes = grid[row, column]
            for number, found in enumerate(points[key]):
                axes.plot(
                    [p[row] for p in found],
                    [p[2] for p in found],
                    color=colours(number),
                    marker="o" if key[0] == "validation" else "",
                    markersize=3,
                )
            axes.set(xlabel=across, ylabel=title, yscale="log" if key[1] == "loss" else "linear")
            axes.grid(alpha=0.3)
    names = [f" {as_label(name)}" for name in runs]  # a first "_" would hide it from the legend
    figure.legend(grid[0, 0].lines, names, loc="outside lower center", ncols=min(4, len(names)))
    return figure


def _points(rows: Rows, kind: str, key: str) -> list[tuple[float, float, float]]:
    """Step, minutes and value, where there is one."""
    return [
        (row["step"], row["elapsed"] / 60, row[key])
        for row in rows
        if row["kind"] == kind and row.get(key) is not None and "elapsed" in row
    ]
