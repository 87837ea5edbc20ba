"""A Transformer as graphs; :mod:`dragoman.model.transformer` has the equations.

B sentences   N hypotheses   S source positions   Q slots   P places of the cache   L decoder layers
A heads   D width of a head   H = A x D   R rows: every position of every sentence, or hypotheses
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from dragoman.runtime.decoder import in_cells, of_cells
from dragoman.runtime.graph import FLOAT, Graph, Value, ints
from dragoman.runtime.weights import SOURCE_TABLE, TARGET_TABLE

PLACES = 16
"""The cache grows by this many places at a time, so that vector instructions add up alike in a
longer one."""
_NEVER = np.float32(-math.inf)
"""Added to the energy of what must not be attended to."""


def encoded(g: Graph) -> tuple[Value, Value]:
    """Add the nodes of the encoder, which read ``ids`` and ``mask`` [B, S].

    Returns:
        States [B, S, H], and their mean over real positions [B, H].
    """
    sizes, ids = g("Shape", "ids"), g("Reshape", "ids", ints(-1))
    numbers = g("Range", np.int64(0), g("Squeeze", g("Shape", "ids", start=1)), np.int64(1))
    x = _positioned(g, SOURCE_TABLE, ids, g("Reshape", g("Expand", numbers, sizes), ints(-1)))
    padding = g("Unsqueeze", g("Where", "mask", np.float32(0), _NEVER), ints(1, 2))  # [B, 1, 1, S]
    shape = g("Concat", sizes, ints(*_heads(g)), axis=0)

    def attend(qkv: Value) -> Value:
        query, key, value = (g("Reshape", part, shape) for part in g.split(qkv, 3))
        query, value = (g("Transpose", part, perm=[0, 2, 1, 3]) for part in (query, value))
        key = g("Transpose", key, perm=[0, 2, 3, 1])  # [B, A, D, S]
        context, _ = _attended(g, query, key, value, padding)
        return g("Reshape", g("Transpose", context, perm=[0, 2, 1, 3]), ints(-1, g.hidden))

    for number in range(g.options.transformer.encoder_layers):
        x = _layer(g, f"encoder.layers.{number}", x, attend)
    x = g.norm("encoder.norm", x, g.hidden)
    states = g("Reshape", x, g("Concat", sizes, ints(g.hidden), axis=0))
    real = g("Unsqueeze", g("Cast", "mask", to=FLOAT), ints(2))
    total = g("ReduceSum", g("Mul", states, real), ints(1), keepdims=0)
    return states, g("Div", total, g("ReduceSum", real, ints(1), keepdims=0))


def remembered(g: Graph, states: Value) -> None:
    """Name the outputs of the encoder's graph that a Transformer decoder reads.

    The ``states`` are values [B, L x A, S, D] and the ``keys`` transposed keys [B, L x A, D, S] of
    all layers' attention over the source. A state has keys and values of every layer, [N, A, P, D],
    then the number of tokens read, [N, 1].

    Args:
        g: receives the nodes.
        states: of the encoder, [B, S, H].
    """
    (heads, depth), layers = _heads(g), g.options.transformer.decoder_layers
    rows = g("Reshape", states, ints(-1, g.hidden))
    rows = g.linear("decoder.memory", rows, g.hidden, 2 * layers * g.hidden)
    shape = g("Concat", g("Shape", "ids"), ints(layers, 2, heads, depth), axis=0)
    apart = g("Transpose", g("Reshape", rows, shape), perm=[3, 0, 2, 4, 1, 5])  # [2, B, L, A, S, D]
    size = g("Concat", ints(-1, layers * heads), g("Shape", "ids", start=1), ints(depth), axis=0)
    keys, values = (g("Reshape", part, size) for part in g.split(apart, 2, axis=0))
    g.name(g("Transpose", keys, perm=[0, 1, 3, 2]), "keys", ("float32", 4))
    g.name(values, "states", ("float32", 4))
    count = g("Shape", "ids", end=1)
    cache = g("ConstantOfShape", g("Concat", count, ints(heads, PLACES, depth), axis=0))
    for row in range(2 * layers):
        g.name(cache, f"state.{row}", ("float32", 4))
    read = g("ConstantOfShape", g("Concat", count, ints(1), axis=0), value=np.zeros(1, np.int64))
    g.name(read, f"state.{2 * layers}", ("int64", 2))


def decoder_step(g: Graph) -> tuple[Value, Value | None, list[Value]]:
    """Add the nodes of a step of the decoder, as :func:`dragoman.runtime.decoder.decoder_step`.

    Attention weights are the mean of the last layer's heads.
    """
    (heads, depth), layers = _heads(g), g.options.transformer.decoder_layers
    *caches, lengths = (f"state.{row}" for row in range(2 * layers + 1))
    table = SOURCE_TABLE if g.options.shared_embeddings else TARGET_TABLE
    x = _positioned(g, table, "token", g("Squeeze", lengths, ints(1)))
    filled = g("Div", g("ReduceMax", lengths, keepdims=0), np.int64(PLACES))
    places = g("Mul", g("Add", filled, ints(1)), ints(PLACES))  # [1]
    more = g("Sub", places, g("Shape", caches[0], start=2, end=3))
    pads = g("Concat", ints(0, 0, 0, 0, 0, 0), more, ints(0), axis=0)
    apart = g("Concat", ints(-1), places, ints(depth), axis=0)
    whole = g("Concat", ints(-1, heads), places, ints(depth), axis=0)
    last = g("Reshape", g("Expand", lengths, ints(1, heads)), ints(-1, 1))  # [N x A, 1]
    rows = g("Range", np.int64(0), g("Squeeze", g("Shape", last, end=1)), np.int64(1))
    here = g("Concat", g("Unsqueeze", rows, ints(1)), last, axis=1)
    later = g("Greater", g("Range", np.int64(0), g("Squeeze", places), np.int64(1)), last)
    later = g("Unsqueeze", g("Where", later, _NEVER, np.float32(0)), ints(1))  # [N x A, 1, P]
    news, looks = list[Value](), list[Value]()

    def attend(qkv: Value) -> Value:
        """Write a layer's new key and value into its cache, and attend to all."""
        query, *new = (g("Reshape", part, ints(-1, depth)) for part in g.split(qkv, 3))
        both = []
        for row in new:
            old = g("Reshape", g("Pad", caches[len(news)], pads), apart)
            both.append(g("ScatterND", old, here, row))  # [N x A, P, D]
            news.append(g("Reshape", both[-1], whole))
        keys = g("Transpose", both[0], perm=[0, 2, 1])
        context, _ = _attended(g, g("Unsqueeze", query, ints(1)), keys, both[1], later)
        return g("Reshape", context, ints(-1, g.hidden))

    memory = zip(g.split("keys", layers), g.split("states", layers), strict=True)
    padding = g("Unsqueeze", "padding", ints(1))  # [B, 1, 1, S]

    def read(queries: Value) -> Value:
        """A layer's attention over the source, computed over all B x Q cells."""
        grid = g("Reshape", in_cells(g, queries), ints(0, 0, heads, depth))
        query = g("Transpose", grid, perm=[0, 2, 1, 3])  # [B, A, Q, D]
        context, weights = _attended(g, query, *next(memory), padding)
        looks.append(weights)
        context = g("Reshape", g("Transpose", context, perm=[0, 2, 1, 3]), ints(0, 0, -1))
        return of_cells(g, context)

    for number in range(layers):
        x = _layer(g, f"decoder.layers.{number}", x, attend, read)
    looked = of_cells(g, g("ReduceMean", looks[-1], ints(1), keepdims=0))
    return g.norm("decoder.norm", x, g.hidden), looked, [*news, g("Add", lengths, ints(1))]


