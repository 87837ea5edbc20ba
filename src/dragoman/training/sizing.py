"""How large a batch may be: what memory holds, and what is fastest."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np
import psutil
import torch
from accelerate import Accelerator
from rich.console import Console

from dragoman.config.options import Config
from dragoman.data.batches import assemble
from dragoman.data.plans import longest_batch, plan_batches, plan_epoch
from dragoman.data.prepare import Prepared, Say
from dragoman.errors import OptionError, TrainingError
from dragoman.model.seq2seq import build_model
from dragoman.training.loop import Run
from dragoman.training.machine import keep_freed_memory, peak_memory
from dragoman.training.optimizer import build_optimizer, keep_gradients
from dragoman.training.plan import resolve
from dragoman.training.progress import Reporter
from dragoman.training.recovery import in_parts, is_out_of_memory
from dragoman.training.start import freeze
from dragoman.training.state import TrainingState
from dragoman.training.step import backward, train_step

SMALLEST, LARGEST = 256, 16_384
"""Target tokens of the batches that are measured: doubled from one to the other, ..."""
LEAST_BATCHES = 50
"""... as long as an epoch has so many: with fewer updates, speed teaches nothing."""
ROUND = 4
"""Batches of a size that are measured, spread evenly over the lengths."""
SECONDS, TOGETHER = 0.5, 20.0
"""Least time to measure a size for; no other is begun once all took so long."""
RISE = 1.05
"""A larger batch pays when it gives so many times the tokens a second."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A size that was measured."""

    batch_tokens: int
    tokens_per_second: float
    """Real target tokens."""


def require_memory(prepared: Prepared) -> None:
    """Refuse a model that this machine cannot hold, before it takes all memory.

    Raises:
        OptionError: weights, gradients and the optimizer's two moments need more than there is.
    """
    with torch.device("meta"):
        model = build_model(prepared.config.model, **prepared.sizes)
    needed = 16 * sum(parameter.numel() for parameter in model.parameters())
    there = psutil.virtual_memory().total
    if needed > there:
        raise OptionError(
            f"this model needs {needed / 1e9:,.0f} GB to be trained, the machine has "
            f"{there / 1e9:,.0f} GB",
            place="model",
            cure="lower --model.hidden, or its layers",
        )


def probe_longest(run: Run) -> None:
    """Take the epoch's batch with the most positions forward and backward, and forget it.

    Too little memory shows now and not after an hour, for the price of one step. As much as Adam
    would hold is held meanwhile. Weights, random states and all numbers stay as they are;
    where memory does not hold the batch whole, ``run.state.positions`` says so.

    Raises:
        TrainingError: memory does not hold it: not even a pair of it, or not in this one of
            several processes, which do not learn in parts.
    """
    train, device = run.prepared.train, run.accelerator.device
    lengths = (train.source_lengths, train.target_lengths)
    plan = plan_epoch(*lengths, run.config.training, epoch=run.state.epoch)
    batch = assemble(train, longest_batch(plan, *lengths)).to(device)
    held = [] if run.optimizer.state else [p for p in run.model.parameters() if p.requires_grad]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # The bare model: it speaks to no other process.
        learn = partial(backward, run, run.model, 1 / batch.target_mask.sum())
        try:
            _moments = [torch.ones_like(weight) for weight in held for _ in range(2)]
            if run.accelerator.num_processes > 1:
                learn(batch)
            else:
                in_parts(batch, run.state, learn, run.optimizer.zero_grad, run.reporter.say)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            positions = batch.source.numel() + batch.target_in.numel()
            raise TrainingError(
                f"memory does not hold the longest batch, {positions:,} tokens",
                cure="lower --training.batch-tokens, or the model's sizes",
            ) from error
    run.optimizer.zero_grad(set_to_none=True)


def with_fastest_batch(prepared: Prepared, say: Say) -> Prepared:
    """``training.batch_tokens`` as measured here with the run's own step; takes some seconds.

    Raises:
        OptionError: this machine's memory does not hold the model.
    """
    config = prepared.config
    guess = resolve(_with_batch(config, "auto"), prepared.train)
    run = _trial_run(replace(prepared, config=guess))
    trials: list[Trial] = []

    def noted() -> Iterator[Trial]:
        for trial in measure_sizes(run):
            trials.append(trial)
            yield trial

    found = fastest(noted())
    chosen = found.batch_tokens if found else guess.training.batch_tokens
    rates = ", ".join(f"{t.batch_tokens:,}: {t.tokens_per_second:,.0f}" for t in trials)
    say(f"fastest batch here: {chosen:,} target tokens (tokens/s of {rates or 'none'})")
    return replace(prepared, config=_with_batch(config, chosen))


