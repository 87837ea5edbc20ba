"""The cost model of ``benchmarks/scale.py``: time, memory, disk and price from a few constants.

Every quantity is a straight line, or a sum of such: preparation grows with the pairs, the time of a
token with the products that the model computes for it, memory with the weights and the pairs, the
exchange of gradients with the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOAT = 4
"""Bytes of a number; gradients are exchanged in fp32."""
HOUR = 3600.0


@dataclass(frozen=True)
class Line:
    """A quantity that is ``start`` at zero and grows by ``each``."""

    start: float
    each: float

    @classmethod
    def through(cls, one: tuple[float, float], other: tuple[float, float]) -> Line:
        """The line through two points."""
        (x, y), (x2, y2) = one, other
        each = (y2 - y) / (x2 - x)
        return cls(y - each * x, each)

    def at(self, x: float) -> float:
        """The quantity at ``x``."""
        return self.start + self.each * x


@dataclass(frozen=True)
class Model:
    """What of a model decides its cost."""

    weights: int
    products: float
    """Floating-point operations of matrix products a target token, forward and backward."""


@dataclass(frozen=True)
class Device:
    """What computes, and the network between those that do.

    A step takes ``step.at(products * tokens)`` seconds; an exchange of gradients ``latency`` for
    each of its messages, and the bytes divided by ``bandwidth``.
    """

    name: str
    step: Line
    """Seconds of a step, by the operations of its products."""
    tokens: int
    """Target tokens of a process in a step."""
    bandwidth: float
    """Bytes a second that a process sends."""
    latency: float
    """Seconds of a message."""
    price: float
    """Of one device for an hour."""
    assumed: str = ""
    """The constants that were not measured."""


@dataclass(frozen=True)
class Constants:
    """What was measured of Dragoman."""

    preparation: Line
    """Seconds, by pairs."""
    preparation_memory: Line
    """Bytes at most, by pairs."""
    disk: Line
    """Bytes of the corpus, by pairs."""
    memory: Line
    """Bytes of a process that trains, by weights."""
    memory_a_pair: float
    """Bytes of a process that trains, for every pair of the corpus."""
    tokens_a_pair: float
    """Target tokens, end tokens included."""


def sent(weights: int, processes: int) -> float:
    """Bytes that a process sends in a step.

    In a ring all-reduce it sends each part of the gradient but one twice: as a part of the sum,
    and as the whole of it (Patarasuk and Yuan 2009).
    """
    return 2 * (processes - 1) / processes * FLOAT * weights


def step_seconds(model: Model, device: Device, processes: int) -> float:
    """Seconds of a step of ``processes``, if none of the exchange is hidden behind the products."""
    exchange = sent(model.weights, processes) / device.bandwidth
    messages = 2 * (processes - 1) * device.latency
    return device.step.at(model.products * device.tokens) + exchange + messages


@dataclass(frozen=True)
class Prediction:
    """Of a training of ``epochs`` passes over ``pairs`` by ``processes``, one a device."""

    pairs: float
    processes: int
    preparation: float
    """Seconds; one process prepares."""
    preparation_memory: float
    disk: float
    memory: float
    """Bytes of each process while it trains."""
    training: float
    """Seconds."""
    exchange: float
    """Share of the training in which gradients are exchanged."""
    price: float
    """Of all devices for the time of the training; of one for that of the preparation."""


def predict(
    pairs: float, processes: int, model: Model, constants: Constants, device: Device, epochs: int
) -> Prediction:
    """The time, memory, disk and price of a training."""
    step, alone = (step_seconds(model, device, count) for count in (processes, 1))
    tokens = epochs * pairs * constants.tokens_a_pair
    training = tokens / (device.tokens * processes) * step
    preparation = constants.preparation.at(pairs)
    return Prediction(
        pairs=pairs,
        processes=processes,
        preparation=preparation,
        preparation_memory=constants.preparation_memory.at(pairs),
        disk=constants.disk.at(pairs),
        memory=constants.memory.at(model.weights) + constants.memory_a_pair * pairs,
        training=training,
        exchange=1 - alone / step,
        price=(training * processes + preparation) / HOUR * device.price,
    )


def span(seconds: float) -> str:
    """A time in its largest fitting unit."""
    for unit, length in (("years", 365 * 24 * HOUR), ("days", 24 * HOUR), ("h", HOUR), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.3g} s"


def size(count: float) -> str:
    """Bytes in their largest fitting unit, powers of ten."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= length:
            return f"{count / length:,.1f} {unit}"
    return f"{count / 1e3:.1f} kB"
