"""The graphs are ONNX: the package onnx reads them, and finds nothing wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from dragoman.config.options import ModelOptions
from dragoman.data.setup import read_tensors
from dragoman.model.folder import tensors_of
from dragoman.runtime import onnx_file
from dragoman.runtime.network import graphs
from dragoman.runtime.weights import Weights, quantized

from .test_network import KINDS, model_of, options_of

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_file_is_valid_and_runs_alone(
    kind: dict[str, object], int8: bool, tmp_path: Path
) -> None:
    options: ModelOptions = options_of(**kind)
    tensors = {n: one.numpy() for n, one in tensors_of(model_of(options, 97)).items()}
    (tmp_path / "model.safetensors").write_bytes(save(quantized(tensors) if int8 else tensors))
    tensors, _ = read_tensors(tmp_path / "model.safetensors", "np")
    found = graphs(options, Weights(tensors, ""), (97, 97), shortlist=True)
    assert len(found) == 3
    for name, graph in found.items():
        (tmp_path / name).write_bytes(graph.raw)
        onnx.checker.check_model(str(tmp_path / name), full_check=True)
        for tensor in onnx.load(str(tmp_path / name)).graph.initializer:
            if tensor.name in tensors:  # onnx has read it from the file of weights
                assert np.array_equal(onnx.numpy_helper.to_array(tensor), tensors[tensor.name])
        assert {node.domain for node in onnx.load_from_string(graph.raw).graph.node} == {""}
        onnxruntime.InferenceSession(str(tmp_path / name))


def test_values_of_every_type_are_read_back() -> None:
    for name in onnx_file.TYPES:
        values = np.arange(6).reshape(2, 3).astype(name)
        tensor = onnx.TensorProto.FromString(onnx_file.tensor("t", values))
        assert np.array_equal(onnx.numpy_helper.to_array(tensor), values)
    raw = onnx_file.node("Op", ["a"], ["b"], i=-1, f=0.5, s="text", ints=[3, -(2**62), 300])
    node = onnx.NodeProto.FromString(raw)
    got = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert got == {"i": -1, "f": 0.5, "s": b"text", "ints": [3, -(2**62), 300]}
