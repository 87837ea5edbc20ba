"""The graph of one step of the decoder, from last tokens to features.

N hypotheses   B sentences   Q slots   S source positions   H hidden
"""

from collections.abc import Sequence

import numpy as np

from dragoman.runtime import monotonic
from dragoman.runtime.graph import Graph, Matrix, Value, ints
from dragoman.runtime.recurrence import STATE_ROWS, Layer, state_names, step
from dragoman.runtime.weights import SOURCE_TABLE, TARGET_TABLE

_POWERS = {"softmax": 0, "sparsemax": 1, "entmax": 2}
"""``model.attention_weights`` as the power of :func:`entmax`; 0: softmax."""
_ROUNDS = 10
"""Rounds of Newton's method, as many as in :mod:`dragoman.model.attention`."""


def decoder_step(g: Graph) -> tuple[Value, Value | None, list[Value]]:
    """Add the nodes of a step; :mod:`dragoman.model.recurrent.decoder` has the arrangements.

    Returns:
        Features [N, H], attention weights [N, S] (None without attention), and the new state.
    """
    options, hidden, embedding = g.options, g.hidden, int(g.options.embedding)
    state, rows = state_names(options), STATE_ROWS[options.cell]
    feeds = options.attention == "bahdanau" or options.input_feeding
    widths = [embedding + hidden * feeds, *[hidden] * (options.decoder_layers - 1)]
    layers = [Layer(f"decoder.layers.{n}", options.cell, i, hidden) for n, i in enumerate(widths)]
    x = g.embedded(SOURCE_TABLE if options.shared_embeddings else TARGET_TABLE, embedding, "token")
    projected = layers[0].projected(g, x, (0, embedding) if feeds else None)
    found = None
    if options.attention == "bahdanau":
        found = _attention(g, state[rows * (len(layers) - 1)])  # the last layer's h
    if feeds:
        fed = state[-1] if found is None else found[0]
        rest = layers[0].matrix("weight_input", (embedding, widths[0]))
        projected = g("Add", projected, g.product(g.read(fed), rest))
    top, news = "", list[Value]()
    for number, layer in enumerate(layers):
        if number:
            projected = layer.projected(g, g.read(layer.entered(g, top)))
        after = step(g, layer, projected, state[number * rows : (number + 1) * rows])
        top = g("Add", top, after[0]) if number and options.residual else after[0]
        news += after
    looked = None
    if options.attention == "monotonic":
        top, looked = monotonic.at_positions(g, top, f"state.{len(state)}")
    elif options.attention != "none":
        context, looked = found or _attention(g, top)
        both = g.read(g("Concat", context, top, axis=1))
        combine = Matrix("decoder.combine.weight", (hidden, 2 * hidden))
        top = g("Tanh", g.product(both, combine))  # Luong 2015, eq. 5
    return top, looked, [*news, *[top] * options.input_feeding]


def _attention(g: Graph, queries: Value) -> Sequence[Value]:
    """Contexts [N, H] and weights [N, S] of queries [N, H], computed over all B x Q cells."""
    hidden, concat = g.hidden, g.options.score == "concat"
    if concat:
        queries = g.linear("decoder.attention.query", queries, hidden, hidden)
    grid = in_cells(g, queries)
    if concat:
        v = g("Transpose", g.weight("decoder.attention.energy.weight", 1, hidden), perm=[1, 0])
        sums = g("Add", g("Unsqueeze", grid, ints(2)), g("Unsqueeze", "keys", ints(1)))
        energies = g("Squeeze", g("MatMul", g("Tanh", sums), v), ints(3))  # [B, Q, S]
    else:
        energies = g("MatMul", grid, "keys")
    power, masked = _POWERS[g.options.attention_weights], g("Add", energies, "padding")
    weights = entmax(g, masked, power) if power else g("Softmax", masked, axis=-1)
    return [of_cells(g, value) for value in (g("MatMul", weights, "states"), weights)]


def entmax(g: Graph, energies: Value, power: int) -> Value:
    """Weights by entmax along the last axis; :func:`dragoman.model.attention.entmax` explains it.

    Args:
        g: receives the nodes.
        energies: [..., S]; some may be minus infinity, but not all.
        power: 2 for entmax-1.5, 1 for sparsemax.
    """
    z = g("Div", g("Sub", energies, g("ReduceMax", energies, ints(-1))), np.float32(power))
    threshold: Value | np.float32 = np.float32(-1)
    for _ in range(_ROUNDS):
        roots = g("Relu", g("Sub", z, threshold))
        mass = g("ReduceSum" if power == 1 else "ReduceSumSquare", roots, ints(-1))
        total = g("ReduceSum", g("Sign", roots) if power == 1 else roots, ints(-1))
        over = g("Sub", mass, np.float32(1) if power == 1 else g("Sqrt", mass))
        threshold = g("Add", threshold, g("Div", over, total))
    roots = g("Relu", g("Sub", z, threshold))
    return roots if power == 1 else g("Mul", roots, roots)


def in_cells(g: Graph, queries: Value) -> Value:
    """Put queries [N, H] into the slots of their sentences: [B, Q, H]."""
    shape = g("Concat", g("Shape", "states", end=1), ints(-1, g.hidden), axis=0)
    return g("Reshape", g("Gather", queries, "taken"), shape)


def of_cells(g: Graph, value: Value) -> Value:
    """Take the hypotheses from the slots of all sentences: [B, Q, X] -> [N, X]."""
    flat = g("Concat", ints(-1), g("Shape", value, start=2), axis=0)
    return g("Gather", g("Reshape", value, flat), "cells")
