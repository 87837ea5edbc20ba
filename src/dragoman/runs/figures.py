"""Draws figures of runs and benchmarks with matplotlib, and writes them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.errors import DragomanError
from dragoman.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THROUGHPUT = (
    ("a second", 1, "log", {"samples_per_second": "samples", "tokens_per_second": "tokens"}),
    ("peak memory (MB)", 1e-6, "linear", {"memory": "peak memory"}),
    ("%", 100, "linear", {"utilisation": "utilisation"}),
)
"""Of each panel of :func:`throughput_figure`: unit, factor, scale, and the measures that it shows
with their labels."""


def save_picture(draw: Callable[[], Figure], path: Path) -> list[str]:
    """Draw a figure and write it in the format that the ending of ``path`` names.

    Args:
        draw: imports matplotlib and makes the figure.
        path: a file, such as ``curves.png``, ``.svg`` or ``.pdf``.

    Returns:
        What matplotlib warned of, each once, such as characters that its font lacks. Text in SVG
        stays text, so that its reader's fonts show it: then the list is empty.

    Raises:
        DragomanError: matplotlib failed, for example because it cannot write its font cache.
    """
    kind = path.suffix.lower().lstrip(".") or "png"
    # Where no home can be written, it has advice about its folders that helps nobody here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib

        text_in_svg = matplotlib.rc_context({"svg.fonttype": "none"})
        with warnings.catch_warnings(record=True) as caught, text_in_svg:
            warnings.simplefilter("always", UserWarning)
            figure = draw()
            with replacing(path) as aside:
                figure.savefig(aside, format=kind)
    except (OSError, RuntimeError, ValueError) as error:
        raise DragomanError(f"cannot be drawn: {error}", place=str(path)) from error
    messages = dict.fromkeys(str(warning.message) for warning in caught)
    return [] if kind == "svg" else list(messages)


def as_label(text: str) -> str:
    """Escape dollar signs, which would start a formula in a label of matplotlib."""
    return text.replace("$", r"\$")


def throughput_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the rows of :func:`dragoman.bench` over the number of sentences in a batch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4), dpi=120, layout="constrained")
    for axes, (unit, factor, scale, lines) in zip(figure.subplots(1, 3), THROUGHPUT, strict=True):
        for name, label in lines.items():
            known = [row for row in rows if row[name] is not None]
            x, y = [row["sentences"] for row in known], [row[name] * factor for row in known]
            axes.plot(x, y, marker="o", label=label)
        axes.set(xlabel="sentences a batch", ylabel=unit, yscale=scale)
        axes.set_xscale("log", base=2)
        if scale == "linear":
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
