"""Hard monotonic attention as a graph; :mod:`dragoman.model.recurrent.monotonic` has the equations.

B sentences   N hypotheses   S source positions   H hidden   W words, filled up
"""

import math

import numpy as np

from dragoman.runtime.graph import Graph, Matrix, Value, filled, ints

_LEAST = 1e-30
"""Smallest probability of a position, so that its logarithm is finite."""
_PADDING, _PASSED = np.float32(-1e9), np.float32(-1e18)
"""Energies of padding, and of positions that are passed."""


def remembered(g: Graph, states: Value) -> tuple[Value, Value]:
    """What the decoder reads of the encoder's states [B, S, H].

    Returns:
        Their part of the features, W_c [s; 0], [B, S, H]; and the first state [B, S, W], in which
        the begin token comes from the first position, whatever its word.
    """
    rows = g.read(g("Reshape", states, ints(-1, g.hidden)))
    own = g("Reshape", g.product(rows, _combine(g, 0)), g("Shape", states))
    words = len(g.weights.tensors["output.bias"])
    shape = g("Concat", g("Shape", "ids"), ints(filled(words)), axis=0)
    numbers = g("Range", np.int64(0), g("Squeeze", g("Shape", "ids", start=1)), np.int64(1))
    later = g("Greater", g("Unsqueeze", numbers, ints(0, 2)), np.int64(0))  # [1, S, 1]
    return own, g("Expand", g("Where", later, np.float32(-math.inf), np.float32(0)), shape)


def at_positions(g: Graph, top: Value, joint: Value) -> tuple[Value, Value]:
    """Features at every position, [N x S, H], and the probabilities of the positions, [N, S].

    Args:
        g: receives the nodes.
        top: the last layer's output, [N, H].
        joint: of the last step, see :func:`joined`.
    """
    size = g("Shape", joint, start=1, end=2)
    shape = g("Concat", ints(1), size, ints(1), axis=0)
    known = g("Expand", g("Unsqueeze", "token", ints(1, 2)), shape)
    after = g("Softmax", g("GatherElements", joint, known, axis=2), axis=1)  # [N, S, 1]
    padding = g("Max", g("Gather", "padding", "sentences"), _PADDING)  # [N, 1, S]
    keys = g("Gather", "keys", "sentences")
    energies = g("Add", g("MatMul", g("Unsqueeze", top, ints(1)), keys), padding)
    at = g("Range", np.int64(0), g("Squeeze", size), np.int64(1))
    passed = g("Less", at, g("Unsqueeze", at, ints(1)))  # [S, S]
    moves = g("Softmax", g("Where", passed, _PASSED, energies), axis=-1)  # [N, S, S]
    looked = g("Squeeze", g("MatMul", g("Transpose", after, perm=[0, 2, 1]), moves), ints(1))
    own = g("Unsqueeze", g.product(g.read(top), _combine(g, 1)), ints(1))
    both = g("Tanh", g("Add", g("Gather", "states", "sentences"), own))
    return g("Reshape", both, ints(-1, g.hidden)), looked


def joined(g: Graph, words: Value, looked: Value) -> Value:
    """Log-probabilities of words and positions together, [N, S, W].

    Args:
        g: receives the nodes.
        words: log-probabilities at every position, [N x S, W].
        looked: probabilities of the positions, [N, S].
    """
    apart = g("Reshape", words, g("Concat", g("Shape", looked), ints(-1), axis=0))
    places = g("Unsqueeze", g("Log", g("Max", looked, np.float32(_LEAST))), ints(1))
    places = g("Add", places, g("Gather", "padding", "sentences"))  # [N, 1, S]
    return g("Add", apart, g("Transpose", places, perm=[0, 2, 1]))


def _combine(g: Graph, half: int) -> Matrix:
    """The part of W_c for encoder states (0) or decoder states (1)."""
    inputs = half * g.hidden, (half + 1) * g.hidden
    return Matrix("decoder.combine.weight", (g.hidden, 2 * g.hidden), inputs)
