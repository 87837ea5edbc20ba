"""The batches of an epoch: the share of this process, from where the run stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dragoman.data.batches import Batch, ahead, assemble
from dragoman.data.plans import Rows, plan_epoch

if TYPE_CHECKING:
    from dragoman.training.loop import Run


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
    train, state, processes = run.prepared.train, run.state, run.processes
    lengths = (train.source_lengths, train.target_lengths)
    plan = plan_epoch(*lengths, run.config.training, epoch=state.epoch)
    batches = -(-len(plan) // processes.count)
    if state.batches not in (0, batches):
        state.batch = round(state.batch * batches / state.batches)
    state.batches = batches
    for batch in range(state.batch, batches):
        yield plan[(batch * processes.count + processes.rank) % len(plan)]
