"""One optimizer step, and its numbers, which are read one step later on a GPU.

A GPU works while the program goes on. Asking it for a number means to wait until it has done all
its work, and it then waits for more. So a step asks for nothing: its numbers are copied in the
background, and :meth:`StepResult.read` takes them when they have come. (Optimizers other than Adam
do ask whether the gradient is finite.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dragoman.data.batches import Batch
from dragoman.errors import TrainingError
from dragoman.model.seq2seq import Loss, Objective
from dragoman.training.machine import is_out_of_memory
from dragoman.training.optimizer import clip, update
from dragoman.training.schedules import learning_rate, sampling_share

if TYPE_CHECKING:
    from dragoman.training.loop import Run
    from dragoman.training.state import TrainingState


class StepResult:
    """The numbers of an optimizer step.

    Args:
        number: steps taken before this one.
        rate: the learning rate.
        batch: what this process learned from.
        norms: of the gradients before clipping: ``encoder``, ``decoder``, ``total``.
        loss: sums over the batch.
        tokens: real target tokens of all processes.
    """

    def __init__(
        self,
        number: int,
        rate: float,
        batch: Batch,
        norms: dict[str, Tensor],
        loss: Loss,
        tokens: Tensor,
    ) -> None:
        self.number, self.rate, self.target_tokens = number, rate, batch.target_tokens
        self.norms = dict.fromkeys(norms, math.nan)
        """Known once the result has been read."""
        numbers = (*norms.values(), loss.plain, loss.right, tokens)
        values = torch.stack([number.float() for number in numbers])
        self._copied: torch.cuda.Event | None = None
        if values.device.type == "cuda":
            here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            values = here.copy_(values, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()
        self._values = values

    def read(self, state: TrainingState) -> bool:
        """Wait for the numbers and add them to ``state``; False if the gradient was not finite."""
        if self._copied is not None:
            self._copied.synchronize()
        *norms, plain, right, tokens = self._values.tolist()
        self.norms = dict(zip(self.norms, norms, strict=True))
        state.tokens += round(tokens)
        state.window_loss += plain
        state.window_tokens += self.target_tokens
        state.window_right += round(right)
        return math.isfinite(self.norms["total"])


def train_step(run: Run, batch: Batch) -> StepResult:
    """Launch one optimizer step.

    The loss is summed over tokens and divided once, by the tokens of all processes. Their gradients
    are averaged on the way back, so that each process multiplies by the number of processes.

    Raises:
        TrainingError: memory does not hold one pair of the batch.
    """
    state, options, processes = run.state, run.config.training, run.processes
    rate = learning_rate(options, step=state.step, done=run.done, cuts=state.cuts)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    processes.seed_step(options.seed, state.step)
    batch = batch.to(processes.device)
    tokens = processes.sum(batch.target_mask.sum())
    scale = processes.count / tokens
    if processes.count == 1:
        loss = _in_parts(run, batch, scale)
    else:  # the other processes do not know of parts
        loss = backward(run, run.learner, scale, batch)
    norms = clip(run.model, options)
    update(run.optimizer, norms["total"])
    run.optimizer.zero_grad(set_to_none=True)
    result = StepResult(state.step, rate, batch, norms, loss, tokens)
    state.step += 1
    state.batch += 1
    return result


def _in_parts(run: Run, batch: Batch, scale: Tensor) -> Loss:
    """Forward and backward of a whole batch, or of as many parts as memory asks for.

    ``state.positions``, the most positions that memory held, is halved at each failure.

    Raises:
        TrainingError: memory does not hold one pair.
    """
    state, pairs = run.state, len(batch.source)
    positions = batch.source.numel() + batch.target_in.numel()
    while True:
        parts = min(pairs, -(-positions // state.positions) if state.positions else 1)
        try:
            losses = [backward(run, run.learner, scale, part) for part in batch.split(parts)]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            run.optimizer.zero_grad(set_to_none=True)
            if parts >= pairs:
                raise TrainingError(
                    f"memory does not hold one pair of {positions // pairs:,} tokens",
                    place=f"step {state.step}",
                    cure="lower source.max_tokens and target.max_tokens, or the model's sizes",
                ) from error
        else:
            return losses[0] if parts == 1 else Loss(*map(_total, zip(*losses, strict=True)))
        state.positions = max(1, positions // (2 * parts))
        run.reporter.say(
            f"step {state.step}: out of memory; batches are learned from in parts of "
            f"{state.positions:,} tokens from here on"
        )


def _total(numbers: tuple[Tensor, ...]) -> Tensor:
    return torch.stack(numbers).sum()


def backward(run: Run, model: torch.nn.Module, scale: Tensor, batch: Batch) -> Loss:
    """Forward and backward pass: adds the gradients of the summed loss times ``scale``."""
    low = run.config.training.precision == "bf16"
    with torch.autocast(run.processes.device.type, torch.bfloat16, enabled=low):
        loss: Loss = model(batch, objective(run)._replace(scale=scale))
    loss.total.backward()
    return Loss(*(number.detach() for number in loss))  # frees the graph


def objective(run: Run) -> Objective:
    """What the next step minimises."""
    options = run.config.training
    return Objective(
        smoothing=options.label_smoothing,
        samples=options.samples if options.objective == "sampled" else 0,
        ranks=run.ranks,
        feeding=options.scheduled_sampling,
        share=sampling_share(options, done=run.done),
    )
