"""How figures are written, and text within them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format that the ending of ``path`` names."""
    with replacing(path) as aside:
        figure.savefig(aside, format=path.suffix.lower().lstrip(".") or "png")


def as_label(text: str) -> str:
    """``text`` as a label: dollar signs would start a formula."""
    return text.replace("$", r"\$")
