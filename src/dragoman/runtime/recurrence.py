"""Recurrent layers as graphs; :mod:`dragoman.model.recurrent.cells` has the equations.

B sentences   N rows   S source positions   I inputs   H hidden of one direction   G gates
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.runtime.graph import Graph, Matrix, Read, Value, ints

STATE_ROWS = {"rnn": 1, "gru": 1, "lstm": 2}
"""Vectors of H in the state of each cell: h, and for an LSTM the cell c."""
_GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""G: rows of H in the weights of each cell."""


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
    direction: int = 0
    """Whose matrices :meth:`matrix` and :meth:`projected` take."""

    def matrix(self, which: str, inputs: tuple[int, int] | None = None) -> Matrix:
        """``weight_input`` or ``weight_hidden``."""
        width = self.inputs if which == "weight_input" else self.hidden
        shape = self.directions, _GATES[self.cell] * self.hidden, width
        return Matrix(f"{self.prefix}.{which}", shape, inputs, self.direction)

    def projected(self, g: Graph, x: Read, inputs: tuple[int, int] | None = None) -> Value:
        """W x + b, [N, GH], of all inputs or of some."""
        matrix = self.matrix("weight_input", inputs)
        bias = g.weight(f"{self.prefix}.bias", *matrix.shape[:2], of=self.direction)
        return g.product(x, matrix, bias)

    def entered(self, g: Graph, x: Value) -> Value:
        """What a layer that is not the first reads of its input [..., I]."""
        return g.norm(f"{self.prefix}.norm", x, self.inputs) if g.options.layer_norm else x


def step(g: Graph, layer: Layer, projected: Value, state: Sequence[Value]) -> list[Value]:
    """One step of a layer in one direction.

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
    bias = g.weight(f"{layer.prefix}.bias_new", layer.directions, width, of=layer.direction)
    n = g("Tanh", g("Add", i_n, g("Mul", r, g("Add", h_n, bias))))
    return [g("Add", n, g("Mul", z, g("Sub", h, n)))]


def scan(g: Graph, layer: Layer, x: Read, grid: Value, real: Value) -> list[Value]:
    """Run a layer over whole sequences, in each of its directions.

    Args:
        g: receives the nodes.
        layer: whose weights.
        x: its inputs, [S B, I].
        grid: the shape [S, B, -1].
        real: false on padding, bool [S, B, 1]. There a state stays as it is.

    Returns:
        The outputs, [S, B, H]; and each row of the final state, [B, H]. H is that of both
        directions side by side, or of their sum.
    """
    rows = STATE_ROWS[layer.cell]
    zero = g("Expand", np.zeros(layer.hidden, np.float32), g("Shape", real, start=1))  # [B, H]
    found = list[list[Value]]()
    for direction in range(layer.directions):
        one = layer._replace(direction=direction)
        projected = g("Reshape", one.projected(g, x), grid)

        def masked(*now: Value, one: Layer = one) -> list[Value]:
            *state, here, given = now
            new = step(g, one, given, state)
            return [g("Where", here, *pair) for pair in zip(new, state, strict=True)]

        read = {real: "bool", projected: "float32"}
        made = g.repeated(masked, [zero] * rows, read, backward=direction > 0)
        found.append([made[rows], *made[:rows]])  # h of all steps, and the last state
    if g.options.directions == "sum":
        return [g("Sum", *values) for values in zip(*found, strict=True)]
    return [g("Concat", *values, axis=-1) for values in zip(*found, strict=True)]
