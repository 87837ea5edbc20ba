"""One update of the weights, launched; and what it gave, read when that costs no waiting.

A GPU works through what it was given while the program goes on. To ask it for a number is to wait
until it has done everything, and then to let it wait for the next work: so nothing here asks. Its
numbers come with :meth:`Step.read`, which the loop calls one step later. (Optimizers other than
Adam ask whether the gradient is finite, and several processes agree on the time at every step.)
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dragoman.data.batches import Batch
from dragoman.model.seq2seq import Loss, Objective
from dragoman.training.optimizer import clip, update
from dragoman.training.recovery import in_parts
from dragoman.training.schedules import learning_rate, sampling_share

if TYPE_CHECKING:
    from dragoman.training.loop import Run
    from dragoman.training.state import TrainingState


class Step:
    """What an update gave.

    Args:
        number: the step.
        rate: the learning rate.
        batch: what was learned from, by this process.
        norms: of the gradients before clipping.
        sums: what the model said of the batch.
        tokens: real target tokens of all processes.
    """

    def __init__(
        self,
        number: int,
        rate: float,
        batch: Batch,
        norms: dict[str, Tensor],
        sums: Loss,
        tokens: Tensor,
    ) -> None:
        self.number, self.rate, self.target_tokens = number, rate, batch.target_tokens
        self.names = list(norms)
        self.norms: dict[str, float] = {}
        """Known when the step has been read."""
        numbers = (*norms.values(), sums.plain, sums.right, tokens)
        values = torch.stack([number.float() for number in numbers])
        self._come: torch.cuda.Event | None = None
        if values.device.type == "cuda":
            here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            values = here.copy_(values, non_blocking=True)
            self._come = torch.cuda.Event()
            self._come.record()
        self._values = values

    def read(self, state: TrainingState) -> bool:
        """Wait for the numbers and count them in; False when the gradient was not finite."""
        if self._come is not None:
            self._come.synchronize()
        *norms, plain, right, tokens = self._values.tolist()
        self.norms = dict(zip(self.names, norms, strict=True))
        state.tokens += round(tokens)
        state.window_loss += plain
        state.window_tokens += self.target_tokens
        state.window_right += round(right)
        finite = math.isfinite(self.norms["total"])
        if finite:
            state.skipped_in_a_row = 0
        return finite


def train_step(run: Run, batch: Batch) -> Step:
    """Launch one update."""
    state, options, accelerator = run.state, run.config.training, run.accelerator
    rate = learning_rate(options, step=state.step, done=run.done, cuts=state.cuts)
    rate *= 0.5**state.returns
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    batch = batch.to(accelerator.device)
    # Summed over tokens and divided once, by the tokens of all processes; as their gradients are
    # averaged on the way back, each counts as many times as there are processes.
    processes = accelerator.num_processes
    tokens = batch.target_mask.sum()
    everywhere = accelerator.reduce(tokens) if processes > 1 else tokens
    learn = partial(backward, run, run.learner, processes / everywhere)
    if processes == 1:
        sums = in_parts(batch, state, learn, run.optimizer.zero_grad, run.reporter.say)
    else:  # parts would have to be agreed on
        sums = learn(batch)
    norms = clip(run.model, options)
    update(run.optimizer, norms["total"])
    run.optimizer.zero_grad(set_to_none=True)
    step = Step(state.step, rate, batch, norms, sums, everywhere)
    state.step += 1
    state.batch += 1
    return step


def backward(run: Run, model: torch.nn.Module, scale: Tensor, part: Batch) -> Loss:
    """Forward and backward: adds the gradients of the summed loss times ``scale``."""
    low = run.config.training.precision == "bf16"
    with torch.autocast(run.accelerator.device.type, torch.bfloat16, enabled=low):
        loss: Loss = model(part, objective(run)._replace(scale=scale))
    run.accelerator.backward(loss.total)
    return Loss(*(number.detach() for number in loss))  # lets go of all that led there


def objective(run: Run) -> Objective:
    """What the next step minimises."""
    options = run.config.training
    return Objective(
        smoothing=options.label_smoothing,
        samples=options.samples if options.objective == "sampled" else 0,
        feeding=options.scheduled_sampling,
        share=sampling_share(options, done=run.done),
    )
