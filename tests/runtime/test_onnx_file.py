"""The graphs are ONNX: the package onnx reads them, and finds nothing wrong."""

from __future__ import annotations

import numpy as np
import pytest

from dragoman.config.options import ModelOptions
from dragoman.runtime import onnx_file
from dragoman.runtime.bundle import arrays_of, graphs, places
from dragoman.runtime.weights import Weights

from .test_network import KINDS, options_of

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_graph_is_valid(kind: dict[str, object], int8: bool, tmp_path: object) -> None:
    options: ModelOptions = options_of(**kind)
    found = graphs(options, Weights(None, "", int8=int8), (97, 97), shortlist=True)
    where, size = places(arrays_of(found))
    assert len(found) == 3 and size > 0
    for graph, inputs, outputs in found.values():
        model = onnx.load_from_string(graph.written(inputs, outputs, where))
        for tensor in model.graph.initializer:
            if tensor.data_location:  # the checker would look for the file
                stored = {entry.key: entry.value for entry in tensor.external_data}
                assert int(stored["offset"]) + int(stored["length"]) <= size
                length = int(stored["length"])
                del tensor.external_data[:]
                tensor.data_location = 0
                tensor.raw_data = bytes(length)
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {""}


def test_values_of_every_type_are_read_back() -> None:
    for name in onnx_file.TYPES:
        values = np.arange(6).reshape(2, 3).astype(name)
        tensor = onnx.TensorProto.FromString(onnx_file.tensor("t", values))
        assert np.array_equal(onnx.numpy_helper.to_array(tensor), values)
    raw = onnx_file.node("Op", ["a"], ["b"], i=-1, f=0.5, s="text", ints=[3, -(2**62), 300])
    node = onnx.NodeProto.FromString(raw)
    got = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert got == {"i": -1, "f": 0.5, "s": b"text", "ints": [3, -(2**62), 300]}
