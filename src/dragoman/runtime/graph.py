"""Builds the graph of a network node by node.

N rows   I inputs   O outputs   V vocabulary   E embedding
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from dragoman.runtime import onnx_file
from dragoman.runtime.onnx_file import Kinds, Stored
from dragoman.runtime.weights import ACTIVATION_STEPS, SCALE, ZERO, Array, Weights

Value = str
"""The name of what a node computes."""


class Read(NamedTuple):
    """Rows that products read."""

    rows: Value
    """[N, I]; in 8 bits unsigned numbers, with :data:`ZERO` for zero."""
    step: Value | None
    """In 8 bits the value of one step in each row, [N, 1]."""


class Matrix(NamedTuple):
    """A matrix [O, I] of a model's weights."""

    name: str
    shape: tuple[int, ...]
    """Of the whole weight; its last two axes are [O, I]."""
    at: tuple[int, ...] = ()
    """Which of several matrices of the weight."""
    inputs: slice = slice(None)
    """Which of the inputs; the others belong to another product."""


class Graph:
    """Collects nodes in the order in which they compute, and the weights that they use.

    Args:
        weights: of the model.
        outer: the graph in which this one is a branch; its values can be used here.
    """

    def __init__(self, weights: Weights, outer: Graph | None = None) -> None:
        self.weights = weights
        self.arrays: dict[str, Array] = {} if outer is None else outer.arrays
        """The weights as nodes use them, which the written graph names but does not hold."""
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {} if outer is None else outer._constants
        self._names: Iterator[int] = count() if outer is None else outer._names

    def __call__(self, operator: str, *inputs: Value | Array | np.generic, **given: Any) -> Value:
        """Add a node with one output.

        Args:
            operator: of ONNX, such as ``Tanh``.
            inputs: values; an array is a constant.
            given: the node's attributes.
        """
        return self.several(1, operator, *inputs, **given)[0]

    def several(
        self, outputs: int, operator: str, *inputs: Value | Array | np.generic, **given: Any
    ) -> list[Value]:
        """Add a node with several outputs."""
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        made = [f"v{next(self._names)}" for _ in range(outputs)]
        self._nodes.append(onnx_file.node(operator, names, made, **given))
        return made

    def name(self, value: Value, output: str) -> None:
        """Make ``value`` an output with the name ``output``."""
        self._nodes.append(onnx_file.node("Identity", [value], [output]))

    def held(self, name: str, values: Array) -> Value:
        """A weight as a value."""
        if self.weights.tensors is None:  # only their form is wanted
            values = np.broadcast_to(np.zeros((), values.dtype), values.shape)
        self.arrays[name] = values
        return name

    def branches(self, condition: Value, then: Graph, other: Graph, outputs: Kinds) -> None:
        """Compute the nodes of one of two graphs, which give the same ``outputs``."""
        written = (onnx_file.graph(branch._nodes, {}, outputs) for branch in (then, other))
        given = dict(zip(("then_branch", "else_branch"), written, strict=True))
        found = self.several(len(outputs), "If", condition, **given)
        for value, output in zip(found, outputs, strict=True):
            self.name(value, output)

    def written(self, inputs: Kinds, outputs: Kinds, stored: Mapping[str, Stored]) -> bytes:
        """The whole as the bytes of an ONNX file.

        Args:
            inputs, outputs: type and shape by name.
            stored: where the numbers of each weight are.
        """
        tensors = [onnx_file.tensor(n, one, stored[n]) for n, one in self.arrays.items()]
        whole = onnx_file.graph(self._nodes, inputs, outputs, [*tensors, *self._constants.values()])
        return onnx_file.model(whole)

    def _constant(self, values: Array | np.generic) -> Value:
        values = np.asarray(values)
        name = f"{values.dtype} {values.shape} {values.tobytes().hex()}"  # equal ones: one name
        self._constants.setdefault(name, onnx_file.tensor(name, values))
        return name

    def read(self, rows: Value) -> Read:
        """Prepare rows [N, I] for products; in 8 bits each is scaled by its own maximum."""
        if not self.weights.int8:
            return Read(rows, None)
        largest = self("ReduceMax", self("Abs", rows), ints(-1), keepdims=0)  # [N]
        step = self("Div", self("Max", largest, np.float32(1e-30)), np.float32(ACTIVATION_STEPS))
        zero = self("ConstantOfShape", self("Shape", step), value=np.array([ZERO], np.uint8))
        return Read(
            self("QuantizeLinear", rows, step, zero, axis=0), self("Unsqueeze", step, ints(1))
        )

    def embedded(self, table: str, vocabulary: int, width: int, ids: Value) -> Read:
        """Rows [N, E] of a table of embeddings [V, E], prepared for products."""
        if not self.weights.int8:
            rows = self.held(table, self.weights(table, vocabulary, width))
            return Read(self("Gather", rows, ids), None)
        whole, steps = self.weights.rows(table, vocabulary, width, kind="uint8")
        step = self("Gather", self.held(table + SCALE, steps[:, None]), ids)
        return Read(self("Gather", self.held(table, whole), ids), step)

    def vectors(self, x: Read) -> Value:
        """Rows in fp32."""
        if x.step is None:
            return x.rows
        return self("Mul", self("Sub", self("Cast", x.rows, to=FLOAT), np.float32(ZERO)), x.step)

    def product(self, x: Read, matrix: Matrix, bias: Array | None = None) -> Value:
        """``x W' + b``: [N, I] -> [N, O]."""
        name = f"{matrix.name}{matrix.at}{matrix.inputs.start or ''}"
        shift = None if bias is None else self.held(f"{name}.bias", bias)
        if x.step is None:
            part = self.weights(matrix.name, *matrix.shape)[matrix.at][:, matrix.inputs]
            more = () if shift is None else (shift,)
            return self("Gemm", x.rows, self.held(name, part), *more, transB=1)
        whole, steps = self.weights.rows(matrix.name, *matrix.shape)
        part = self.held(name, whole[matrix.at][:, matrix.inputs].T)
        return self.scaled_product(x, part, self.held(name + SCALE, steps[matrix.at]), shift)

    def scaled_product(self, x: Read, matrix: Value, steps: Value, bias: Value | None) -> Value:
        """The product with an 8-bit matrix [I, O], whose columns have ``steps`` [O]."""
        assert x.step is not None
        sums = self("Cast", self("MatMulInteger", x.rows, matrix, np.uint8(ZERO)), to=FLOAT)
        y = self("Mul", self("Mul", sums, x.step), steps)
        return y if bias is None else self("Add", y, bias)


FLOAT, INT32, INT64, BOOL = (
    onnx_file.TYPES[name] for name in ("float32", "int32", "int64", "bool")
)
"""Numbers of the types that the operator Cast takes."""


def ints(*numbers: int) -> Array:
    """Whole numbers as a constant, such as a shape or axes."""
    return np.array(numbers, np.int64)
