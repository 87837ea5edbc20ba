"""An attention map: which source words each output word looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from dragoman.inspection.pictures import as_label, save_figure

END = "</s>"
_INCHES = 0.33  # a cell


def draw_attention(
    source: Sequence[str], target: Sequence[str], weights: npt.NDArray[np.float32], path: Path
) -> None:
    """Draw a map with the source words across, the target words down, and a colour bar.

    Args:
        source: source tokens; the end token is added.
        target: target tokens; the end token is added.
        weights: [target + 1 (or target, of an output cut at its limit), source + 1 or more];
            columns past the end token are padding.
        path: a file name whose ending says the format (``.png``, ``.svg``, ``.pdf``).
    """
    across, down = [*source, END], [*target, END][: len(weights)]
    shown = weights[:, : len(across)]
    size = (2.5 + _INCHES * len(across), 1.5 + _INCHES * len(down))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shown, cmap="viridis", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(len(across)), [as_label(t) for t in across], rotation=60, ha="left",
                    rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(range(len(down)), [as_label(t) for t in down])
    axes.xaxis.tick_top()
    axes.set(xlabel="source", ylabel="output")
    figure.colorbar(image, label="attention weight", shrink=0.8)
    save_figure(figure, path)
