"""The rows of a run: written, read back, and cut where a run continues."""

from __future__ import annotations

import json
from pathlib import Path

from dragoman.runs.history import append_row, delete_later_rows, read_metrics

ROWS = [
    {"kind": "train", "step": 1, "loss": 4.0},
    {"kind": "validation", "step": 1, "loss": 3.0, "bleu": 10.0, "chrf": 20.0, "exact": 1.0},
    {"kind": "train", "step": 2, "loss": None},
]


def test_a_resumed_run_deletes_the_rows_of_steps_that_it_takes_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for row in ROWS:
        append_row(path, row | {"text": "é\u2028"})
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"kind": "train", "step": 1, "lo')
    delete_later_rows(path, step=1, validated=1)
    append_row(path, {"kind": "start", "step": 1})
    kinds = [(row["kind"], row["step"]) for row in read_metrics(path)]
    assert kinds == [("train", 1), ("validation", 1), ("start", 1)]
    assert path.read_text("utf-8").count("\n") == 3


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    cut = '{"kind": "validation", "samples": [{"a": "b"}'
    odd = ["[]", "null", '{"kind": "train"}', '{"step": 3}']
    lines = [json.dumps(ROWS[0]), cut, *odd, json.dumps(ROWS[1] | {"text": "a\u2028b"})]
    path.write_text("\n".join(lines) + "\n\xff", encoding="latin-1", errors="replace")
    assert [row["step"] for row in read_metrics(path)] == [1, 1]
    assert read_metrics(tmp_path / "nothing") == []
