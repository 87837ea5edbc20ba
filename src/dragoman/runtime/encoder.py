"""The graph that encodes sources: the encoder, the bridge, and the keys of attention.

B sentences   S source positions   E embedding   H hidden   K rows of the decoder's state
"""

import math

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.runtime import monotonic, transformer
from dragoman.runtime.graph import INT64, File, Graph, Matrix, Value, ints
from dragoman.runtime.recurrence import STATE_ROWS, Layer, scan, state_names
from dragoman.runtime.weights import SOURCE_TABLE, Weights


def encoder_graph(options: ModelOptions, weights: Weights, vocabulary: int) -> File:
    """Write the graph of an encoder.

    Args:
        options: of the model.
        weights: of the model.
        vocabulary: number of source tokens.

    Returns:
        An ONNX file. Its inputs ``ids`` [B, S] and ``mask`` [B, S], false on padding. Its outputs:
        encoder states ``states`` [B, S, H], the ``keys`` that queries are compared with,
        [B, H, S] ([B, S, H] for the score concat), and the decoder's first state, ``state.0`` and
        so on. Those of a Transformer are in :func:`dragoman.runtime.transformer.remembered`.
    """
    g = Graph(options, weights, vocabulary)
    if options.family == "recurrent":
        states, finals = _encoded(g)
    else:
        states, summary = transformer.encoded(g)
        finals = [summary] * STATE_ROWS[options.cell]
    if options.family == "transformer":
        transformer.remembered(g, states)
    else:
        for state, name in zip(_bridged(g, finals), state_names(options), strict=True):
            g.name(state, name)
        g.name(_keys(g, states), "keys", ("float32", 3))
        if options.attention == "monotonic":
            states, first = monotonic.remembered(g, states)
            g.name(first, f"state.{len(state_names(options))}", ("float32", 3))
        g.name(states, "states", ("float32", 3))
    return g.written({"ids": ("int64", 2), "mask": ("bool", 2)})


def _encoded(g: Graph) -> tuple[Value, list[Value]]:
    """The recurrent encoder: states [B, S, H], and the final state's rows [B, H]."""
    options = g.options
    lengths = g("ReduceSum", g("Cast", "mask", to=INT64), ints(1), keepdims=0)
    longest = g("ReduceMax", lengths, keepdims=1)  # [1]; all behind it is padding
    turned = (g("Transpose", one, perm=[1, 0]) for one in ("ids", "mask"))
    ids, real = (g("Slice", one, ints(0), longest) for one in turned)  # [S, B]

    def reversed_(x: Value) -> Value:
        """The real positions of ``x`` [S, B, ...] from the last to the first, if asked for."""
        way = {"time_axis": 0, "batch_axis": 1}
        return g("ReverseSequence", x, lengths, **way) if options.reverse_source else x

    grid = g("Concat", g("Shape", ids), ints(-1), axis=0)
    read = g.embedded(SOURCE_TABLE, int(options.embedding), g("Reshape", reversed_(ids), ints(-1)))
    real, x, finals = g("Unsqueeze", real, ints(2)), "", list[Value]()
    for number, layer in enumerate(_layers(options)):
        if number:
            read = g.read(g("Reshape", layer.entered(g, x), ints(-1, layer.inputs)))
        y, *last = scan(g, layer, read, grid, real)
        x = g("Add", x, y) if number and options.residual else y
        finals += last
    states = g("Transpose", reversed_(x), perm=[1, 0, 2])
    more = g("Sub", g("Shape", "ids", start=1), longest)
    return g("Pad", states, g("Concat", ints(0, 0, 0, 0), more, ints(0), axis=0)), finals


def _layers(options: ModelOptions) -> list[Layer]:
    hidden, cell, ways = int(options.hidden), options.cell, 2 if options.bidirectional else 1
    width = hidden if options.directions == "sum" else hidden // ways
    widths = [int(options.embedding), *[hidden] * (options.encoder_layers - 1)]
    return [Layer(f"encoder.layers.{n}", cell, read, width, ways) for n, read in enumerate(widths)]


def _keys(g: Graph, states: Value) -> Value:
    options, keys = g.options, states
    if options.attention != "none" and options.score in ("general", "concat"):
        rows = g.read(g("Reshape", states, ints(-1, g.hidden)))
        made = g.product(rows, Matrix("decoder.attention.key.weight", (g.hidden, g.hidden)))
        keys = g("Reshape", made, g("Shape", states))
    elif options.score == "scaled_dot":
        keys = g("Div", states, np.float32(math.sqrt(g.hidden)))
    return keys if options.score == "concat" else g("Transpose", keys, perm=[0, 2, 1])


def _bridged(g: Graph, finals: list[Value]) -> list[Value]:
    """The decoder's first state: K rows [B, H] from the encoder's final ones, layer by layer."""
    options, rows = g.options, STATE_ROWS[g.options.cell]
    more = options.decoder_layers - len(finals) // rows
    found = finals[-min(more, 0) * rows :] + finals[-rows:] * more  # the last layer is repeated
    zero = g("Mul", finals[0], np.float32(0))
    if options.bridge == "zero":
        found = [zero] * len(found)
    elif options.bridge == "linear":
        sizes = g.hidden, g.hidden
        found = [g("Tanh", g.linear("bridge.linear", state, *sizes)) for state in found]
    return [*found, *[zero] * options.input_feeding]
