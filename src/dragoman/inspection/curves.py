"""The curves of a run, from its ``metrics.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no window is ever opened
from matplotlib.figure import Figure

from dragoman.files import replacing

CURVES = "curves.png"


def read_metrics(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The training lines and the validation lines of a run, oldest first."""
    path = folder / "metrics.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return (
        [row for row in rows if row["kind"] == "train"],
        [row for row in rows if row["kind"] == "validation"],
    )


def draw_curves(folder: Path) -> Path:
    """Draw loss (left) and scores (right) over steps into ``curves.png``; returns its path."""
    training, validations = read_metrics(folder)
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    loss, scores = figure.subplots(1, 2)
    loss.plot([r["step"] for r in training], [r["loss"] for r in training],
              color="0.7", label="training batch")  # fmt: skip
    steps = [row["step"] for row in validations]
    loss.plot(steps, [row["loss"] for row in validations], marker="o", label="held out")
    loss.set(xlabel="step", ylabel="loss (nats a token)", title="Loss")
    for name, label in (("bleu", "BLEU"), ("chrf", "chrF"), ("exact", "exact match, %")):
        if validations and name in validations[-1]:
            scores.plot(steps, [row[name] for row in validations], marker="o", label=label)
    scores.set(xlabel="step", ylabel="score", ylim=(0, 100), title="Held-out scores (greedy)")
    for axes in (loss, scores):
        axes.grid(alpha=0.3)
        axes.legend()
    with replacing(folder / CURVES) as aside:
        figure.savefig(aside, format="png")
    return folder / CURVES
