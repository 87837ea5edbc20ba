"""Draws how speed, memory and utilisation depend on the batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = (
    ("a second", 1, "log", {"samples_per_second": "samples", "tokens_per_second": "tokens"}),
    ("peak memory (MB)", 1e-6, "linear", {"memory": "peak memory"}),
    ("%", 100, "linear", {"utilisation": "utilisation", "share_of_limit": "share of the limit"}),
)
"""Of each panel: unit, factor, scale, and the measures that it shows with their labels."""


def throughput_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw :func:`dragoman.training.bench.as_rows` over the number of sentences in a batch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4), dpi=120, layout="constrained")
    for axes, (unit, factor, scale, lines) in zip(figure.subplots(1, 3), PANELS, strict=True):
        for name, label in lines.items():
            known = [
                (row["sentences"], row[name] * factor) for row in rows if row[name] is not None
            ]
            axes.plot([x for x, _ in known], [y for _, y in known], marker="o", label=label)
        axes.set(xlabel="sentences a batch", ylabel=unit, yscale=scale)
        axes.set_xscale("log", base=2)
        if scale == "linear":
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
