"""Pictures: what is drawn, read back from the drawing itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from dragoman.evaluation.history import read_metrics
from dragoman.inspection.attention_map import draw_attention
from dragoman.inspection.curves import draw_curves


def words_of(svg: Path) -> list[str]:
    """The texts of a drawing; matplotlib leaves each as a comment beside its outlines."""
    return re.findall(r"<!-- (.*?) -->", svg.read_text("utf-8"))


def test_an_attention_map_has_both_sentences_on_its_axes(tmp_path: Path) -> None:
    weights = np.array([[0.7, 0.2, 0.1, 0.0], [0.0, 0.0, 1.0, 0.0]], dtype=np.float32)
    draw_attention(["▁le", "▁chat$"], ["▁cat"], weights, tmp_path / "map.svg")
    words = words_of(tmp_path / "map.svg")
    assert {"source", "output", "attention weight"} <= set(words)
    assert [w for w in words if w.startswith("▁")] == ["▁le", "▁chat$", "▁cat"]
    assert len([w for w in words if "/s" in w]) == 2


def test_an_output_cut_at_its_limit_has_no_end(tmp_path: Path) -> None:
    weights = np.ones((2, 2), dtype=np.float32) / 2
    draw_attention(["a"], ["x", "y"], weights, tmp_path / "map.svg")
    words = words_of(tmp_path / "map.svg")
    assert len([w for w in words if "/s" in w]) == 1 and {"x", "y"} <= set(words)


def test_a_map_is_as_large_as_its_sentences(tmp_path: Path) -> None:
    sizes = []
    for length in (3, 60):
        weights = np.zeros((length + 1, length + 1), dtype=np.float32)
        draw_attention(["w"] * length, ["w"] * length, weights, tmp_path / "m.svg")
        sizes.append(float(re.findall(r'width="([\d.]+)pt"', (tmp_path / "m.svg").read_text())[0]))
    assert sizes[1] > 4 * sizes[0]


ROWS = [
    {"kind": "train", "step": 1, "loss": 4.0},
    {"kind": "validation", "step": 1, "loss": 3.0, "bleu": 10.0, "chrf": 20.0, "exact": 1.0},
    {"kind": "train", "step": 2, "loss": None},
]


def test_curves_are_drawn_from_what_was_measured(tmp_path: Path) -> None:
    text = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (tmp_path / "metrics.jsonl").write_text(text + '{"kind": "train", "step": 3, "lo')
    path = draw_curves(tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG") and path.name == "curves.png"
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".partial")] == []


def test_curves_of_a_run_without_measurements(tmp_path: Path) -> None:
    assert draw_curves(tmp_path).exists()


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    cut = '{"kind": "validation", "samples": [{"a": "b"}'
    odd = ["[]", "null", '{"kind": "train"}', '{"step": 3}']
    lines = [json.dumps(ROWS[0]), cut, *odd, json.dumps(ROWS[1] | {"text": "a\u2028b"})]
    path.write_text("\n".join(lines) + "\n\xff", encoding="latin-1", errors="replace")
    assert [row["step"] for row in read_metrics(path)] == [1, 1]
    assert read_metrics(tmp_path / "nothing") == []
