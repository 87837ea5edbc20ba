"""How large a batch may be: what memory holds, and what is fastest."""

from __future__ import annotations

from functools import partial

import torch

from dragoman.data.batches import assemble
from dragoman.data.plans import longest_batch, plan_epoch
from dragoman.errors import TrainingError
from dragoman.training.loop import Run, backward
from dragoman.training.recovery import in_parts, is_out_of_memory


def probe_longest(run: Run) -> None:
    """Take the epoch's batch with the most positions forward and backward, and forget it.

    Too little memory shows now and not after an hour, for the price of one step. What the
    optimizer will hold is held meanwhile. Weights, random states and all numbers stay as they are;
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
