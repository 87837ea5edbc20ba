"""Builds the graph of a network node by node.

N rows   I inputs   O outputs   V vocabulary   E embedding
"""

from typing import Any, NamedTuple

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.runtime import onnx_file
from dragoman.runtime.onnx_file import TYPES, Kinds
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
    """Of the whole weight: [O, I], or [1, O, I] for a layer with one direction."""
    inputs: tuple[int, int] | None = None
    """First and last of the inputs, if others belong to another product."""


class File(NamedTuple):
    """A whole graph as an ONNX file."""

    raw: bytes
    """It names the weights and does not hold their numbers."""
    weights: dict[str, Array]
    """Those that it names."""


class Graph:
    """Collects nodes in the order in which they compute, and names the weights that they use.

    A weight enters as its file has it. Nodes bring it into the order that an operator wants; ONNX
    Runtime computes nodes that depend on weights alone once, when it loads a graph.

    Args:
        options: of the model.
        weights: of the model.
        vocabulary: number of tokens, V: of the source for an encoder, of the target for a decoder.
    """

    def __init__(self, options: ModelOptions, weights: Weights, vocabulary: int) -> None:
        self.options, self.weights, self.vocabulary = options, weights, vocabulary
        self.hidden = int(options.hidden)
        self._weights: dict[str, Array] = {}
        self._known: set[str] = set()
        self._nodes: list[bytes] = []
        self._constants: dict[bytes, tuple[str, Array]] = {}

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
        made = [f"v{len(self._nodes)}.{number}" for number in range(outputs)]
        self._known.update(names)
        self._nodes.append(onnx_file.node(operator, names, made, **given))
        return made

    def split(self, value: Value, count: int, axis: int = 1) -> list[Value]:
        """``count`` equal parts of a value."""
        return self.several(count, "Split", value, axis=axis, num_outputs=count)

    def name(self, value: Value, output: str) -> None:
        """Make ``value`` an output with the name ``output``."""
        self._known.update((value, output))
        self._nodes.append(onnx_file.node("Identity", [value], [output]))

    def weight(self, name: str, *shape: int) -> Value:
        """A weight as a value.

        Raises:
            FolderError: there is none, or it has another shape or type.
        """
        self._weights[name] = self.weights(name, *shape)
        return name

    def written(self, inputs: Kinds, outputs: Kinds) -> File:
        """The whole.

        Args:
            inputs, outputs: type and axes by name; those that no node reads or computes are left
                out.
        """
        offsets = (getattr(one, "offset", 0) for one in self._weights.values())  # of a memory map
        tensors = map(onnx_file.tensor, self._weights, self._weights.values(), offsets)
        constants = (onnx_file.tensor(*one) for one in self._constants.values())
        entering = {name: kind for name, kind in inputs.items() if name in self._known}
        leaving = {name: kind for name, kind in outputs.items() if name in self._known}
        raw = onnx_file.model(self._nodes, entering, leaving, [*tensors, *constants])
        return File(raw, self._weights)

    def _constant(self, values: Array | np.generic) -> Value:
        values = np.asarray(values)
        key = onnx_file.tensor("", values)  # equal constants have one name
        name, _ = self._constants.setdefault(key, (f"c{len(self._constants)}", values))
        return name

    def read(self, rows: Value) -> Read:
        """Prepare rows [N, I] for products; in 8 bits each is scaled by its own maximum."""
        if not self.weights.int8:
            return Read(rows, None)
        largest = self("ReduceMax", self("Abs", rows), ints(-1), keepdims=0)  # [N]
        step = self("Div", self("Max", largest, np.float32(1e-30)), np.float32(ACTIVATION_STEPS))
        zero = self("ConstantOfShape", self("Shape", step), value=np.array([ZERO], np.uint8))
        quantized = self("QuantizeLinear", rows, step, zero, axis=0)
        return Read(quantized, self("Unsqueeze", step, ints(1)))

    def embedded(self, table: str, width: int, ids: Value) -> Read:
        """Rows [N, E] of a table of embeddings [V, E], prepared for products."""
        rows = self("Gather", self.weight(table, self.vocabulary, width), ids)
        if not self.weights.int8:
            return Read(rows, None)
        steps = self("Unsqueeze", self.weight(table + SCALE, self.vocabulary), ints(1))
        return Read(rows, self("Gather", steps, ids))

    def vectors(self, x: Read) -> Value:
        """Rows in fp32."""
        if x.step is None:
            return x.rows
        return self("Mul", self("Sub", self("Cast", x.rows, to=FLOAT), np.float32(ZERO)), x.step)

    def product(self, x: Read, matrix: Matrix, bias: Value | None = None) -> Value:
        """``x W' + b``: [N, I] -> [N, O]."""
        name, shape, inputs = matrix
        part = self.weight(name, *shape)
        if len(shape) == 3:
            part = self("Squeeze", part, ints(0))
        if inputs is not None:
            part = self("Slice", part, ints(inputs[0]), ints(inputs[1]), ints(1))
        if x.step is None:
            return self("Gemm", x.rows, part, *([] if bias is None else [bias]), transB=1)
        steps = self("Reshape", self.weight(name + SCALE, *shape[:-1]), ints(-1))
        return self.scaled_product(x, self("Transpose", part, perm=[1, 0]), steps, bias)

    def linear(self, name: str, x: Value, inputs: int, outputs: int) -> Value:
        """The linear layer ``name``: [N, I] -> [N, O]."""
        bias = self.weight(f"{name}.bias", outputs)
        return self.product(self.read(x), Matrix(f"{name}.weight", (outputs, inputs)), bias)

    def norm(self, name: str, x: Value, width: int) -> Value:
        """The layer normalisation ``name`` of [..., I]."""
        scale, shift = (self.weight(f"{name}.{which}", width) for which in ("weight", "bias"))
        return self("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)

    def scaled_product(self, x: Read, matrix: Value, steps: Value, bias: Value | None) -> Value:
        """The product with an 8-bit matrix [I, O], whose columns have ``steps`` [O]."""
        assert x.step is not None
        sums = self("Cast", self("MatMulInteger", x.rows, matrix, np.uint8(ZERO)), to=FLOAT)
        y = self("Mul", self("Mul", sums, x.step), steps)
        return y if bias is None else self("Add", y, bias)


FLOAT, INT32, INT64, BOOL = (TYPES[name] for name in ("float32", "int32", "int64", "bool"))
"""Numbers of the types that the operator Cast takes."""


def ints(*numbers: int) -> Array:
    """Whole numbers as a constant, such as a shape or axes."""
    return np.array(numbers, np.int64)
