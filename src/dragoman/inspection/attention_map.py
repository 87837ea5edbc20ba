"""Attention maps: which source words each output word looked at."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dragoman.errors import DataError
from dragoman.inspection.fonts import fonts_for
from dragoman.runs.pictures import as_label, save_figure

if TYPE_CHECKING:
    from dragoman.inspection.explanation import Explanation

END = "</s>"
_INCHES = 0.33  # a cell
_MOST = 300
"""Words on one side of a map."""


class AttentionMap(NamedTuple):
    """One sentence through one model."""

    source: Sequence[str]
    """Source tokens; the end token is added."""
    target: Sequence[str]
    """Target tokens; the end token is added."""
    weights: npt.NDArray[Any]
    """[target + 1 (or target, of an output cut at its limit), source + 1 or more]; columns past
    the end token are padding."""
    title: str = ""


def map_of(explanation: Explanation, title: str = "") -> AttentionMap:
    """The map of an explained sentence; the target as it was given or found."""
    (example,) = explanation.examples
    words = [token.stands_for or token.text for token in example.source[:-1]]
    target = [step.expected.text for step in example.steps if step.real]
    return AttentionMap(words, target, explanation["weights"][0, : len(target)], title)


def draw_attention(
    source: Sequence[str], target: Sequence[str], weights: npt.NDArray[Any], path: Path
) -> str:
    """Draw one map: see :class:`AttentionMap` and :func:`draw_maps`."""
    return draw_maps([AttentionMap(source, target, weights)], path)


def draw_maps(maps: Sequence[AttentionMap], path: Path) -> str:
    """Draw maps side by side: source words across, target words down, and one colour bar.

    A source that is written from right to left runs across from right to left.

    Args:
        maps: one or more.
        path: a file name whose ending says the format (``.png``, ``.svg``, ``.pdf``). Text in SVG
            stays text, in the fonts of whoever looks at it.

    Returns:
        The characters that no font of this machine has, and that the picture therefore lacks.

    Raises:
        DataError: there are more words than a picture can show.
    """
    cells = [(len(one.source) + 1, len(one.weights)) for one in maps]
    longest = max(max(cell) for cell in cells)
    if longest > _MOST:
        raise DataError(
            f"a map of {longest} words cannot be read",
            place=str(path),
            cure=f"give a sentence of at most {_MOST}",
        )
    size = (
        2.5 * len(maps) + _INCHES * sum(across for across, _ in cells),
        1.8 + _INCHES * max(down for _, down in cells),
    )
    words = [word for one in maps for word in (*one.source, *one.target, one.title)]
    families, missing = fonts_for(words)
    with mpl.rc_context({"font.family": families, "svg.fonttype": "none"}):
        figure = Figure(figsize=size, dpi=120, layout="constrained")
        grid = figure.subplots(1, len(maps), squeeze=False, width_ratios=[a for a, _ in cells])[0]
        images = [_draw(one, axes) for one, axes in zip(maps, grid, strict=True)]
        figure.colorbar(images[-1], ax=list(grid), label="attention weight", shrink=0.8)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # said in one piece below
            save_figure(figure, path)
    return "" if path.suffix.lower() == ".svg" else missing


def without_font(missing: str) -> str:
    """What to say of characters that a picture lacks."""
    return (
        f"no font here has {' '.join(missing[:20])} (install one: the Noto fonts have every "
        "script; or draw an .svg, which takes the fonts of whoever looks at it)"
    )


def _draw(one: AttentionMap, axes: Axes) -> AxesImage:
    across, down = [*one.source, END], [*one.target, END][: len(one.weights)]
    shown = one.weights[:, : len(across)]
    image = axes.imshow(shown, cmap="viridis", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(
        range(len(across)), map(as_label, across), rotation=60, ha="left", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(down)), map(as_label, down))
    axes.xaxis.tick_top()
    for axis, cells in ((axes.xaxis, len(across)), (axes.yaxis, len(down))):
        axis.set_ticks([cell - 0.5 for cell in range(1, cells)], minor=True)
    axes.grid(which="minor", color="0.5", linewidth=0.3)
    axes.tick_params(which="minor", length=0)
    axes.set(xlabel="source", ylabel="output", title=as_label(one.title))
    if runs_to_the_left("".join(one.source)):
        axes.invert_xaxis()
    return image


def runs_to_the_left(text: str) -> bool:
    """Most letters are of a script that is written from right to left."""
    ways = [unicodedata.bidirectional(c) for c in text]
    return sum(way in ("R", "AL") for way in ways) > ways.count("L")
