"""Draws attention maps: which source words each output word attends to."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from dragoman.errors import DragomanError
from dragoman.files import replacing

END = "</s>"
_INCHES = 0.33
"""Side of a cell."""


def draw_map(
    source: Sequence[str], target: Sequence[str], weights: npt.NDArray[Any], path: Path
) -> None:
    """Draw one map: source words across, target words down.

    matplotlib warns on stderr of characters that its font lacks. Text in SVG stays text, so that
    its reader's fonts show it.

    Args:
        source: tokens, without the end token.
        target: tokens, without the end token.
        weights: [target + 1, source + 1] with the end tokens; [target, ...] of an output that was
            cut at its length limit. More columns are padding.
        path: a file; its ending is the format (``.png``, ``.svg``, ``.pdf``).

    Raises:
        DragomanError: matplotlib failed, for example because it cannot write its font cache.
    """
    # Where no home can be written, it has advice about its folders that helps nobody here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # A dollar sign would start a formula in a label of matplotlib.
    columns, rows = ([t.replace("$", r"\$") for t in (*side, END)] for side in (source, target))
    rows, weights = rows[: len(weights)], weights[:, : len(columns)]
    size = (2.5 + _INCHES * len(columns), 1.8 + _INCHES * len(rows))
    place: dict[str, Any] = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
    try:
        import matplotlib
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=120, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(weights, cmap="viridis", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(len(columns)), columns, **place)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.set(xlabel="source", ylabel="output")
        figure.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
        with matplotlib.rc_context({"svg.fonttype": "none"}), replacing(path) as aside:
            figure.savefig(aside, format=path.suffix.lower().lstrip(".") or "png")
    except (OSError, RuntimeError, ValueError) as error:
        raise DragomanError(f"cannot be drawn: {error}", place=str(path)) from error
