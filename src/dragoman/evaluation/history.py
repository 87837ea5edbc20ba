"""What a run measured while it went on: ``metrics.jsonl``, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

METRICS = "metrics.jsonl"
SCORES = {"bleu": "BLEU", "chrf": "chrF", "exact": "exact match, %"}
"""Scores of held-out translations that a validation may have, and how they are labelled."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of ``metrics.jsonl``, oldest first; a line that a crash cut short is passed over.

    Every row has ``kind`` (``train`` or ``validation``) and ``step``.
    """
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int) and "kind" in row:
            rows.append(row)
    return rows
