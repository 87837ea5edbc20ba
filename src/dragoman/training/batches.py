"""The batches of an epoch, and smaller ones where memory does not hold them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from dragoman.data.batches import Batch, ahead, assemble
from dragoman.data.plans import Rows, longest_batch, plan_epoch
from dragoman.errors import OptionError
from dragoman.training.machine import is_out_of_memory
from dragoman.training.state import Run
from dragoman.training.step import SMALLER_PAIRS, backward


def batches_of_epoch(run: Run) -> Iterator[tuple[Rows, Batch]]:
    """The batches of the current epoch that are still to do, with their rows in the corpus.

    For a GPU, which would wait for them, one is made ahead, in pinned memory.
    """
    train = run.prepared.train
    if run.processes.device.type == "cuda":
        return ahead((rows, assemble(train, rows).pinned()) for rows in _rows(run))
    return ((rows, assemble(train, rows)) for rows in _rows(run))


def _rows(run: Run) -> Iterator[Rows]:
    """The rows of each batch.

    Every process has as many batches: where they do not divide evenly, the first ones are used
    twice. If the size of batches was changed within the epoch, it goes on at the same share of it.
    """
    plan, state, processes = _plan(run), run.state, run.processes
    batches = -(-len(plan) // processes.count)
    if state.batches not in (0, batches):
        state.batch = round(state.batch * batches / state.batches)
    state.batches = batches
    for batch in range(state.batch, batches):
        yield plan[(batch * processes.count + processes.rank) % len(plan)]


def _plan(run: Run) -> list[Rows]:
    train = run.prepared.train
    lengths = (train.source_lengths, train.target_lengths)
    return plan_epoch(*lengths, run.config.training, epoch=run.state.epoch)


def fit_batches(run: Run) -> str:
    """Halve the batches of the run's options until memory holds the epoch's longest one.

    It is taken forward and backward once, with as much memory held as Adam will hold. Weights,
    random states and all numbers stay as they are.

    Returns:
        What to tell the user if the batches were made smaller; else nothing.

    Raises:
        OptionError: memory does not hold the longest pair alone.
    """
    asked, train = run.config.training, run.prepared.train
    name = "batch_tokens" if asked.batching == "tokens" else "batch_sentences"
    size = int(getattr(asked, name))
    while True:
        rows = longest_batch(_plan(run), train.source_lengths, train.target_lengths)
        if run.processes.largest(0.0 if _fits(run, rows) else 1.0) == [0.0]:
            if run.config.training == asked:
                return ""
            return (
                f"Memory does not hold the longest batch: training.{name} is lowered to {size:,}."
            )
        if len(rows) == 1:
            tokens = int(train.source_lengths[rows[0]] + train.target_lengths[rows[0]] + 2)
            cause = f"memory does not hold one pair of {tokens:,} tokens"
            raise OptionError(cause, place="training", cure=SMALLER_PAIRS)
        size = max(1, size // 2)
        smaller: dict[str, Any] = {name: size}
        config = replace(run.config, training=replace(asked, **smaller))
        run.prepared = replace(run.prepared, config=config)


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
