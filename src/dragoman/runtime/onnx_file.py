"""Writes the ONNX file format: a graph of named nodes as bytes that ONNX Runtime reads.

ONNX stores a graph as protocol buffers: a message is a sequence of fields, each a number and a
value (https://protobuf.dev/programming-guides/encoding). Only writing is needed, and only a dozen
messages; the field numbers are those of ``onnx.proto`` (ONNX 1.16, IR version 9). The package
``onnx``, which could write the same bytes, is larger than all else that running a bundle needs.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dragoman.layout import WEIGHTS
from dragoman.runtime.weights import Array

IR_VERSION, OPSET = 9, 18
"""The versions of the file format and of the operators."""
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9}
"""``TensorProto.DataType`` of each type of number."""

Kind = tuple[str, int]
"""The type of the numbers of an input or output, and its number of axes; no sizes are written."""
Kinds = Mapping[str, Kind]
"""The kinds of inputs or outputs, by name."""
Field = tuple[int, int | float | str | bytes]
"""The number and the value of a field of a message."""


def _varint(number: int) -> bytes:
    number &= 2**64 - 1  # a negative number is written as its two's complement
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*digits, number))


def message(*fields: Field) -> bytes:
    """Encode fields in their order: whole numbers, fp32 numbers, texts, and other messages."""
    parts = []
    for number, value in fields:
        if isinstance(value, float):
            parts += [_varint(number << 3 | 5), struct.pack("<f", value)]
        elif isinstance(value, int):
            parts += [_varint(number << 3), _varint(value)]
        else:
            raw = value.encode() if isinstance(value, str) else value
            parts += [_varint(number << 3 | 2), _varint(len(raw)), raw]
    return b"".join(parts)


def tensor(name: str, values: Array, offset: int | None = None) -> bytes:
    """A ``TensorProto``, with its numbers or with their place in the file of weights."""
    fields = [*((1, size) for size in values.shape), (2, TYPES[values.dtype.name]), (8, name)]
    if offset is None:
        return message(*fields, (9, values.tobytes()))
    where = {"location": WEIGHTS, "offset": offset, "length": values.nbytes}
    entries = ((13, message((1, key), (2, str(one)))) for key, one in where.items())
    return message(*fields, *entries, (14, 1))


def _value(name: str, kind: Kind) -> bytes:
    """A ``ValueInfoProto``."""
    shape = message(*[(1, b"")] * kind[1])
    return message((1, name), (2, message((1, message((1, TYPES[kind[0]]), (2, shape))))))


def _attribute(name: str, given: Any) -> bytes:
    """An ``AttributeProto``: a number, a text, a tensor, a graph, or whole numbers."""
    for python, field, kind in ((float, 2, 1), (int, 3, 2), (str, 4, 3), (bytes, 6, 5)):
        if isinstance(given, python):
            return message((1, name), (field, given), (20, kind))
    if isinstance(given, np.ndarray):
        return message((1, name), (5, tensor("", given)), (20, 4))
    return message((1, name), *((8, int(number)) for number in given), (20, 7))


def node(operator: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: Any) -> bytes:
    """A ``NodeProto``."""
    names: list[Field] = [*((1, name) for name in inputs), *((2, name) for name in outputs)]
    return message(*names, (4, operator), *((5, _attribute(*one)) for one in attributes.items()))


def graph(
    nodes: Iterable[bytes], inputs: Kinds, outputs: Kinds, tensors: Iterable[bytes] = ()
) -> bytes:
    """A ``GraphProto``: that of a file, or the body of a node that repeats it."""
    fields: list[Field] = [(1, one) for one in nodes]
    fields += [(2, "dragoman"), *((5, one) for one in tensors)]
    fields += [(11, _value(*one)) for one in inputs.items()]
    fields += [(12, _value(*one)) for one in outputs.items()]
    return message(*fields)


def model(graph: bytes) -> bytes:
    """A ``ModelProto``: a whole file."""
    return message((1, IR_VERSION), (2, "dragoman"), (7, graph), (8, message((1, ""), (2, OPSET))))
