"""What a training tells people (stderr) and programs (``metrics.jsonl``) while it runs."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dragoman.evaluation.history import read_metrics
from dragoman.files import write_text
from dragoman.training.state import TrainingState
from dragoman.training.validation import Validation


class MetricsLog:
    """One JSON object a line, appended as things happen.

    A run that resumes from an earlier step drops the lines that it is about to write again.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self._path = path
        if path.exists():
            kept = [row for row in read_metrics(path) if row["step"] <= step]
            write_text(path, "".join(f"{json.dumps(r, ensure_ascii=False)}\n" for r in kept))

    def write(self, kind: str, values: dict[str, Any]) -> None:
        """Append one line."""
        finite = {k: None if _is_no_number(v) else v for k, v in values.items()}
        line = json.dumps({"kind": kind, **finite}, ensure_ascii=False)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


class Reporter:
    """Progress of one training.

    Args:
        console: where people read; a bar is drawn only on a terminal.
        log: where programs read; None in the processes that help the main one.
        metric: the name of the score that decides.
    """

    def __init__(self, console: Console, log: MetricsLog | None, metric: str) -> None:
        self._console, self._log, self._metric = console, log, metric
        self._mark = (time.monotonic(), 0)  # when, and tokens, at the last report
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._best = ""

    def start(self, tokens: int) -> None:
        """Begin to measure the speed of a run that has learned from ``tokens`` before."""
        self._mark = (time.monotonic(), tokens)

    def __enter__(self) -> Reporter:
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(10),
                TextColumn("{task.percentage:.0f} %"), TextColumn("{task.fields[facts]}"),
                console=self._console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("training", total=1.0, facts="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """One line for people."""
        if self._log is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(
        self, state: TrainingState, *, norms: dict[str, float], rate: float, done: float
    ) -> None:
        """Report after some training steps, with their mean loss in nats a token."""
        if self._log is None:
            return
        loss = state.window_loss / max(1, state.window_tokens)
        now = time.monotonic()
        then, tokens = self._mark
        speed = (state.tokens - tokens) / max(1e-9, now - then)
        self._mark = (now, state.tokens)
        self._log.write("train", {
            "step": state.step, "epoch": state.epoch, "loss": loss,
            "accuracy": state.window_right / max(1, state.window_tokens),
            "gradient_norm": norms["total"],
            "gradient_norm_encoder": norms["encoder"], "gradient_norm_decoder": norms["decoder"],
            "learning_rate": rate, "tokens": state.tokens, "tokens_per_second": round(speed, 1),
            "elapsed": round(state.elapsed, 3),
        })  # fmt: skip
        remaining = f", {clock(state.elapsed / done - state.elapsed)} left" if done > 0.01 else ""
        facts = (
            f"step {state.step}, {clock(state.elapsed)}{remaining}, loss {loss:.3f}, "
            f"{speed:,.0f} tokens/s{self._best}"
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=done, facts=facts)
        else:
            self.say(f"{100 * done:3.0f} % {facts}" if done else facts)

    def validation(self, state: TrainingState, result: Validation, *, better: bool) -> None:
        """Report a validation: scores, and what the model says now."""
        if self._log is None:
            return
        self._log.write("validation", {
            "step": state.step, "epoch": state.epoch, "elapsed": round(state.elapsed, 3),
            "best": better, **result.scores,
            "samples": [asdict(s) for s in result.samples],
            "watched": [asdict(s) for s in result.watched],
        })  # fmt: skip
        self._best = f", best {self._metric} {_shown(state.best_scores, self._metric)}"
        self.say(f"step {state.step}: {scores_line(result.scores)}{' (best)' if better else ''}")
        for sample in (*result.samples, *result.watched):
            self.say(f"  > {sample.source}")
            if sample.reference:
                self.say(f"  = {sample.reference}")
            self.say(f"  < {sample.output}")
        self._mark = (time.monotonic(), state.tokens)  # validation is not training time


def scores_line(scores: dict[str, float]) -> str:
    """Scores as people read them: ``loss 1.234, perplexity 3.4, accuracy 71.2 %, BLEU 40.1``."""
    parts = [
        f"loss {scores['loss']:.3f}", f"perplexity {scores['perplexity']:.2f}",
        f"token accuracy {100 * scores['token_accuracy']:.1f} %",
        f"free-running {100 * scores['free_accuracy']:.1f} %" if "free_accuracy" in scores else "",
    ]  # fmt: skip
    names = {"bleu": "BLEU {:.1f}", "chrf": "chrF {:.1f}", "exact": "exact {:.1f} %"}
    return ", ".join(
        [p for p in parts if p] + [t.format(scores[n]) for n, t in names.items() if n in scores]
    )


def _is_no_number(value: object) -> bool:
    """JSON has no word for infinity and its like."""
    return isinstance(value, float) and not math.isfinite(value)


def clock(seconds: float) -> str:
    """``75`` seconds as ``1:15``, an hour more as ``1:01:15``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{whole % 60:02d}"


def _shown(scores: dict[str, float], metric: str) -> str:
    return f"{scores[metric]:.3f}" if metric == "loss" else f"{scores[metric]:.1f}"
