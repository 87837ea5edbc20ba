"""The curves of a run, from its ``metrics.jsonl``."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from dragoman.evaluation.history import METRICS, read_metrics
from dragoman.files import replacing

CURVES = "curves.png"


def draw_curves(folder: Path) -> Path:
    """Draw loss (left) and scores (right) over steps into ``curves.png``; returns its path."""
    rows = read_metrics(folder / METRICS)
    training = [row for row in rows if row["kind"] == "train"]
    validations = [row for row in rows if row["kind"] == "validation"]
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    loss, scores = figure.subplots(1, 2)
    loss.plot([r["step"] for r in training], [r["loss"] for r in training],
              color="0.7", label="training")  # fmt: skip
    steps = [row["step"] for row in validations]
    loss.plot(steps, [row["loss"] for row in validations], marker="o", label="held out")
    loss.set(xlabel="step", ylabel="loss (nats a token)", title="Loss")
    for name, label in (("bleu", "BLEU"), ("chrf", "chrF"), ("exact", "exact match, %")):
        if validations and name in validations[-1]:
            scores.plot(steps, [row[name] for row in validations], marker="o", label=label)
    scores.set(xlabel="step", ylabel="score", ylim=(0, 100), title="Held-out scores (greedy)")
    for axes in (loss, scores):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    with replacing(folder / CURVES) as aside:
        figure.savefig(aside, format="png")
    return folder / CURVES
