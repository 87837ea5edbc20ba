"""The limit of a training step: the time that its matrix products alone would take.

Counted are the products of forward and backward pass for real tokens only, no padding; all else
(embeddings, gates, softmax, the optimizer) is free. A product of the forward pass has two like it
in the backward pass, one for the gradient of each factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.machine import Shape
from benchmarks.words import SIDES, Words
from benchmarks.workloads import Workload

_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


Lengths = Sequence[tuple[int, int]]
"""Source and target positions of each pair, end tokens included."""


def products(w: Workload, vocabulary: int, lengths: Lengths) -> dict[str, int]:
    """Floating-point operations of all matrix products of a training step, by part.

    Args:
        w: the sizes.
        vocabulary: target tokens, special ones included.
        lengths: of the pairs.
    """
    count = _transformer if w.family == "transformer" else _recurrent
    once = count(w, lengths) | {"output": sum(t for _, t in lengths) * w.hidden * vocabulary}
    return {part: 3 * 2 * multiplied for part, multiplied in once.items()}


def _recurrent(w: Workload, lengths: Lengths) -> dict[str, int]:
    """Multiplications of the forward pass of an RNN, without the output layer."""
    source, target = (sum(side) for side in zip(*lengths, strict=True))
    both = sum(s * t for s, t in lengths)
    gates, hidden, width = _GATES[w.cell], w.hidden, w.width
    fed = hidden if w.attention == "bahdanau" else 0  # the context enters the RNN's input
    encoder = decoder = attention = combine = 0
    for layer in range(w.layers):
        inputs = hidden if layer else w.embedding
        encoder += (1 + w.bidirectional) * gates * width * (inputs + width)
        decoder += gates * hidden * (inputs + (0 if layer else fed) + hidden)
    if w.attention != "none":
        energies_and_contexts = 2 * both * hidden
        attention = source * hidden * hidden + target * hidden * fed + energies_and_contexts
        combine = target * 2 * hidden * hidden
    return {
        "encoder": source * encoder,
        "decoder": target * decoder,
        "attention": attention,
        "combine": combine,
    }


def _transformer(w: Workload, lengths: Lengths) -> dict[str, int]:
    """Multiplications of the forward pass of a Transformer, without the output layer.

    A target position attends to itself and those before it only.
    """
    source, target = (sum(side) for side in zip(*lengths, strict=True))
    square, feed = w.hidden * w.hidden, 2 * w.hidden * w.feed_forward
    looked = w.encoder_layers * sum(s * s for s, _ in lengths)
    looked += w.decoder_layers * sum(s * t + t * (t + 1) // 2 for s, t in lengths)
    return {
        "encoder": source * w.encoder_layers * (4 * square + feed),
        # Keys and values of cross-attention are products of the source's positions: "memory".
        "decoder": target * w.decoder_layers * (6 * square + feed),
        "memory": source * w.decoder_layers * 2 * square,
        "attention": 2 * looked * w.hidden,  # energies and contexts
    }


@dataclass(frozen=True)
class Limit:
    """Of the steps of one pass over a workload's training set."""

    products: dict[str, int]
    tokens: int
    """Target tokens, end tokens included."""

    @classmethod
    def of(cls, w: Workload, words: Words) -> Limit:
        """Count."""
        sides = [[len(line) + 1 for line in words.sentences("train", side)] for side in SIDES]
        lengths = list(zip(*sides, strict=True))
        vocabulary = len(words.vocabulary("tgt")) + 4
        return cls(products(w, vocabulary, lengths), sum(t for _, t in lengths))

    def tokens_per_second(self, rate: float) -> float:
        """Target tokens a second at a product rate in GFLOP/s."""
        return rate * 1e9 * self.tokens / sum(self.products.values())


def shapes(w: Workload, vocabulary: int) -> list[Shape]:
    """Products by which the machine's best rate is sought: the step's largest, and a square one."""
    rows = 13 * w.batch
    columns = w.feed_forward or _GATES[w.cell] * w.hidden
    return [(rows, w.hidden, vocabulary), (rows, w.hidden, columns), (1024, 1024, 1024)]
