"""Records the intermediate values of a forward pass.

    B batch   S source   T target   E embedding   H hidden   K rows of state
    V vocabulary, with the words of their own that sources add when they can be copied

Modules report their values to a function that they are given
(:data:`dragoman.model.protocols.Record`), so that a new module needs no change here.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.batches import Batch
from dragoman.model.output import Objective, SparseOutput
from dragoman.model.seq2seq import Seq2Seq


class RecordedValue(NamedTuple):
    """One intermediate value of a batch."""

    axes: str
    """A letter for each axis, as in the legend above: ``"B S H"``."""
    array: npt.NDArray[Any]

    def summary(self, *, arrays: bool = False) -> dict[str, Any]:
        """Axes and shape; of tensors of real numbers also their range and Euclidean norm.

        With ``arrays`` the numbers too, unless they are over the vocabulary.
        """
        facts: dict[str, Any] = {"axes": self.axes, "shape": list(self.array.shape)}
        if self.array.dtype.kind == "f" and self.axes:
            facts |= {"low": self.array.min(), "high": self.array.max()}
            facts["norm"] = np.linalg.norm(self.array)
        return facts | ({"values": self.array} if arrays and "V" not in self.axes else {})


@torch.inference_mode()
def record(model: Seq2Seq, batch: Batch) -> dict[str, RecordedValue]:
    """Run ``model`` on a batch with known targets, without dropout; returns its values by name.

    The source is encoded; the target is read step by step, as in search; the loss of every position
    comes from the target unrolled, as in training. "batch loss" is the mean loss of the real
    target tokens: negative log-likelihood in nats, or the entmax loss of an entmax output. The
    model is left in the mode that it was in.
    """
    training = model.training
    model.eval()
    found: dict[str, RecordedValue] = {}
    steps: dict[str, tuple[str, list[Tensor]]] = {}  # axes, and a tensor of each step

    def keep(name: str, axes: str, value: Tensor) -> None:
        found[name] = RecordedValue(axes, value.cpu().numpy())

    def keep_step(name: str, letters: str, value: Tensor) -> None:
        """Give a value of one step an axis T, where it has hypotheses N or queries Q."""
        axes = letters.replace("Q", "T").replace("N", "B T")
        steps.setdefault(name, (axes, []))[1].append(value if "Q" in letters else value[:, None])

    try:
        batch = batch.to(next(model.parameters()).device)
        keep("source ids", "B S", batch.source)
        keep("source mask", "B S", batch.source_mask)
        if model.copying is not None:
            keep("copies", "B S", batch.copies)
        read = batch.source, batch.source_mask, batch.copies, batch.lengths
        memory, start = model.encode(*read, record=keep)
        keep("target input ids", "B T", batch.target_in)
        step, state = model.decoder.stepper(memory, record=keep_step), start
        for token in batch.target_in.unbind(1):
            _, state, _ = step(token, state)
        for name, (axes, values) in steps.items():
            keep(name, axes, torch.cat(values, 1))
        unrolled = model.decoder.unroll(batch.target_in, start, memory)
        log_probs = model.scores(*unrolled, batch.copies, record=keep)  # [B, T, V]
        loss = -log_probs.gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)
        if isinstance(model.output, SparseOutput):
            for at in np.ndindex(loss.shape):
                x, answer = unrolled[0][at][None], batch.target_out[at][None]
                loss[at] = model.output.loss(x, answer, Objective(), None)[1]
        keep("log-probabilities", "B T V", log_probs)
        keep("target ids", "B T", batch.target_out)
        keep("target mask", "B T", batch.target_mask)
        keep("loss", "B T", loss)
        keep("masked loss", "B T", loss * batch.target_mask)
        sums = model(batch, Objective())
        keep("batch loss", "", sums.plain / sums.tokens)
    finally:
        model.train(training)
    return found
