"""The training loop: batches in, better weights out."""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch

from dragoman.config.options import Config, seconds
from dragoman.data.plans import Rows
from dragoman.data.prepare import Prepared
from dragoman.errors import TrainingError
from dragoman.layout import CONFIDENCE, WEIGHTS
from dragoman.model.folder import save_weights
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training.checkpoint import save_checkpoint
from dragoman.training.distributed import Processes
from dragoman.training.epoch import batches_of_epoch
from dragoman.training.observer import Skipped, StepShown
from dragoman.training.plan import patience
from dragoman.training.reporter import Reporter
from dragoman.training.state import TrainingState
from dragoman.training.step import StepResult, train_step
from dragoman.training.stop import StopRequest
from dragoman.training.validation import fit_and_save_confidence, validate

DELAY = {"cuda": 1}
"""Steps that a kind of device still works at while the results before them are read."""
MOST_SKIPPED = 20
"""Steps in a row without a finite gradient after which a run ends."""
EXCHANGE_EVERY = 8
"""Steps between two exchanges of clocks and signals, where several processes train together."""


@dataclass(slots=True)
class Run:
    """Everything that the loop works on."""

    folder: Path
    config: Config
    prepared: Prepared
    processes: Processes
    model: Seq2Seq
    learner: torch.nn.Module
    """The model, wrapped so that several processes exchange gradients."""
    optimizer: torch.optim.Optimizer
    state: TrainingState
    reporter: Reporter
    began: float
    """When the run would have begun if one process had done it all; monotonic clock, seconds."""
    stop: StopRequest
    ranks: torch.Tensor | None = None
    """Ranks of the target's words by frequency, [V], for the sampled softmax."""
    stopped_by: int = 0
    """The signal that all processes have heard of; 0 while there was none."""

    @property
    def done(self) -> float:
        """Share of the run that is over, by the limit that is nearest; 0 without a limit."""
        state, options = self.state, self.config.training
        shares = [state.elapsed / max(1e-9, seconds(options.budget) - self.reserve)]
        if options.steps:
            shares.append(state.step / options.steps)
        if options.epochs:
            shares.append((state.epoch + state.batch / max(1, state.batches)) / options.epochs)
        return min(1.0, max(shares))

    @property
    def reserve(self) -> float:
        """Seconds of a time budget that are kept for the last validation and save."""
        budget = seconds(self.config.training.budget)
        return min(self.state.reserve, 0.3 * budget) if math.isfinite(budget) else 0.0


def train_loop(run: Run) -> str:
    """Train until an end is reached; returns why it ended.

    Raises:
        TrainingError: gradients stay non-finite, or memory does not hold one pair.
    """
    options = run.config.training
    launched: deque[tuple[Rows, StepResult]] = deque()
    _exchange(run)
    reason = ended(run)
    while not reason:
        for rows, batch in batches_of_epoch(run):
            if options.show_every and run.state.step % options.show_every == 0:
                run.reporter.notify(StepShown(run.model, run.prepared))
            result = train_step(run, batch)
            launched.append((rows, result))
            if run.processes.count == 1 or run.state.step % EXCHANGE_EVERY == 0:
                _exchange(run)
            reports = _is_due(options.report_every, run)
            validates = _is_due(options.validate_every, run) or _must_learn_its_cost(run)
            saves = _is_due(options.save_every, run)
            _read(run, launched, to_the_end=reports or validates or saves)
            if reports:
                run.reporter.reported(run.state, result, run.done)
            if validates:
                validate_and_keep(run)
            if saves:
                _save(run)
            if reason := ended(run):
                break
        else:
            _read(run, launched, to_the_end=True)
            run.state.epoch, run.state.batch = run.state.epoch + 1, 0
            if options.validate_every == "epoch":
                validate_and_keep(run)
            if options.save_every == "epoch":
                _save(run)
            reason = ended(run)
    _read(run, launched, to_the_end=True)
    _finish(run, reason)
    return reason


