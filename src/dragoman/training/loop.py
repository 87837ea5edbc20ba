"""The training loop: batches in, better weights out."""

import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from dragoman.data.plans import Rows
from dragoman.errors import TrainingError
from dragoman.layout import CONFIDENCE, METRICS, WEIGHTS
from dragoman.model.folder import save_weights
from dragoman.runs.display import scores_line
from dragoman.training.checkpoint import save_checkpoint
from dragoman.training.observer import StepShown
from dragoman.training.plan import patience
from dragoman.training.state import Run
from dragoman.training.step import StepResult, batches_of_epoch, train_step
from dragoman.training.validation import fit_and_save_confidence, validate

SIGNALS: list[int] = [s for s in signal.Signals if s.name in ("SIGINT", "SIGTERM", "SIGHUP")]
"""Ctrl-C, the request of a job scheduler, and a terminal that was closed (not on Windows)."""
STOPPED = "stopped by"
"""The reason of a run that a signal stopped begins with these words."""
DELAY = {"cuda": 1}
"""Number of the latest steps whose results are not read yet, because the device is still at work
on them, by kind of device."""
MOST_SKIPPED = 20
"""A run ends after so many steps in a row without a finite gradient."""
EXCHANGE_EVERY = 8
"""Steps between two exchanges of clocks and signals, where several processes train together."""

Launched = deque[tuple[Rows, StepResult]]
"""Steps whose results are not read yet, with the rows of their batches."""


def train_loop(run: Run) -> str:
    """Train until an end is reached; returns why it ended.

    Raises:
        TrainingError: gradients stay non-finite, or memory does not hold one pair.
    """
    options = run.config.training
    launched: Launched = deque()
    run.reported = (time.monotonic(), run.state.tokens)
    _exchange(run)
    reason = ended(run)
    if run.config.data.replay != "none" and run.state.validated < 0:
        validate_and_keep(run)  # the scores of the model that is continued
    while not reason:
        for rows, batch in batches_of_epoch(run):
            if options.show_every and run.state.step % options.show_every == 0:
                run.tell(StepShown(run.model, run.prepared))
            result = train_step(run, batch)
            launched.append((rows, result))
            if run.processes.count == 1 or run.state.step % EXCHANGE_EVERY == 0:
                _exchange(run)
            reports = run.state.step % options.report_every == 0
            # Once early, to know what the last validation of a time budget will take.
            early = run.state.validated < 0 and run.state.elapsed > 0.15 * run.budget
            validates = early or _is_due(options.validate_every, run)
            saves = _is_due(options.save_every, run)
            _read(run, launched, to_the_end=reports or validates or saves)
            if reports:
                _report(run, result)
            if validates:
                validate_and_keep(run)
            if saves:
                _save(run)
            if reason := ended(run):
                break
    _read(run, launched, to_the_end=True)
    _finish(run, reason)
    return reason


def ended(run: Run) -> str:
    """Why the run must end now; empty when it goes on."""
    state, options = run.state, run.config.training
    stopped_by = run.stopped_by if run.processes.count > 1 else run.processes.signal
    if stopped_by:
        return f"{STOPPED} {signal.Signals(stopped_by).name}"
    if options.steps and state.step >= options.steps:
        return f"{state.step} steps done"
    if options.epochs and state.epoch >= options.epochs:
        return f"{state.epoch} epochs done"
    if state.elapsed + run.reserve >= run.budget:
        return f"the budget of {options.budget} is used up"
    if patience(options) and state.waited >= patience(options):
        return f"no better {options.metric} in {state.waited} validations"
    return ""


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """Context manager; keeps the first signal in ``run.processes``. A second has its usual effect.

    A signal that the process ignores (SIGHUP under ``nohup``) is still ignored. Outside of the main
    thread Python handles no signals, and nothing changes.
    """
    before: dict[int, Any] = {}

    def ask(number: int, _: FrameType | None) -> None:
        run.processes.signal = number
        signal.signal(number, before[number])

    with suppress(ValueError):  # not the main thread
        for number in SIGNALS:
            before[number] = signal.getsignal(number)
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, ask)
    try:
        yield
    finally:
        with suppress(ValueError):
            for number, handler in before.items():
                signal.signal(number, handler)


