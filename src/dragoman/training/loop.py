"""The training loop: batches in, better weights out."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from dragoman.config.options import Config, seconds
from dragoman.data.batches import Batch, ahead, assemble
from dragoman.data.plans import Rows, plan_epoch
from dragoman.data.prepare import Prepared
from dragoman.layout import WEIGHTS
from dragoman.model.folder import save_weights
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training.checkpoint import save_checkpoint
from dragoman.training.progress import Reporter
from dragoman.training.recovery import MOST_SKIPPED, go_back, note_batch
from dragoman.training.state import TrainingState
from dragoman.training.step import Step, train_step
from dragoman.training.validation import keep_confidence, validate

Value = TypeVar("Value")

LATER = {"cuda": 1}
"""Steps that a kind of device is left to work at before their numbers are read."""


@dataclass(slots=True)
class Run:
    """Everything that the loop works on."""

    folder: Path
    config: Config
    prepared: Prepared
    accelerator: Accelerator
    model: Seq2Seq
    """The bare model; ``learner`` is the same, as Accelerate wraps it."""
    learner: torch.nn.Module
    optimizer: torch.optim.Optimizer
    state: TrainingState
    reporter: Reporter
    began: float
    """When the run would have begun had all its time been in this process (monotonic clock)."""
    interrupted: Callable[[], str]
    """The name of the signal that asks to stop; empty while none has."""
    show: Callable[[], None] = lambda: None
    """Shows the weights at work."""

    @property
    def done(self) -> float:
        """Share of the run that is over, by the limit that is nearest; 0 without a limit."""
        state, options = self.state, self.config.training
        shares = [state.elapsed / max(1e-9, seconds(options.budget) - _reserve(self))]
        if options.steps:
            shares.append(state.step / options.steps)
        if options.epochs:
            shares.append((state.epoch + state.batch / max(1, state.batches)) / options.epochs)
        return min(1.0, max(shares))


def train_loop(run: Run) -> str:
    """Train until an end is reached; returns why it ended.

    Raises:
        TrainingError: the numbers stay non-finite.
    """
    options = run.config.training
    reason, begun = _agreed(run, ended(run)), deque[tuple[Rows, Step]]()
    while not reason:
        for rows, batch in _batches(run):
            if options.show_every and run.state.step % options.show_every == 0:
                run.show()
            step = train_step(run, batch)
            begun.append((rows, step))
            run.state.elapsed = _agreed(run, time.monotonic() - run.began)
            number = run.state.step
            reports = _due(options.report_every, number)
            validates = _due(options.validate_every, number) or _must_learn_its_cost(run)
            saves = _due(options.save_every, number)
            if not _read(run, begun, to_the_end=reports or validates or saves):
                break  # the batches of the checkpoint's position come next
            if reports:
                run.reporter.step(
                    run.state,
                    norms=step.norms,
                    rate=step.rate,
                    done=run.done,
                    reserve=_reserve(run),
                )
                run.state.window_loss, run.state.window_tokens, run.state.window_right = 0.0, 0, 0
            if validates:
                validate_and_keep(run)
            if saves:
                _save(run)
            if reason := _agreed(run, ended(run)):
                reason = reason if _read(run, begun, to_the_end=True) else ""
                break
        else:
            if not _read(run, begun, to_the_end=True):
                continue
            run.state.epoch, run.state.batch = run.state.epoch + 1, 0
            if options.validate_every == "epoch":
                validate_and_keep(run)
            if options.save_every == "epoch":
                _save(run)
            reason = _agreed(run, ended(run))
    _finish(run, reason)
    return reason


def _due(every: int | str, step: int) -> bool:
    """Whether something happens after ``step``; what happens every epoch does so at its end."""
    return not isinstance(every, str) and step % every == 0


def _read(run: Run, begun: deque[tuple[Rows, Step]], *, to_the_end: bool) -> bool:
    """Read what steps gave, but on a GPU not yet what the latest does; False: the run went back."""
    later = 0 if to_the_end else LATER.get(run.accelerator.device.type, 0)
    while len(begun) > later:
        rows, step = begun.popleft()
        if not step.read(run.state) and _skipped(run, rows, step.number):
            begun.clear()
            return False
    return True


def _skipped(run: Run, rows: Rows, number: int) -> bool:
    """Note a step that changed nothing, for its gradient was not finite; True: the run went back.

    Raises:
        TrainingError: this does not end.
    """
    state = run.state
    state.skipped += 1
    state.skipped_in_a_row += 1
    run.reporter.say(f"step {number}: the gradient is not finite; step left out")
    if run.accelerator.is_main_process:
        note_batch(run.folder, number, run.prepared.train, rows)
    if state.skipped_in_a_row < MOST_SKIPPED:
        return False
    run.state = _agreed(run, go_back(run.folder, run.model, run.optimizer, state, number))
    _save(run)  # what the run knows beside its weights: the best so far, how often it went back
    run.reporter.go_on_from(run.state)
    run.reporter.say(f"back to step {run.state.step}, with half the learning rate")
    return True


def validate_and_keep(run: Run) -> None:
    """Score the weights; the best so far go into the model folder."""
    if run.accelerator.is_main_process:
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
            if options.schedule == "plateau" and state.waited % (options.patience // 3 or 3) == 0:
                state.cuts += 1
        state.validated = state.step
        # Saving and drawing included, and a search with the run's own beam for the confidence.
        state.reserve = (1.5 + 0.5 * run.config.search.beam) * result.seconds + 4.0
        state.elapsed = time.monotonic() - run.began
        run.reporter.validation(state, result, better=better)
    run.state = _agreed(run, run.state)


def _must_learn_its_cost(run: Run) -> bool:
    """A run with a time budget validates once early, to know what the last one will take."""
    budget = seconds(run.config.training.budget)
    return run.state.validated < 0 and run.state.elapsed > 0.15 * budget


def _reserve(run: Run) -> float:
    """Seconds that a last validation and save will take; a guess until one was done."""
    budget = seconds(run.config.training.budget)
    return min(run.state.reserve, 0.3 * budget) if math.isfinite(budget) else 0.0


def _batches(run: Run) -> Iterator[tuple[Rows, Batch]]:
    """The epoch's batches; on a GPU, which would wait for them, one ahead and in pinned memory."""
    train = run.prepared.train
    if run.accelerator.device.type == "cuda":
        return ahead((rows, assemble(train, rows).pinned()) for rows in _epoch(run))
    return ((rows, assemble(train, rows)) for rows in _epoch(run))


