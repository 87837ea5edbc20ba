"""Draws attention maps: which source words each output word attends to."""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from dragoman.errors import DataError, DragomanError
from dragoman.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dragoman.inspection.explanation import Explanation  # torch

END = "</s>"
_INCHES = 0.33
"""Side of a cell."""
_MOST = 300
"""Most words on one side of a map."""


class AttentionMap(NamedTuple):
    """The attention of one model over one sentence."""

    source: Sequence[str]
    """Source tokens, without the end token."""
    target: Sequence[str]
    """Target tokens, without the end token."""
    weights: npt.NDArray[Any]
    """[target + 1, source + 1] with the end tokens; [target, ...] of an output that was cut at its
    length limit. More columns are padding."""
    title: str = ""


def map_of(explanation: Explanation, title: str = "") -> AttentionMap:
    """The map of an explained sentence, over the given target or the model's own output."""
    (example,) = explanation.examples
    words = [token.stands_for or token.text for token in example.source[:-1]]
    target = [step.expected.text for step in example.steps if step.real]
    return AttentionMap(words, target, explanation["weights"][0, : len(target)], title)


def draw_maps(maps: Sequence[AttentionMap], path: Path) -> list[str]:
    """Draw maps side by side: source words across, target words down.

    A source in a script that is written from right to left runs from right to left.

    Args:
        maps: one or more.
        path: a file; its ending is the format (``.png``, ``.svg``, ``.pdf``).

    Returns:
        What matplotlib warned of, each once, such as characters that its font lacks. Text in SVG
        stays text, so that its reader's fonts show it: then the list is empty.

    Raises:
        DataError: there are more words than a picture can show.
        DragomanError: matplotlib failed, for example because it cannot write its font cache.
    """
    longest = max(max(len(one.source) + 1, len(one.weights)) for one in maps)
    if longest > _MOST:
        cure = f"give a sentence of at most {_MOST}"
        raise DataError(f"a map of {longest} words cannot be read", place=str(path), cure=cure)
    kind = path.suffix.lower().lstrip(".") or "png"
    # Where no home can be written, it has advice about its folders that helps nobody here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib

        text_in_svg = matplotlib.rc_context({"svg.fonttype": "none"})
        with warnings.catch_warnings(record=True) as caught, text_in_svg:
            warnings.simplefilter("always", UserWarning)
            figure = _figure(maps)
            with replacing(path) as aside:
                figure.savefig(aside, format=kind)
    except (OSError, RuntimeError, ValueError) as error:
        raise DragomanError(f"cannot be drawn: {error}", place=str(path)) from error
    messages = list(dict.fromkeys(str(warning.message) for warning in caught))
    if kind == "svg" or not messages:
        return []
    return [*messages, "an .svg keeps its text, so that the fonts of its reader show it"]


def _label(text: str) -> str:
    """Escape dollar signs, which would start a formula in a label of matplotlib."""
    return text.replace("$", r"\$")


def _figure(maps: Sequence[AttentionMap]) -> Figure:
    from matplotlib.figure import Figure

    across = [len(one.source) + 1 for one in maps]
    width = 2.5 * len(maps) + _INCHES * sum(across)
    height = 1.8 + _INCHES * max(len(one.weights) for one in maps)
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    grid = figure.subplots(1, len(maps), squeeze=False, width_ratios=across)[0]
    for one, axes in zip(maps, grid, strict=True):
        columns = list(map(_label, [*one.source, END]))
        rows = list(map(_label, [*one.target, END][: len(one.weights)]))
        shown = one.weights[:, : len(columns)]
        image = axes.imshow(shown, cmap="viridis", vmin=0, vmax=1, aspect="equal")
        slanted = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
        axes.set_xticks(range(len(columns)), columns, **slanted)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.set(xlabel="source", ylabel="output", title=_label(one.title))
        if _is_right_to_left("".join(one.source)):
            axes.invert_xaxis()
    figure.colorbar(image, ax=list(grid), label="attention weight", shrink=0.8)
    return figure


def _is_right_to_left(text: str) -> bool:
    """Whether most letters are of a script that is written from right to left."""
    directions = [unicodedata.bidirectional(c) for c in text]
    return sum(one in ("R", "AL") for one in directions) > directions.count("L")
