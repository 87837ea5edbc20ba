"""Writes pictures that matplotlib draws, and says what it could not draw."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.errors import DragomanError
from dragoman.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
