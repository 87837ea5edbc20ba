"""Draws the curves of several runs from the rows of their ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dragoman.runs.pictures import as_label
from dragoman.runs.rows import Row
from dragoman.runs.scores import SCORES, TRANSLATION_SCORES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def comparison_figure(runs: Mapping[str, Sequence[Row]]) -> Figure:
    """Draw the curves of several runs over steps (above) and over wall time (below).

    Args:
        runs: the rows of each run, by the run's name.

    Returns:
        A figure with a column for each measure that at least one run has: training loss, held-out
        loss, translation scores. Each run has one colour, and a line in every column.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    measures = {
        ("train", "loss"): "training loss (nats a token)",
        ("validation", "loss"): "held-out loss (nats a token)",
    } | {("validation", name): f"held-out {SCORES[name].label}" for name in TRANSLATION_SCORES}
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
    names = [f" {as_label(name)}" for name in runs]  # matplotlib's legend hides names with "_"
    figure.legend(grid[0, 0].lines, names, loc="outside lower center", ncols=min(4, len(names)))
    return figure


def _points(rows: Sequence[Row], kind: str, name: str) -> list[tuple[float, float, float]]:
    """Step, minutes and value of each row that has the value."""
    return [
        (row["step"], row["elapsed"] / 60, row[name])
        for row in rows
        if row["kind"] == kind and row.get(name) is not None and "elapsed" in row
    ]
