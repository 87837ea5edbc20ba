"""Measures a training between its events and tells the observers, as rows of ``metrics.jsonl``."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

from dragoman.config.options import TrainingOptions
from dragoman.runs.scores import scores_line
from dragoman.training.machine import Usage, environment
from dragoman.training.observer import Ended, Message, Observer, Reported, Started, Validated
from dragoman.training.state import TrainingState
from dragoman.training.step import StepResult
from dragoman.training.validation import Validation


class Reporter:
    """Makes an event of each thing that the loop has to tell.

    Args:
        notify: receives the events.
        options: how the run is trained.
    """

    def __init__(self, notify: Observer, options: TrainingOptions) -> None:
        self.notify, self._options = notify, options
        self._usage = Usage()
        self._mark = (0.0, 0)  # when the last report or validation was, and its tokens

    def say(self, text: str) -> None:
        """Tell the user one line."""
        self.notify(Message(text))

    def started(self, state: TrainingState, changed: dict[str, Any]) -> None:
        """A command starts to train; ``changed`` are the options that it has changed."""
        facts = {"environment": environment(self._options), "changed": changed}
        self.notify(Started(_row("start", state, facts)))
        self._mark = (time.monotonic(), state.tokens)

    def reported(self, state: TrainingState, step: StepResult, done: float) -> None:
        """Report the steps since the last report, whose sums ``state`` then begins anew.

        Args:
            state: where the run stands.
            step: the last step, read.
            done: share of the run that is over, 0 if it has no end.
        """
        now = (time.monotonic(), state.tokens)
        took, tokens = now[0] - self._mark[0], now[1] - self._mark[1]
        self._mark = now
        values = {
            "loss": state.window_loss / max(1, state.window_tokens),
            "accuracy": state.window_right / max(1, state.window_tokens),
            "gradient_norm": step.norms["total"],
            "gradient_norm_encoder": step.norms["encoder"],
            "gradient_norm_decoder": step.norms["decoder"],
            "learning_rate": step.rate,
            "tokens": state.tokens,
            "tokens_per_second": round(tokens / max(1e-9, took), 1),
            **self._usage.measure(),
            "done": round(done, 5),
            "remaining": round(state.elapsed * (1 - done) / done, 1) if done else None,
        }
        state.window_loss, state.window_tokens, state.window_right = 0.0, 0, 0
        metric = self._options.metric
        best = scores_line({metric: state.best_scores.get(metric)})
        self.notify(Reported(_row("train", state, values), best))

    def validated(self, state: TrainingState, result: Validation, *, better: bool) -> None:
        """Report scores and what the model says now; ``better``: its weights were saved."""
        values = asdict(result)
        scores = values.pop("scores")
        self.notify(Validated(_row("validation", state, {"best": better, **scores, **values})))
        self._mark = (time.monotonic(), state.tokens)

    def ended(self, state: TrainingState, reason: str, *, interrupted: bool) -> None:
        """The command's training is over."""
        values = {"reason": reason, "interrupted": interrupted}
        self.notify(Ended(_row("end", state, values)))


def _row(kind: str, state: TrainingState, values: dict[str, Any]) -> dict[str, Any]:
    """A row of ``metrics.jsonl``; JSON has no infinity and no NaN, they become null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
    when = {"step": state.step, "epoch": state.epoch, "elapsed": round(state.elapsed, 3)}
    return {"kind": kind, **when, **finite}
