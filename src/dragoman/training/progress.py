"""What a training tells people (stderr), programs (``metrics.jsonl``), trackers and the report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dragoman.config.options import TrainingOptions
from dragoman.runs.display import row_lines
from dragoman.runs.rows import MetricsLog, Row
from dragoman.runs.scores import scores_line
from dragoman.training.machine import Usage, environment
from dragoman.training.remaining import Pace
from dragoman.training.state import TrainingState
from dragoman.training.validation import Validation


class Reporter:
    """Progress of one training.

    Args:
        console: where people read; a bar is drawn only on a terminal.
        log: where programs read; None in the processes that help the main one.
        options: how the run is trained.

    Attributes:
        refresh: called when there is something new to tell at length.
    """

    def __init__(self, console: Console, log: MetricsLog | None, options: TrainingOptions) -> None:
        self._console, self._log, self._options = console, log, options
        self.refresh: Callable[[], None] = lambda: None
        self._track: Callable[[Row], None] = lambda row: None
        self._pace, self._usage = Pace(), Usage()
        self._mark = (0.0, 0, 0)  # when, steps and tokens at the last report or validation
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def start(self, state: TrainingState, limits: Row, track: Callable[[Row], None]) -> None:
        """Begin to measure; ``limits`` are the options that each command may set anew, ``track``
        is called with each row that is logged."""
        self._track = track
        facts = {"environment": environment(self._options), "limits": limits}
        self._record("start", state, facts)
        self._mark = (time.monotonic(), state.step, state.tokens)

    def __enter__(self) -> Reporter:
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(10),
                TextColumn("{task.fields[facts]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("training", total=None, facts="")
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
        self,
        state: TrainingState,
        *,
        norms: dict[str, float],
        rate: float,
        done: float,
        reserve: float,
    ) -> None:
        """Report after some training steps, with their mean loss in nats a token.

        ``norms`` are the gradient's before clipping, ``done`` is the share of the run that is
        over; for ``reserve`` see :meth:`Pace.remaining`.
        """
        then, self._mark = self._mark, (time.monotonic(), state.step, state.tokens)
        took, steps, tokens = (new - old for new, old in zip(self._mark, then, strict=True))
        self._pace.windows.append((int(steps), took))
        left = self._pace.remaining(state, self._options, reserve=reserve)
        row = self._record(
            "train",
            state,
            {
                "loss": state.window_loss / max(1, state.window_tokens),
                "accuracy": state.window_right / max(1, state.window_tokens),
                "gradient_norm": norms["total"],
                "gradient_norm_encoder": norms["encoder"],
                "gradient_norm_decoder": norms["decoder"],
                "learning_rate": rate,
                "tokens": state.tokens,
                "tokens_per_second": round(tokens / max(1e-9, took), 1),
                **self._usage.measure(),
                "done": round(done, 5),
                "remaining": left and round(left[0], 1),
                "open_end": bool(left and left[1]),
            },
        )
        metric = self._options.metric
        best = scores_line({metric: state.best_scores.get(metric)})
        (facts,) = row_lines(row, best and f"best {best}")
        if self._bar is None:
            self.say(facts)
        else:
            self._bar.update(self._task, completed=done, total=1.0 if done else None, facts=facts)

    def go_on_from(self, state: TrainingState) -> None:
        """Measure speed from here: the run went back, or did something else than to train."""
        self._mark = (time.monotonic(), state.step, state.tokens)

    def validation(self, state: TrainingState, result: Validation, *, better: bool) -> None:
        """Report a validation: scores, and what the model says now."""
        began = time.monotonic()
        values = asdict(result)
        row = self._record("validation", state, {"best": better, **values.pop("scores"), **values})
        for line in row_lines(row):
            self.say(line)
        self.refresh()
        self._pace.validations.append(result.seconds + time.monotonic() - began)
        self.go_on_from(state)

    def end(self, state: TrainingState, reason: str, *, interrupted: bool) -> None:
        """Report that the command is over."""
        self._record("end", state, {"reason": reason, "interrupted": interrupted})

    def _record(self, kind: str, state: TrainingState, values: Row) -> Row:
        finite = {  # JSON has no word for infinity and its like
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        when = {"step": state.step, "epoch": state.epoch, "elapsed": round(state.elapsed, 3)}
        row = {"kind": kind, **when, **finite}
        if self._log is not None:
            self._log.write(row)
            self._track(row)
        return row