def ended(run: Run) -> str:
    """Why the run must end now; empty when it goes on."""
    state, options = run.state, run.config.training
    stopped_by = run.stopped_by if run.processes.count > 1 else run.stop.number
    if stopped_by:
        return f"stopped by {signal.Signals(stopped_by).name}"
    if options.steps and state.step >= options.steps:
        return f"{state.step} steps done"
    if options.epochs and state.epoch >= options.epochs:
        return f"{state.epoch} epochs done"
    if state.elapsed + run.reserve >= seconds(options.budget):
        return f"the budget of {options.budget} is used up"
    if patience(options) and state.waited >= patience(options):
        return f"no better {options.metric} in {state.waited} validations"
    return ""


def validate_and_keep(run: Run) -> None:
    """Score the weights; the best so far go into the model folder."""
    if run.processes.is_main:
        state, options = run.state, run.config.training
        result = validate(run.model, run.prepared, run.config)
        value = result.metric(options.metric)
        better = value > state.best or not (run.folder / WEIGHTS).exists()
        if better:
            state.best, state.best_step, state.waited = value, state.step, 0
            state.best_scores = result.scores
            save_weights(run.folder, run.model, run.prepared.source, run.prepared.target)
        else:
            state.waited += 1
            halve_after = patience(options) // 3 or 3
            if options.schedule == "plateau" and state.waited % halve_after == 0:
                state.cuts += 1
        state.validated = state.step
        # Saving and drawing included, and a search with the run's own beam for the confidence.
        state.reserve = (1.5 + 0.5 * run.config.search.beam) * result.seconds + 4.0
        state.elapsed = time.monotonic() - run.began
        run.reporter.validated(state, result, better=better)
    run.state = run.processes.from_main(run.state)


def _exchange(run: Run) -> None:
    """Take the time and look for signals; every process then knows the same."""
    elapsed, number = run.processes.largest(time.monotonic() - run.began, run.stop.number)
    run.state.elapsed, run.stopped_by = elapsed, int(number)


def _is_due(every: int | str, run: Run) -> bool:
    """Whether something happens after this step; what happens every epoch does so at its end."""
    return not isinstance(every, str) and run.state.step % every == 0


def _must_learn_its_cost(run: Run) -> bool:
    """A run with a time budget validates once early, to know what the last validation will take."""
    budget = seconds(run.config.training.budget)
    return run.state.validated < 0 and run.state.elapsed > 0.15 * budget


def _read(run: Run, launched: deque[tuple[Rows, StepResult]], *, to_the_end: bool) -> None:
    """Read the results of steps, but on a GPU not yet of those that it still works at.

    Raises:
        TrainingError: too many steps in a row had no finite gradient.
    """
    state = run.state
    later = 0 if to_the_end else DELAY.get(run.processes.device.type, 0)
    while len(launched) > later:
        rows, result = launched.popleft()
        if result.read(state):
            state.skipped_in_a_row = 0
            continue
        state.skipped += 1
        state.skipped_in_a_row += 1
        run.reporter.say(f"step {result.number}: the gradient is not finite; step skipped")
        run.reporter.notify(Skipped(result.number, rows))
        if state.skipped_in_a_row == MOST_SKIPPED:
            raise TrainingError(
                f"{MOST_SKIPPED} steps in a row had no finite gradient",
                place=f"step {result.number}",
                cure="go on from the last checkpoint with a lower --training.learning-rate or "
                "--training.precision fp32; skipped/ has the pairs of these steps",
            )


def _save(run: Run) -> None:
    if run.processes.is_main:
        save_checkpoint(run.folder, run.model, run.optimizer, run.state, run.config.training.keep)


def _finish(run: Run, reason: str) -> None:
    """Leave a usable model and a checkpoint, however the run ended."""
    stopped, is_main = reason.startswith("stopped by"), run.processes.is_main
    if not stopped and run.state.validated != run.state.step:
        validate_and_keep(run)
    elif is_main and run.state.validated < 0:
        # Not a validation: an uninterrupted run would not have made it.
        save_weights(run.folder, run.model, run.prepared.source, run.prepared.target)
    if not stopped and is_main and run.prepared.held_out:
        try:
            fit_and_save_confidence(run.folder, run.prepared, run.config)
        except Exception as error:  # the training is done, it must be saved
            run.reporter.say(f"{CONFIDENCE} is not written: {error}")
    run.state.finished = "" if stopped else reason
    _save(run)
