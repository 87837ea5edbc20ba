"""The graph that encodes sources: the encoder, the bridge, and the keys of attention.

B sentences   S source positions   E embedding   H hidden   K rows of the decoder's state
"""

import math

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.runtime import transformer
from dragoman.runtime.graph import INT32, INT64, File, Graph, Matrix, Value, ints
from dragoman.runtime.onnx_file import Kind
from dragoman.runtime.recurrence import STATE_ROWS, Layer, scan, state_names
from dragoman.runtime.weights import SOURCE_TABLE, Weights

_INPUTS = {"ids": Kind("int64", ["B", "S"]), "mask": Kind("bool", ["B", "S"])}


def kinds(options: ModelOptions, rows: str) -> dict[str, Kind]:
    """What the decoder reads of its state, with an axis ``rows``, and of the encoder."""
    if options.family == "transformer":
        return transformer.kinds(options, rows)
    hidden = int(options.hidden)
    found = dict.fromkeys(state_names(options), Kind("float32", [rows, hidden]))
    states, keys = Kind("float32", ["B", "S", hidden]), Kind("float32", ["B", "I", "J"])
    return {**found, "states": states, "keys": keys}


def encoder_graph(options: ModelOptions, weights: Weights, vocabulary: int) -> File:
    """Write the graph of an encoder.

    Args:
        options: of the model.
        weights: of the model.
        vocabulary: number of source tokens.

    Returns:
        An ONNX file. Its inputs ``ids`` [B, S] and ``mask`` [B, S], false on padding. Its outputs:
        encoder states ``states`` [B, S, H], the ``keys`` that queries are compared with,
        [B, H, S] ([B, S, H] for the score concat), and the decoder's first state. Those of a
        Transformer are in :func:`dragoman.runtime.transformer.kinds`.
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
        g.name(states, "states")
        g.name(_keys(g, states), "keys")
        for state, name in zip(_bridged(g, finals), state_names(options), strict=True):
            g.name(state, name)
    return g.written(_INPUTS, kinds(options, "B"))


def _encoded(g: Graph) -> tuple[Value, list[Value]]:
    """The recurrent encoder: states [B, S, H], and the final state's rows [B, H]."""
    options = g.options
    lengths = g("ReduceSum", g("Cast", "mask", to=INT64), ints(1), keepdims=0)

    def reversed_(x: Value) -> Value:
        """The real positions of ``x`` [B, S, ...] from the last to the first, if asked for."""
        if not options.reverse_source:
            return x
        return g("ReverseSequence", x, lengths, batch_axis=0, time_axis=1)

    ids = g("Transpose", reversed_("ids"), perm=[1, 0])  # [S, B]
    shape = g("Concat", g("Shape", ids), ints(-1), axis=0)
    read = g.embedded(SOURCE_TABLE, int(options.embedding), g("Reshape", ids, ints(-1)))
    x = g("Reshape", g.vectors(read), shape)  # [S, B, E]
    real, finals = g("Cast", lengths, to=INT32), list[Value]()
    for number, layer in enumerate(_layers(options)):
        y, *last = scan(g, layer, layer.entered(g, x) if number else x, real)
        x = g("Add", x, y) if number and options.residual else y
        finals += last
    return reversed_(g("Transpose", x, perm=[1, 0, 2])), finals


def _layers(options: ModelOptions) -> list[Layer]:
    hidden, ways = int(options.hidden), 2 if options.bidirectional else 1
    width = hidden if options.directions == "sum" else hidden // ways
    widths = [int(options.embedding), *[hidden] * (options.encoder_layers - 1)]
    return [
        Layer(f"encoder.layers.{number}", options.cell, inputs, width, ways)
        for number, inputs in enumerate(widths)
    ]


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
