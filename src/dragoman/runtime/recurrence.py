"""Recurrent layers as graphs; :mod:`dragoman.model.recurrent.cells` has the equations.

B sentences   N rows   S source positions   I inputs   H hidden of one direction   G gates
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.runtime.graph import FLOAT, Graph, Matrix, Value, ints
from dragoman.runtime.weights import SCALE

STATE_ROWS = {"rnn": 1, "gru": 1, "lstm": 2}
"""Vectors of H in the state of each cell: h, and for an LSTM the cell c."""
_ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
"""Our G gates in ONNX's order: update, reset, new; input, output, forget, new."""


def state_names(options: ModelOptions) -> list[str]:
    """The rows of the decoder's state: those of every layer, and with input feeding features."""
    rows = STATE_ROWS[options.cell] * options.decoder_layers + options.input_feeding
    return [f"state.{row}" for row in range(rows)]


class Layer(NamedTuple):
    """Where the weights of one layer are, and their sizes."""

    prefix: str
    """Such as ``decoder.layers.0``."""
    cell: str
    inputs: int
    hidden: int
    directions: int = 1

    def matrix(self, which: str, inputs: tuple[int, int] | None = None) -> Matrix:
        """``weight_input`` or ``weight_hidden``."""
        width = self.inputs if which == "weight_input" else self.hidden
        shape = self.directions, len(_ORDER[self.cell]) * self.hidden, width
        return Matrix(f"{self.prefix}.{which}", shape, inputs)

    def bias(self, g: Graph) -> Value:
        """b, [D, GH]."""
        return g.weight(f"{self.prefix}.bias", *self.matrix("weight_hidden").shape[:2])

    def bias_new(self, g: Graph) -> Value:
        """What a GRU adds to the product of its new gate with h, [D, H]."""
        return g.weight(f"{self.prefix}.bias_new", self.directions, self.hidden)

    def entered(self, g: Graph, x: Value) -> Value:
        """What a layer that is not the first reads of its input [..., I]."""
        return g.norm(f"{self.prefix}.norm", x, self.inputs) if g.options.layer_norm else x


def step(g: Graph, layer: Layer, projected: Value, state: Sequence[Value]) -> list[Value]:
    """One step of a layer with one direction.

    Args:
        g: receives the nodes.
        layer: whose weights.
        projected: W x + b, [N, GH].
        state: h, and for an LSTM c, [N, H] each.

    Returns:
        The new state.
    """
    h, width = state[0], layer.hidden
    across = g.product(g.read(h), layer.matrix("weight_hidden"))
    if layer.cell == "rnn":
        return [g("Tanh", g("Add", projected, across))]
    if layer.cell == "lstm":
        gates = g.split(g("Add", projected, across), 4)
        i, f, new, o = (g("Tanh" if n == 2 else "Sigmoid", gate) for n, gate in enumerate(gates))
        c = g("Add", g("Mul", f, state[1]), g("Mul", i, new))
        return [g("Mul", o, g("Tanh", c)), c]
    both = ints(2 * width, width)  # reset and update; new
    (i_rz, i_n), (h_rz, h_n) = (g.several(2, "Split", x, both, axis=1) for x in (projected, across))
    r, z = g.split(g("Sigmoid", g("Add", i_rz, h_rz)), 2)
    n = g("Tanh", g("Add", i_n, g("Mul", r, g("Add", h_n, layer.bias_new(g)))))
    return [g("Add", n, g("Mul", z, g("Sub", h, n)))]


def scan(g: Graph, layer: Layer, x: Value, lengths: Value) -> list[Value]:
    """Run a layer over whole sequences, in each of its directions, by ONNX's own operator.

    It computes in fp32, also with weights that are stored in 8 bits: the operator has no others.

    Args:
        g: receives the nodes.
        layer: whose weights.
        x: [S, B, I].
        lengths: real positions of each sentence, int32 [B].

    Returns:
        The outputs, [S, B, H], zero on padding; and each row of the final state, [B, H]. H is that
        of both directions side by side, or of their sum.
    """
    held = [_operand(g, layer, which) for which in ("weight_input", "weight_hidden")]
    bias, given = layer.bias(g), {}
    zero = g("Mul", bias, np.float32(0))
    inner = [zero]
    if layer.cell == "gru":
        inner = [g.split(zero, 3)[0]] * 2 + [layer.bias_new(g)]
        given = {"linear_before_reset": 1}
    held.append(g("Concat", _in_order(g, layer, bias), *inner, axis=1))
    found = g.several(
        1 + STATE_ROWS[layer.cell],
        layer.cell.upper(),
        *(x, *held, lengths),
        hidden_size=layer.hidden,
        direction="bidirectional" if layer.directions == 2 else "forward",
        **given,
    )
    return [_joined(g, value, axis) for value, axis in zip(found, (1, 0, 0), strict=False)]


def _joined(g: Graph, value: Value, axis: int) -> Value:
    """The directions, which are an axis of [..., D, B, H], side by side, or their sum."""
    if g.options.directions == "sum":
        return g("ReduceSum", value, ints(axis), keepdims=0)
    last = g("Transpose", value, perm=[*range(axis), axis + 1, axis, axis + 2])
    return g("Reshape", last, ints(*[0] * (axis + 1), -1))


def _operand(g: Graph, layer: Layer, which: str) -> Value:
    """A weight of all directions in fp32, [D, GH, I], with its gates in ONNX's order."""
    name, shape, _ = layer.matrix(which)
    if not g.weights.int8:
        return _in_order(g, layer, g.weight(name, *shape))
    numbers = g("Cast", g.weight(name, *shape), to=FLOAT)
    steps = g("Unsqueeze", g.weight(name + SCALE, *shape[:-1]), ints(2))
    return _in_order(g, layer, g("Mul", numbers, steps))


def _in_order(g: Graph, layer: Layer, weight: Value) -> Value:
    """A weight [D, GH, ...] with its gates in ONNX's order."""
    gates = g.split(weight, len(_ORDER[layer.cell]))
    return g("Concat", *(gates[gate] for gate in _ORDER[layer.cell]), axis=1)