def validate_and_keep(run: Run) -> None:
    """Score the weights; the best so far go into the model folder."""
    if run.processes.is_main:
        state, options = run.state, run.config.training
        scores, facts = validate(run.model, run.prepared)
        best = state.best_scores if (run.folder / WEIGHTS).exists() else {}
        better = not best or deciding(scores, options.metric) > deciding(best, options.metric)
        if better:
            state.best_step, state.best_scores, state.waited = state.step, scores, 0
            save_weights(run.folder, run.model, run.prepared.source, run.prepared.target)
        else:
            state.waited += 1
            halve_after = patience(options) // 3 or 3
            if options.schedule == "plateau" and state.waited % halve_after == 0:
                state.cuts += 1
        state.validated = state.step
        # Saving and drawing included, and a search with the run's own beam for the confidence.
        state.reserve = (1.5 + 0.5 * run.config.search.beam) * facts["seconds"] + 4.0
        state.elapsed = time.monotonic() - run.began
        run.log("validation", {"best": better, **scores, **facts})
        run.reported = (time.monotonic(), state.tokens)
    run.state = run.processes.from_main(run.state)


def deciding(scores: Mapping[str, float], metric: str) -> list[float]:
    """The scores by which validations are compared, the first one first; more is better.

    chrF decides between equal shares of exact matches: these are 0 for a while.
    """
    if metric == "loss":
        return [-scores["loss"]]
    return [scores[name] for name in (("exact", "chrf") if metric == "exact" else (metric,))]


def _exchange(run: Run) -> None:
    """Give every process the same clock (the latest) and the same signal, if one has come."""
    elapsed, number = run.processes.largest(time.monotonic() - run.began, run.processes.signal)
    run.state.elapsed, run.stopped_by = elapsed, int(number)


def _is_due(every: int | str, run: Run) -> bool:
    """Whether to validate or save after this step: after each ``every`` steps, or, with
    ``every="epoch"``, after the last step of an epoch."""
    return run.state.batch == 0 if every == "epoch" else run.state.step % int(every) == 0


def _read(run: Run, launched: Launched, *, to_the_end: bool) -> None:
    """Read the results of steps, except those that a GPU is still computing.

    Raises:
        TrainingError: :data:`MOST_SKIPPED` steps in a row had no finite gradient.
    """
    state = run.state
    later = 0 if to_the_end else DELAY.get(run.processes.device.type, 0)
    while len(launched) > later:
        rows, result = launched.popleft()
        if result.read(state):
            state.skipped_in_a_row = 0
            continue
        state.skipped_in_a_row += 1
        run.say(f"step {result.number}: the gradient is not finite; step skipped")
        lines = sorted(map(run.prepared.train.line, map(int, rows)))
        run.log("skipped", {"step": result.number, "lines": lines})
        if state.skipped_in_a_row == MOST_SKIPPED:
            cause = f"{MOST_SKIPPED} steps in a row had no finite gradient"
            cure = f"lower --learning-rate, or --precision fp32; {METRICS} has the pairs' lines"
            raise TrainingError(cause, place=f"step {result.number}", cure=cure)


def _report(run: Run, step: StepResult) -> None:
    """Report the steps since the last report, of which ``step`` is the last."""
    state, done, now = run.state, run.done, time.monotonic()
    then, tokens = run.reported
    run.reported = (now, state.tokens)
    encoder, decoder, total = step.norms
    values = {
        "loss": state.window_loss / max(1, state.window_tokens),
        "accuracy": state.window_right / max(1, state.window_tokens),
        "gradient_norm": total,
        "gradient_norm_encoder": encoder,
        "gradient_norm_decoder": decoder,
        "learning_rate": step.rate,
        "tokens": state.tokens,
        "tokens_per_second": round((state.tokens - tokens) / max(1e-9, now - then), 1),
        **run.usage.measure(),
        "done": round(done, 5),
        "remaining": round(state.elapsed * (1 - done) / done, 1) if done else None,
    }
    state.window_loss, state.window_tokens, state.window_right = 0.0, 0, 0
    metric = run.config.training.metric
    run.log("train", values, best=scores_line({metric: state.best_scores.get(metric)}))


def _save(run: Run) -> None:
    if run.processes.is_main:
        save_checkpoint(run.folder, run.model, run.optimizer, run.state, run.config.training.keep)


def _finish(run: Run, reason: str) -> None:
    """Leave a usable model and a checkpoint, however the run ended."""
    stopped, is_main = reason.startswith(STOPPED), run.processes.is_main
    if not stopped and run.state.validated != run.state.step:
        validate_and_keep(run)
    elif is_main and run.state.validated < 0:
        # Not a validation: an uninterrupted run would not have made it.
        save_weights(run.folder, run.model, run.prepared.source, run.prepared.target)
    if not stopped and is_main and run.prepared.held_out:
        try:
            fit_and_save_confidence(run.folder, run.prepared)
        except Exception as error:  # the training is done, it must be saved
            run.say(f"{CONFIDENCE} is not written: {error}")
    run.state.finished = "" if stopped else reason
    _save(run)