def _epoch(run: Run) -> Iterator[Rows]:
    """The batches of the current epoch that are still to do, this process's share of them.

    Every process has as many: where they do not go round, the first ones are done twice. If an
    epoch has been cut into other batches since it was left, it goes on at the same share of it.
    """
    train, options = run.prepared.train, run.config.training
    lengths = (train.source_lengths, train.target_lengths)
    plan = plan_epoch(*lengths, options, epoch=run.state.epoch)
    rank, processes = run.accelerator.process_index, run.accelerator.num_processes
    state, batches = run.state, -(-len(plan) // processes)
    if state.batches not in (0, batches):
        state.batch = round(state.batch * batches / state.batches)
    state.batches = batches
    for batch in range(state.batch, batches):
        yield plan[(batch * processes + rank) % len(plan)]


def _agreed(run: Run, value: Value) -> Value:
    """The main process's ``value`` in all processes: what depends on a clock must not differ."""
    if run.accelerator.num_processes == 1:
        return value
    box = [value]
    broadcast_object_list(box)
    return box[0]


def ended(run: Run) -> str:
    """Why the run must end now; empty when it goes on."""
    state, options = run.state, run.config.training
    if signal := run.interrupted():
        return f"stopped by {signal}"
    if options.steps and state.step >= options.steps:
        return f"{state.step} steps done"
    if options.epochs and state.epoch >= options.epochs:
        return f"{state.epoch} epochs done"
    if state.elapsed + _reserve(run) >= seconds(options.budget):
        return f"the budget of {options.budget} is used up"
    if options.patience and state.waited >= options.patience:
        return f"no better {options.metric} in {options.patience} validations"
    return ""


def _save(run: Run) -> None:
    if run.accelerator.is_main_process:
        save_checkpoint(run.folder, run.model, run.optimizer, run.state, run.config.training.keep)


def _finish(run: Run, reason: str) -> None:
    """Leave a usable model and a checkpoint, however the run ended."""
    stopped = reason.startswith("stopped by")
    if not stopped and run.state.validated != run.state.step:
        validate_and_keep(run)
    elif run.accelerator.is_main_process and run.state.validated < 0:
        # Not a validation: it would not be there in a run that was not interrupted.
        save_weights(run.folder, run.model, run.prepared.source, run.prepared.target)
    if not stopped and run.accelerator.is_main_process and run.prepared.held_out:
        keep_confidence(run.folder, run.prepared, run.config)
    run.state.finished = "" if stopped else reason
    _save(run)
