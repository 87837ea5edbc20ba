"""The forward pass, listened to: what a model's parts give while it runs.

    B batch   S source   T target   E embedding   H hidden   V vocabulary   K rows of state

Nothing is computed a second time: for the time of a block the parts' own methods are wrapped, and
what they return is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman.data.batches import Batch
from dragoman.model.decoder import Memory
from dragoman.model.recurrence import Recurrent
from dragoman.model.seq2seq import Objective, Seq2Seq


@dataclass(frozen=True, slots=True)
class Value:
    """One intermediate value of a batch."""

    name: str
    axes: str
    """A letter for each axis, as in the legend above: ``"B S H"``."""
    array: npt.NDArray[Any]

    def summary(self) -> dict[str, Any]:
        """Name, axes and shape; range and Euclidean norm where it is a tensor of numbers."""
        facts = {"name": self.name, "axes": self.axes, "shape": list(self.array.shape)}
        if self.array.dtype.kind != "f":
            return facts
        low, high, norm = self.array.min(), self.array.max(), np.linalg.norm(self.array)
        return facts | {"low": float(low), "high": float(high), "norm": float(norm)}


class Recording(NamedTuple):
    """A batch on its way through a model."""

    values: tuple[Value, ...]
    """In the order of the way."""
    loss: float
    """Mean negative log-likelihood of the real target tokens, in nats."""
    minimised: float
    """The mean that training minimises: the same with label smoothing."""


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

    owners = [(method.__self__, method.__name__) for method in parts.values()]  # type: ignore[attr-defined]
    for (owner, attribute), (name, method) in zip(owners, parts.items(), strict=True):
        setattr(owner, attribute, keeping(name, method))  # hides the class's own
    try:
        yield seen
    finally:
        for owner, attribute in owners:
            delattr(owner, attribute)


@torch.inference_mode()
def record(model: Seq2Seq, batch: Batch, *, smoothing: float = 0.0) -> Recording:
    """Send a batch with known targets through ``model``, without dropout.

    The model is left in the mode that it was in.
    """
    training = model.training
    model.eval()
    try:
        batch = batch.to(next(model.parameters()).device)
        values, memory = _encoding(model, batch)
        values += _decoding(model, batch, memory)
        log_probs = model.output(model.decoder.unroll(batch.target_in, memory))  # as in training
        loss = -log_probs.gather(-1, batch.target_out.unsqueeze(-1)).squeeze(-1)  # [B, T]
        sums = model(
            batch.source, batch.source_mask, batch.target_in, batch.target_out, batch.target_mask,
            Objective(smoothing),
        )  # fmt: skip
    finally:
        model.train(training)
    values += [
        _value("log-probabilities", "B T V", log_probs),
        _value("target ids", "B T", batch.target_out),
        _value("target mask", "B T", batch.target_mask),
        _value("loss", "B T", loss),
        _value("masked loss", "B T", loss * batch.target_mask),
    ]
    tokens = int(sums.tokens)
    return Recording(tuple(values), float(sums.plain) / tokens, float(sums.total) / tokens)


def _encoding(model: Seq2Seq, batch: Batch) -> tuple[list[Value], Memory]:
    """The way of the source, up to the decoder's first state."""
    layers = [part for part in model.encoder.modules() if isinstance(part, Recurrent)]
    scans = {f"encoder layer {n}": layer.scan for n, layer in enumerate(layers, 1)}
    with recorded(
        embedding=model.encoder.embedding.forward, encoder=model.encoder.forward, **scans
    ) as seen:
        memory = model.encode(batch.source, batch.source_mask)
    values = [
        _value("source ids", "B S", batch.source),
        _value("source mask", "B S", batch.source_mask),
        _value("source embeddings", "B S E", seen["embedding"][0][1]),
    ]
    for name, layer in zip(scans, layers, strict=True):
        ((_, (states, _)),) = seen[name]
        ways = states.chunk(layer.directions, -1)
        names = ("forward", "backward")[: len(ways)] if len(ways) > 1 else ("",)
        values += [
            _value(f"{name} {way}".strip(), "B S H", one)
            for way, one in zip(names, ways, strict=True)
        ]
    ((_, (_, final)),) = seen["encoder"]
    return [
        *values,
        _value("encoder states", "B S H", memory.states),
        _value("encoder final state", "B K H", final),
        _value("bridge", "B K H", memory.start),
    ], memory


def _decoding(model: Seq2Seq, batch: Batch, memory: Memory) -> list[Value]:
    """The way of the target, step by step as search goes it."""
    decoder, attention = model.decoder, model.decoder.attention
    parts: dict[str, Callable[..., Any]] = {"embedding": decoder.embedding.forward}
    if attention is not None:
        parts |= {"energies": attention.energies, "attention": attention.forward}
    state, states, features = memory.start.unsqueeze(1), [], []
    with recorded(**parts) as seen:
        for token in batch.target_in.split(1, 1):
            feature, state, _ = decoder.step(token, state, memory)
            features.append(feature)
            states.append(state)

    def steps(name: str, axes: str, results: list[Any]) -> Value:
        return _value(name, axes, torch.cat(results, 1))

    values = [
        _value("target input ids", "B T", batch.target_in),
        steps("target embeddings", "B T E", [result for _, result in seen["embedding"]]),
        steps("decoder states", "B T K H", states),
    ]
    if attention is not None:
        contexts, weights = zip(*(result for _, result in seen["attention"]), strict=True)
        values += [
            steps("energies", "B T S", [result for _, result in seen["energies"]]),
            steps("weights", "B T S", list(weights)),
            steps("context", "B T H", list(contexts)),
        ]
    return [*values, steps("features" if attention is None else "attentional vector", "B T H",
                           features)]  # fmt: skip


def _value(name: str, axes: str, tensor: Tensor) -> Value:
    return Value(name, axes, tensor.cpu().numpy())
