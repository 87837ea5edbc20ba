"""Builds the graph of a network node by node.

N rows   I inputs   O outputs   V vocabulary   E embedding
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dragoman.config.options import ModelOptions
from dragoman.runtime import onnx_file
from dragoman.runtime.onnx_file import TYPES, Kind, Kinds
from dragoman.runtime.weights import ACTIVATION_STEPS, SCALE, ZERO, Array, Weights

Value = str
"""The name of what a node computes."""
Input = Value | Array | np.generic
"""What a node reads: a value, or numbers, which are a constant."""
Step = Callable[..., Sequence[Value]]
"""A step of a loop: takes the values of the state, then one entry of each value that is read; adds
nodes to the graph, which may use values from before the loop; returns the new state."""


class Read(NamedTuple):
    """Rows that products read."""

    rows: Value
    """[N, I]; in 8 bits unsigned numbers, with :data:`ZERO` for zero."""
    step: Value | None
    """In 8 bits the value of one step in each row, [N]."""


class Matrix(NamedTuple):
    """A matrix [O, I] of a model's weights."""

    name: str
    shape: tuple[int, ...]
    """Of the whole weight: [O, I], or [D, O, I] for a recurrent layer with D directions."""
    inputs: tuple[int, int] | None = None
    """First and last of the inputs, if others belong to another product."""
    direction: int | None = None
    """Which of the matrices of a weight [D, O, I]."""


class File(NamedTuple):
    """A whole graph as an ONNX file."""

    raw: bytes
    """It names the weights and does not hold their numbers."""
    weights: dict[str, Array]
    """Those that it names."""
    outputs: Kinds
    """Type and axes of what it computes, by name."""


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
        self._read: set[str] = set()
        self._outputs: dict[str, Kind] = {}
        self._nodes: list[bytes] = []
        self._numbers = itertools.count()  # of the names of values
        self._constants: dict[bytes, tuple[str, Array]] = {}

    def __call__(self, operator: str, *inputs: Input, **given: Any) -> Value:
        """Add a node with one output.

        Args:
            operator: of ONNX, such as ``Tanh``.
            inputs: values and constants.
            given: the node's attributes.
        """
        return self.several(1, operator, *inputs, **given)[0]

    def several(self, outputs: int, operator: str, *inputs: Input, **given: Any) -> list[Value]:
        """Add a node with several outputs."""
        names = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        made = [f"v{next(self._numbers)}" for _ in range(outputs)]
        self._read.update(names)
        self._nodes.append(onnx_file.node(operator, names, made, **given))
        return made

    def repeated(
        self, step: Step, state: Sequence[Value], read: Mapping[Value, str], *, backward: bool
    ) -> list[Value]:
        """Repeat a step S times, by ONNX's operator Scan.

        Args:
            step: adds its nodes to this graph.
            state: the first state, fp32 [N, X] each.
            read: values [S, N, X], of which each step takes an entry [N, X]; the type of each.
            backward: take the last entry first; the states stand in the entries' order even so.

        Returns:
            The last state, then the states after each step, [S, N, X].
        """
        outer, self._nodes = self._nodes, []
        kinds = *["float32"] * len(state), *read.values()
        entering = {f"v{next(self._numbers)}": (kind, 2) for kind in kinds}
        after = step(*entering)
        leaving = [*after, *(self("Identity", one) for one in after)]
        body = onnx_file.graph(self._nodes, entering, dict.fromkeys(leaving, ("float32", 2)))
        self._nodes = outer
        given: dict[str, Any] = {"num_scan_inputs": len(read)}
        ways = {"input": [backward] * len(read), "output": [backward] * len(state)}
        given |= {f"scan_{name}_directions": way for name, way in ways.items()}
        return self.several(len(leaving), "Scan", *state, *read, body=body, **given)

    def split(self, value: Value, count: int, axis: int = 1) -> list[Value]:
        """``count`` equal parts of a value."""
        return self.several(count, "Split", value, axis=axis, num_outputs=count)

    def name(self, value: Value, output: str, kind: Kind = ("float32", 2)) -> None:
        """Make ``value``, whose type and axes are ``kind``, an output with the name ``output``."""
        self._read.add(value)
        self._outputs[output] = kind
        self._nodes.append(onnx_file.node("Identity", [value], [output]))

    def weight(self, name: str, *shape: int, of: int | None = None) -> Value:
        """A weight as a value.

        Args:
            name: of the weight.
            shape: its whole shape.
            of: take only this entry of its first axis.

        Raises:
            FolderError: there is none, or it has another shape or type.
        """
        self._weights[name] = self.weights(name, *shape)
        return name if of is None else self("Gather", name, np.int64(of))

    def written(self, inputs: Kinds) -> File:
        """The whole.

        Args:
            inputs: type and axes by name; those that no node reads are left out.
        """
        offsets = (getattr(one, "offset", 0) for one in self._weights.values())  # of a memory map
        tensors = map(onnx_file.tensor, self._weights, self._weights.values(), offsets)
        constants = (onnx_file.tensor(*one) for one in self._constants.values())
        entering = {name: kind for name, kind in inputs.items() if name in self._read}
        whole = onnx_file.graph(self._nodes, entering, self._outputs, [*tensors, *constants])
        return File(onnx_file.model(whole), self._weights, self._outputs)

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
        return Read(self("QuantizeLinear", rows, step, self._zeros(step), axis=0), step)

    def _zeros(self, step: Value) -> Value:
        return self("ConstantOfShape", self("Shape", step), value=np.array([ZERO], np.uint8))

    def embedded(self, table: str, width: int, ids: Value) -> Read:
        """Rows [N, E] of a table of embeddings [V, E], prepared for products."""
        rows = self("Gather", self.weight(table, self.vocabulary, width), ids)
        if not self.weights.int8:
            return Read(rows, None)
        return Read(rows, self("Gather", self.weight(table + SCALE, self.vocabulary), ids))

    def vectors(self, x: Read) -> Value:
        """Rows in fp32."""
        if x.step is None:
            return x.rows
        return self("DequantizeLinear", x.rows, x.step, self._zeros(x.step), axis=0)

    def product(self, x: Read, matrix: Matrix, bias: Value | None = None) -> Value:
        """``x W' + b``: [N, I] -> [N, O]."""
        name, shape, inputs, direction = matrix
        part = self.weight(name, *shape, of=direction)
        if inputs is not None:
            part = self("Slice", part, ints(inputs[0]), ints(inputs[1]), ints(1))
        if x.step is None:
            return self("Gemm", x.rows, part, *([] if bias is None else [bias]), transB=1)
        steps = self.weight(name + SCALE, *shape[:-1], of=direction)
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
        sums = self("MatMulInteger", x.rows, matrix, np.uint8(ZERO))
        y = self("Mul", self("DequantizeLinear", sums, x.step, axis=0), steps)
        return y if bias is None else self("Add", y, bias)


FLOAT, INT32, INT64, BOOL = (TYPES[name] for name in ("float32", "int32", "int64", "bool"))
"""Numbers of the types that the operator Cast takes."""


BLOCK = 64
"""The decoder's words are filled up to a multiple of this; the best are found block by block."""


def filled(count: int) -> int:
    """``count`` rounded up to a multiple of :data:`BLOCK`."""
    return -(-count // BLOCK) * BLOCK


def ints(*numbers: int) -> Array:
    """Whole numbers as a constant, such as a shape or axes."""
    return np.array(numbers, np.int64)
