"""Files of figures: which there may be, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.errors import OptionError
from dragoman.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: Path | None, option: str) -> None:
    """Refuse a picture that could not be written, before the work is done.

    Raises:
        OptionError: another ending, a folder, or a file in a folder that is not there.
    """
    if path is None:
        return
    if path.suffix.lower() not in PICTURES:
        known = ", ".join(PICTURES)
        raise OptionError(f"{path.name!r} has no ending of a picture", place=option,
                          cure=f"one of {known}")  # fmt: skip
    if path.is_dir():
        raise OptionError(f"{path} is a folder", place=option)
    if not path.parent.is_dir():
        raise OptionError(f"no such folder: {path.parent}", place=option)


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format that the ending of ``path`` names."""
    with replacing(path) as aside:
        figure.savefig(aside, format=path.suffix.lower().lstrip(".") or "png")


def as_label(text: str) -> str:
    """``text`` as a label: dollar signs would start a formula."""
    return text.replace("$", r"\$")
