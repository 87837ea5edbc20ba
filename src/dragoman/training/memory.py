"""Batches that memory does not hold: found before the first step, or learned from in parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import torch

from dragoman.data.batches import assemble
from dragoman.data.plans import Rows, longest_batch, plan_epoch
from dragoman.data.prepare import Prepared
from dragoman.errors import OptionError
from dragoman.model.build import build_model
from dragoman.training.machine import is_out_of_memory
from dragoman.training.step import backward

if TYPE_CHECKING:
    from dragoman.training.loop import Run


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


def fit_batches(run: Run) -> str:
    """Halve the batches of ``run.config`` until memory holds the epoch's longest one.

    It is taken forward and backward once, with as much memory held as Adam will hold. Weights,
    random states and all numbers stay as they are.

    Returns:
        What to tell the user if the batches were made smaller; else nothing.

    Raises:
        OptionError: memory does not hold the longest pair alone.
    """
    train, asked = run.prepared.train, run.config.training
    lengths = (train.source_lengths, train.target_lengths)
    name = "batch_tokens" if asked.batching == "tokens" else "batch_sentences"
    while True:
        options = run.config.training
        rows = longest_batch(plan_epoch(*lengths, options, epoch=run.state.epoch), *lengths)
        fits = _fits(run, rows)
        if run.processes.largest(0.0 if fits else 1.0) == [0.0]:
            said = f"training.{name} is lowered to {getattr(options, name):,}"
            return f"Memory does not hold the longest batch: {said}." if options != asked else ""
        if len(rows) == 1:
            tokens = int(lengths[0][rows[0]] + lengths[1][rows[0]] + 2)
            raise OptionError(
                f"memory does not hold one pair of {tokens:,} tokens",
                place="training",
                cure="lower source.max_tokens and target.max_tokens, or the model's sizes",
            )
        size = max(1, int(getattr(options, name)) // 2)
        smaller: dict[str, Any] = {name: size}
        run.config = replace(run.config, training=replace(options, **smaller))


def _fits(run: Run, rows: Rows) -> bool:
    """Whether memory holds the forward and backward pass of a batch, and Adam's moments."""
    device = run.processes.device
    held = [] if run.optimizer.state else [p for p in run.model.parameters() if p.requires_grad]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            _moments = [torch.ones_like(weight) for weight in held for _ in range(2)]
            batch = assemble(run.prepared.train, rows).to(device)
            # The bare model: it speaks to no other process.
            backward(run, run.model, 1 / batch.target_mask.sum(), batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            run.optimizer.zero_grad(set_to_none=True)
    return True