def fastest(trials: Iterable[Trial]) -> Trial | None:
    """The smallest batch that no larger one outruns clearly (:data:`RISE`).

    No more of ``trials``, their sizes rising, are asked for once two in a row do not pay.
    """
    best, in_vain = None, 0
    for trial in trials:
        if best is None or trial.tokens_per_second >= RISE * best.tokens_per_second:
            best, in_vain = trial, 0
        elif (in_vain := in_vain + 1) == 2:
            break
    return best


def sizes_to_try(tokens: int) -> list[int]:
    """Batch sizes for a corpus of so many target tokens: at least one, rising."""
    most = min(LARGEST, max(SMALLEST, tokens // LEAST_BATCHES))
    doubled = (SMALLEST << power for power in range(most.bit_length()))
    return list(takewhile(lambda size: size <= most, doubled))


def measure_sizes(run: Run) -> Iterator[Trial]:
    """Measure one size after the other, until memory would not hold the next or time is up."""
    train, began = run.prepared.train, time.monotonic()
    with suppress(OSError):  # Linux: else the peak is that of the preparation
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    resting = psutil.Process().memory_info().rss
    for size in sizes_to_try(int((train.target_lengths + 1).sum())):
        if _would_not_fit(run.accelerator.device, resting) or time.monotonic() - began > TOGETHER:
            return
        rate = measure_size(run, size)
        if run.state.positions:  # it was taken in parts
            return
        yield Trial(size, rate)


def measure_size(run: Run, batch_tokens: int) -> float:
    """Real target tokens a second of :func:`train_step`, at its best of some rounds."""
    train, seed = run.prepared.train, run.config.training.seed
    lengths = (train.source_lengths, train.target_lengths)
    plan = plan_batches(*lengths, batch_tokens, seed=seed, epoch=0)
    # The warm-up, which takes the most memory.
    train_step(run, assemble(train, longest_batch(plan, *lengths))).read(run.state)
    plan.sort(key=lambda rows: int(lengths[1][rows].max()))
    middles = np.unique(((np.arange(ROUND) + 0.5) / ROUND * len(plan)).astype(int))
    batches = [assemble(train, plan[at]) for at in middles]
    took: list[float] = []
    while len(took) < 2 or sum(took) < SECONDS:
        start = time.perf_counter()
        for batch in batches:
            step = train_step(run, batch)
        step.read(run.state)  # waits for the device
        took.append(time.perf_counter() - start)
    return sum(batch.target_tokens for batch in batches) / min(took)


def _would_not_fit(device: torch.device, resting: int) -> bool:
    """Whether a batch twice as large could ask for more memory than is free.

    A processor's memory is given out before it is there: a process that takes too much is killed.
    (On a GPU the allocator says no.) ``resting`` are the bytes held before any batch.
    """
    peak = peak_memory(device) if device.type == "cpu" else None
    if peak is None:
        return False
    more = resting + 2 * (peak - resting) - psutil.Process().memory_info().rss
    return bool(more > psutil.virtual_memory().available)


def _with_batch(config: Config, batch_tokens: int | str) -> Config:
    return replace(config, training=replace(config.training, batch_tokens=batch_tokens))  # type: ignore[arg-type]


def _trial_run(prepared: Prepared) -> Run:
    """A run in no folder, to be thrown away."""
    config = prepared.config
    require_memory(prepared)
    keep_freed_memory()
    torch.manual_seed(config.training.seed)
    model = build_model(config.model, **prepared.sizes)
    freeze(model, config, prepared.source, prepared.target)
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    model.to(accelerator.device)
    if accelerator.device.type == "cpu":
        keep_gradients(model)
    reporter = Reporter(Console(quiet=True), None, config.training)
    return Run(
        Path(),
        config,
        prepared,
        accelerator,
        model,
        model,
        build_optimizer(model, config.training),
        TrainingState(),
        reporter,
        time.monotonic(),
        lambda: "",
    )
