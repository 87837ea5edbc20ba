"""Draws attention maps: which source words each output word attends to."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from dragoman.errors import DragomanError
from dragoman.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dragoman.inspection.explanation import Explanation  # torch

END = "</s>"
_INCHES = 0.33
"""Side of a cell."""


def draw_attention(explanation: Explanation, path: Path) -> None:
    """Draw the attention of an explained sentence, over the given target or the model's output.

    Args:
        explanation: of one sentence, by a model with attention.
        path: as in :func:`draw_map`.
    """
    (example,) = explanation.examples
    words = [token.stands_for or token.text for token in example.source[:-1]]
    target = [step.expected.text for step in example.steps if step.real]
    draw_map(words, target, explanation["weights"][0, : len(target)], path)


def draw_map(
    source: Sequence[str], target: Sequence[str], weights: npt.NDArray[Any], path: Path
) -> None:
    """Draw one map: source words across, target words down.

    A source in a script that is written from right to left runs from right to left. matplotlib
    warns on stderr of characters that its font lacks. Text in SVG stays text, so that its reader's
    fonts show it.

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
    try:
        import matplotlib

        figure = _figure(source, target, weights)
        with matplotlib.rc_context({"svg.fonttype": "none"}), replacing(path) as aside:
            figure.savefig(aside, format=path.suffix.lower().lstrip(".") or "png")
    except (OSError, RuntimeError, ValueError) as error:
        raise DragomanError(f"cannot be drawn: {error}", place=str(path)) from error


def _label(text: str) -> str:
    """Escape dollar signs, which would start a formula in a label of matplotlib."""
    return text.replace("$", r"\$")


def _figure(source: Sequence[str], target: Sequence[str], weights: npt.NDArray[Any]) -> Figure:
    from matplotlib.figure import Figure

    columns = list(map(_label, [*source, END]))
    rows = list(map(_label, [*target, END][: len(weights)]))
    size = (2.5 + _INCHES * len(columns), 1.8 + _INCHES * len(rows))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.subplots()
    shown = weights[:, : len(columns)]
    image = axes.imshow(shown, cmap="viridis", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.xaxis.tick_top()
    axes.set(xlabel="source", ylabel="output")
    if _is_right_to_left("".join(source)):
        axes.invert_xaxis()
    figure.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
    return figure


def _is_right_to_left(text: str) -> bool:
    """Whether most letters are of a script that is written from right to left."""
    directions = [unicodedata.bidirectional(c) for c in text]
    return sum(one in ("R", "AL") for one in directions) > directions.count("L")
