"""The limit of a training step: the time that its matrix products alone would take.

Counted are the products of forward and backward pass for real tokens only, no padding; all else
(embeddings, gates, softmax, the optimizer) is free. A product of the forward pass has two like it
in the backward pass, one for the gradient of each factor.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.machine import Shape
from benchmarks.words import SIDES, Words
from benchmarks.workloads import Workload

_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def products(
    w: Workload, vocabulary: int, *, source: int, target: int, both: int
) -> dict[str, int]:
    """Floating-point operations of all matrix products of a training step, by part.

    Args:
        w: the sizes.
        vocabulary: target tokens, special ones included.
        source, target: positions, end tokens included, summed over the pairs.
        both: source x target positions of each pair, summed.
    """
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
    once = {
        "encoder": source * encoder,
        "decoder": target * decoder,
        "attention": attention,
        "combine": combine,
        "output": target * hidden * vocabulary,
    }
    return {part: 3 * 2 * multiplied for part, multiplied in once.items()}


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
        source, target = (sum(lengths) for lengths in sides)
        both = sum(s * t for s, t in zip(*sides, strict=True))
        vocabulary = len(words.vocabulary("tgt")) + 4
        return cls(products(w, vocabulary, source=source, target=target, both=both), target)

    def tokens_per_second(self, rate: float) -> float:
        """Target tokens a second at a product rate in GFLOP/s."""
        return rate * 1e9 * self.tokens / sum(self.products.values())


def shapes(w: Workload, vocabulary: int) -> list[Shape]:
    """Products by which the machine's best rate is sought: the step's largest, and a square one."""
    rows = 13 * w.batch
    recurrent = (rows, w.hidden, _GATES[w.cell] * w.hidden)
    return [(rows, w.hidden, vocabulary), recurrent, (1024, 1024, 1024)]
