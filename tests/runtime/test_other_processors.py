"""8-bit products on an emulated processor that has AVX2 and no VNNI: the same numbers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
EMULATOR = shutil.which("qemu-x86_64")
PRODUCTS = """
import sys
import numpy as np, onnxruntime
from dragoman.config.options import ModelOptions
from dragoman.runtime import onnx_file
from dragoman.runtime.graph import Graph, Matrix
from dragoman.runtime.network import session
from dragoman.runtime.weights import Weights, quantized

random = np.random.default_rng(1)
w, x = (random.standard_normal(shape).astype(np.float32) for shape in ((96, 512), (33, 512)))
w[:8] = 5 * np.where(np.arange(512) % 2, -1, 1)
x[:4] = np.where(np.arange(512) % 3, 7, -7)  # the largest sums of two neighbours
weights = Weights(quantized({"w": w, "output.weight": w}), "here")
g = Graph(ModelOptions(hidden=16), weights, 96)
g.name(g.product(g.read("x"), Matrix("w", (96, 512))), "y")
(y,) = session(g.written({"x": ("float32", 2)})).run(None, {"x": x})
node = onnx_file.node("MatMulInteger", ["a", "b"], ["c"])
kinds = {"a": ("uint8", 2), "b": ("int8", 2)}
graph = onnx_file.graph([node], kinds, {"c": ("int32", 2)})
plain = onnxruntime.InferenceSession(onnx_file.model(graph))
largest = {"a": np.full((8, 64), 255, np.uint8), "b": np.full((64, 16), 127, np.int8)}
print(y.tobytes().hex(), plain.run(None, largest)[0][0, 0])
"""


@pytest.mark.slow
@pytest.mark.skipif(EMULATOR is None, reason="qemu-x86_64 is not installed (Debian: qemu-user)")
def test_a_processor_without_vnni_gives_the_same_numbers() -> None:
    import onnxruntime

    paths = [str(Path(onnxruntime.__file__).parents[1]), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    python = [str(Path(sys.executable).resolve()), "-c", PRODUCTS]
    answers = []
    for command in (python, [str(EMULATOR), "-cpu", "Haswell", *python]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout.split())
    (here, _), (there, saturated) = answers
    assert here == there
    assert int(saturated) < 255 * 127 * 64  # 8 bits on both sides do saturate there