def _heads(g: Graph) -> tuple[int, int]:
    """A and D."""
    heads = g.options.transformer.heads
    return heads, g.hidden // heads


def _attended(
    g: Graph, query: Value, keys: Value, values: Value, barred: Value
) -> tuple[Value, Value]:
    """Contexts [.., T, D] and weights [.., T, S] of queries [.., T, D].

    ``keys`` are [.., D, S], ``values`` [.., S, D]; ``barred`` is added to the energies.
    """
    scaled = g("Mul", query, np.float32(1 / math.sqrt(_heads(g)[1])))
    weights = g("Softmax", g("Add", g("MatMul", scaled, keys), barred), axis=-1)
    return g("MatMul", weights, values), weights


def _positioned(g: Graph, table: str, ids: Value, at: Value) -> Value:
    """Scaled embeddings of ``ids`` [R], with the vectors of their positions ``at`` [R]: [R, H]."""
    vectors = g.vectors(g.embedded(table, g.hidden, ids))
    rates = np.array([[10_000.0 ** (-i / g.hidden) for i in range(0, g.hidden, 2)]], np.float32)
    angles = g("Mul", g("Unsqueeze", g("Cast", at, to=FLOAT), ints(1)), rates)
    scaled = g("Mul", vectors, np.float32(math.sqrt(g.hidden)))
    return g("Add", scaled, g("Concat", g("Sin", angles), g("Cos", angles), axis=-1))


Inside = Callable[[Value], Value]
"""What is between the first and the last product of a part of a layer."""


def _layer(g: Graph, prefix: str, x: Value, attend: Inside, read: Inside | None = None) -> Value:
    """One layer, :mod:`dragoman.model.transformer.encoder`: [R, H] -> [R, H]."""

    def added(name: str, x: Value, outputs: int, inside: Inside, inputs: int) -> Value:
        """Add a part, with products to ``outputs`` values and from ``inputs``."""
        normed = g.norm(f"{prefix}.{name}_norm", x, g.hidden)
        found = inside(g.linear(f"{prefix}.{name}_in", normed, g.hidden, outputs))
        return g("Add", x, g.linear(f"{prefix}.{name}_out", found, inputs, g.hidden))

    inner = g.options.transformer.feed_forward or 4 * g.hidden
    x = added("self", x, 3 * g.hidden, attend, g.hidden)
    if read is not None:
        x = added("cross", x, g.hidden, read, g.hidden)
    return added("feed", x, inner, partial(g, "Relu"), inner)
