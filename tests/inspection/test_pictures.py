"""Pictures: what is drawn, read back from the drawing itself."""

from __future__ import annotations

import re
import warnings
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from dragoman.errors import DragomanError
from dragoman.inspection.explanation import draw_map


def words_of(svg: Path) -> list[str]:
    """The texts of a drawing."""
    return list(map(unescape, re.findall(r"<text[^>]*>(.*?)</text>", svg.read_text("utf-8"))))


def test_an_attention_map_has_both_sentences_on_its_axes(tmp_path: Path) -> None:
    weights = np.array([[0.7, 0.2, 0.1, 0.0], [0.0, 0.0, 1.0, 0.0]], dtype=np.float32)
    draw_map(["▁le", "▁chat$"], ["▁cat"], weights, tmp_path / "map.svg")
    words = words_of(tmp_path / "map.svg")
    assert {"source", "output", "attention weight"} <= set(words)
    assert [w for w in words if w.startswith("▁")] == ["▁le", "▁chat$", "▁cat"]
    assert len([w for w in words if "/s" in w]) == 2


def test_an_output_cut_at_its_limit_has_no_end(tmp_path: Path) -> None:
    weights = np.ones((2, 2), dtype=np.float32) / 2
    draw_map(["a"], ["x", "y"], weights, tmp_path / "map.svg")
    words = words_of(tmp_path / "map.svg")
    assert len([w for w in words if "/s" in w]) == 1 and {"x", "y"} <= set(words)


def test_a_map_is_as_large_as_its_sentences(tmp_path: Path) -> None:
    sizes = []
    for length in (3, 60):
        weights = np.zeros((length + 1, length + 1), dtype=np.float32)
        draw_map(["w"] * length, ["w"] * length, weights, tmp_path / "m.svg")
        sizes.append(float(re.findall(r'width="([\d.]+)pt"', (tmp_path / "m.svg").read_text())[0]))
    assert sizes[1] > 4 * sizes[0]


def test_characters_that_the_font_lacks_are_warned_of(tmp_path: Path) -> None:
    weights = np.eye(2, dtype=np.float32)
    with pytest.warns(UserWarning, match="CJK UNIFIED IDEOGRAPH-732B.*missing from font"):
        draw_map(["▁猫"], ["▁cat"], weights, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.warns(UserWarning):
        draw_map(["▁猫"], ["▁cat"], weights, tmp_path / "map.svg")
    assert "▁猫" in words_of(tmp_path / "map.svg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_map(["▁chat"], ["▁cat"], weights, tmp_path / "map.pdf")


@pytest.mark.parametrize("error", [OSError("no font cache"), RuntimeError("no font cache")])
def test_what_matplotlib_raises_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Figure, "subplots", fails)
    with pytest.raises(DragomanError, match=r"p\.png: cannot be drawn: no font cache") as caught:
        draw_map(["a"], ["b"], np.eye(2, dtype=np.float32), tmp_path / "p.png")
    assert caught.value.exit_code == 1 and not list(tmp_path.iterdir())
