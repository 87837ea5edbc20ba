"""The batches of an epoch, and one optimizer step on each; its numbers are read later on a GPU.

A GPU computes while the program goes on. Reading a number from it blocks the program until all its
work is done, and the GPU is then idle. So a step reads nothing: its numbers are copied in the
background, and :meth:`StepResult.read` takes them later. (With optimizers other than Adam, a step
does read whether the gradient is finite.)
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from dragoman.data.batches import Batch, ahead, assemble
from dragoman.data.plans import Rows, plan_epoch
from dragoman.errors import TrainingError
from dragoman.model.output import Objective
from dragoman.model.seq2seq import Loss
from dragoman.training.machine import is_out_of_memory
from dragoman.training.optimizer import clip, learning_rate, sampling_share, update
from dragoman.training.state import Run, TrainingState


class StepResult:
    """The numbers of an optimizer step.

    Args:
        number: steps taken before this one.
        rate: the learning rate.
        target_tokens: real target tokens of this process's batch.
        values: scalars on the device: the gradients' norms before clipping (of the encoder, the
            decoder and all), the sums of the batch's loss and of its right tokens, and the real
            target tokens of all processes.
    """

    def __init__(self, number: int, rate: float, target_tokens: int, values: list[Tensor]) -> None:
        self.number, self.rate, self._target_tokens = number, rate, target_tokens
        self.norms: list[float] = []
        """Gradient norms of encoder, decoder and all; empty until the result is read."""
        self._values, self._copied = torch.stack([value.float() for value in values]), None
        if self._values.device.type == "cuda":
            here = torch.empty(self._values.shape, pin_memory=True)
            self._values = here.copy_(self._values, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def read(self, state: TrainingState) -> bool:
        """Wait for the numbers and add them to ``state``; False if the gradient was not finite."""
        if self._copied is not None:
            self._copied.synchronize()
        *self.norms, plain, right, tokens = self._values.tolist()
        state.tokens += round(tokens)
        state.window_loss += plain
        state.window_tokens += self._target_tokens
        state.window_right += round(right)
        return math.isfinite(self.norms[-1])


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
    loss = _learn(run, batch, processes.count / tokens)
    norms = clip(run.model, options)
    update(run.optimizer, norms["total"])
    run.optimizer.zero_grad(set_to_none=True)
    values = [*norms.values(), loss.plain, loss.right, tokens]
    result = StepResult(state.step, rate, batch.target_tokens, values)
    state.step += 1
    state.batch += 1
    if state.batch >= state.batches:  # the epoch is over
        state.epoch, state.batch = state.epoch + 1, 0
    return result


def _learn(run: Run, batch: Batch, scale: Tensor) -> Loss:
    """Forward and backward pass of a whole batch, or of parts of it if memory does not hold it.

    ``state.positions``, the most positions that memory held, is halved at each failure. Where
    several processes train, the others do not know of parts: the batch stays whole.

    Raises:
        TrainingError: memory does not hold one pair, or in several processes a batch.
    """
    state, alone = run.state, run.processes.count == 1
    positions = batch.source.numel() + batch.target_in.numel()
    most = len(batch.source) if alone else 1
    while True:
        parts = min(most, -(-positions // state.positions)) if state.positions else 1
        try:
            losses = [_backward(run, scale, part) for part in batch.split(parts)]
            return Loss(*(torch.stack(numbers).sum() for numbers in zip(*losses, strict=True)))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if parts == most:
                cause = f"memory does not hold a batch of {positions // parts:,} tokens"
                cure = "lower training.batch_tokens, source.max_tokens or the model's sizes"
                raise TrainingError(cause, place=f"step {state.step}", cure=cure) from error
        run.optimizer.zero_grad(set_to_none=True)
        size = state.positions = max(1, positions // (2 * parts))
        note = f"out of memory; batches are learned from in parts of {size:,} tokens from here on"
        run.say(f"step {state.step}: {note}")


def _backward(run: Run, scale: Tensor, batch: Batch) -> Loss:
    """Forward and backward pass: adds the gradients of the summed loss times ``scale``."""
    options = run.config.training
    objective = Objective(
        scale=scale,
        smoothing=options.label_smoothing,
        samples=options.samples if options.objective == "sampled" else 0,
        ranks=run.ranks,
        feeding=options.scheduled_sampling,
        share=sampling_share(options, done=run.done),
    )
    low = options.precision == "bf16"
    with torch.autocast(run.processes.device.type, torch.bfloat16, enabled=low):
        loss: Loss = run.learner(batch, objective)
    loss.total.backward()
    return Loss(*(number.detach() for number in loss))  # frees the graph


def batches_of_epoch(run: Run) -> Iterator[tuple[Rows, Batch]]:
    """The batches of the current epoch that are still to do, with their rows in the corpus.

    Every process has as many batches: where they do not divide evenly, the first ones are used
    twice. If the size of batches was changed within the epoch, it goes on at the same share of it.
    For a GPU one batch is made ahead, in pinned memory, which a GPU copies in the background.
    """
    state, processes, train = run.state, run.processes, run.prepared.train
    if 0 < state.batches <= state.batch:  # earlier versions saved the end of an epoch so
        state.epoch, state.batch = state.epoch + 1, 0
    options, epoch = run.config.training, state.epoch
    sides, count = (train.source_lengths, train.target_lengths), processes.count
    plan = plan_epoch(train.groups, *sides, options=options, epoch=epoch, processes=count)
    batches = -(-len(plan) // count)
    if state.batches not in (0, batches):
        state.batch = round(state.batch * batches / state.batches)
    state.batches = batches
    # Places in the plan of this process's batches; at least the last one is still to do.
    places = range(processes.rank, batches * count, count)
    chosen = (plan[place % len(plan)] for place in places[min(state.batch, batches - 1) :])
    made = ((rows, assemble(map(train.pair, rows))) for rows in chosen)
    if processes.device.type == "cuda":
        return ahead((rows, batch.map(Tensor.pin_memory)) for rows, batch in made)
    return made
