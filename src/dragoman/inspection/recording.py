"""The forward pass, listened to: what a model's parts give while it runs.

    B batch   S source   T target   E embedding   H hidden   K rows of state
    V vocabulary, with the words of their own that sources add when they can be copied

Nothing is computed a second time: for the time of a block the parts' own methods are wrapped, and
what they return is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.batches import Batch
from dragoman.model.decoder import Memory
from dragoman.model.recurrence import Recurrent
from dragoman.model.seq2seq import Objective, Seq2Seq


class RecordedValue(NamedTuple):
    """One intermediate value of a batch."""

    axes: str
    """A letter for each axis, as in the legend above: ``"B S H"``."""
    array: npt.NDArray[Any]

    def summary(self) -> dict[str, Any]:
        """Axes and shape; range and Euclidean norm of what is more than ids, masks and sums."""
        facts: dict[str, Any] = {"axes": self.axes, "shape": list(self.array.shape)}
        if self.array.dtype.kind == "f" and self.axes:
            facts |= {"low": self.array.min(), "high": self.array.max()}
            facts["norm"] = np.linalg.norm(self.array)
        return facts


Found = dict[str, tuple[str, Tensor]]
"""Axes and tensor by name, in the order in which they come into being."""


@contextmanager
def recorded(**parts: Callable[..., Any]) -> Iterator[dict[str, list[tuple[Any, Any]]]]:
    """Keep arguments and result of every call of some bound methods, by the names given here."""
    seen: dict[str, list[tuple[Any, Any]]] = {name: [] for name in parts}

    def keeping(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            result = method(*given, **named)
            seen[name].append((given, result))
            return result

        return call

    hidden = [(method.__self__, method.__name__) for method in parts.values()]  # type: ignore[attr-defined]
    for (owner, attribute), (name, method) in zip(hidden, parts.items(), strict=True):
        setattr(owner, attribute, keeping(name, method))  # hides the class's own
    try:
        yield seen
    finally:
        for owner, attribute in hidden:
            delattr(owner, attribute)


@torch.inference_mode()
def record(model: Seq2Seq, batch: Batch, *, smoothing: float = 0.0) -> dict[str, RecordedValue]:
    """Send a batch with known targets through ``model``, without dropout: its values by name.

    The source's way up to the decoder's first state; the target's, step by step as search goes
    it; the loss of every position from the target unrolled, as in training. "batch loss" is the
    mean negative log-likelihood of the real target tokens, in nats; "minimised" the same with
    label smoothing. The model is left in the mode that it was in.
    """
    training = model.training
    model.eval()
    try:
        batch = batch.to(next(model.parameters()).device)
        memory, found = _encoding(model, batch)
        found |= _decoding(model, batch, memory) | _losses(model, batch, memory, smoothing)
    finally:
        model.train(training)
    return {
        name: RecordedValue(axes, tensor.cpu().numpy()) for name, (axes, tensor) in found.items()
    }


def _encoding(model: Seq2Seq, batch: Batch) -> tuple[Memory, Found]:
    layers = [part for part in model.encoder.modules() if isinstance(part, Recurrent)]
    scans = {f"encoder layer {n}": layer.scan for n, layer in enumerate(layers, 1)}
    embed, encode = model.encoder.embedding.forward, model.encoder.forward
    with recorded(embedding=embed, encoder=encode, **scans) as seen:
        memory = model.encode(batch.source, batch.source_mask, batch.copies)
    found: Found = {
        "source ids": ("B S", batch.source),
        "source mask": ("B S", batch.source_mask),
        "source embeddings": ("B S E", seen["embedding"][0][1]),
    }
    for name, layer in zip(scans, layers, strict=True):
        states, _ = seen[name][0][1]
        ways = states.chunk(layer.directions, -1)
        for way, one in zip(("forward", "backward"), ways, strict=False):
            found[f"{name} {way}"] = ("B S H", one)
    if model.copying is not None:
        found["copies"] = ("B S", batch.copies)
    _, final = seen["encoder"][0][1]
    found["encoder states"] = ("B S H", memory.states)
    return memory, found | {"encoder final": ("B K H", final), "bridge": ("B K H", memory.start)}


def _decoding(model: Seq2Seq, batch: Batch, memory: Memory) -> Found:
    decoder, attention = model.decoder, model.decoder.attention
    parts: dict[str, Callable[..., Any]] = {"embedding": decoder.embedding.forward}
    if attention is not None:
        parts |= {"energies": attention.energies, "attention": attention.forward}
    state, states, features = memory.start.unsqueeze(1), [], []
    reads = batch.target_in if model.copying is None else model.copying.readable(batch.target_in)
    with recorded(**parts) as seen:
        for token in reads.split(1, 1):
            feature, state, _ = decoder.step(token, state, memory)
            features.append(feature)
            states.append(state)
    results = {name: [result for _, result in calls] for name, calls in seen.items()}
    found = {
        "target input ids": ("B T", batch.target_in),
        "target embeddings": ("B T E", torch.cat(results["embedding"], 1)),
        "decoder states": ("B T K H", torch.cat(states, 1)),
    }
    if attention is not None:
        contexts, weights = zip(*results["attention"], strict=True)
        found["energies"] = ("B T S", torch.cat(results["energies"], 1))
        found["weights"] = ("B T S", torch.cat(weights, 1))
        found["context"] = ("B T H", torch.cat(contexts, 1))
    last = "features" if attention is None else "attentional vector"
    return found | {last: ("B T H", torch.cat(features, 1))}


def _losses(model: Seq2Seq, batch: Batch, memory: Memory, smoothing: float) -> Found:
    gates = {} if model.copying is None else {"gate": model.copying.gate.forward}
    with recorded(**gates) as seen:
        log_probs = model.scores(*model.unroll(batch.target_in, memory), memory.copies)  # [B, T, V]
    generated = {n: ("B T", calls[0][1].squeeze(-1).sigmoid()) for n, calls in seen.items()}
    loss = -log_probs.gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)
    sums = model(batch, Objective(smoothing))
    return {
        **{f"copying {name}": value for name, value in generated.items()},
        "log-probabilities": ("B T V", log_probs),
        "target ids": ("B T", batch.target_out),
        "target mask": ("B T", batch.target_mask),
        "loss": ("B T", loss),
        "masked loss": ("B T", loss * batch.target_mask),
        "batch loss": ("", sums.plain / sums.tokens),
        "minimised": ("", sums.total / sums.tokens),
    }
