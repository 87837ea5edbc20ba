"""8-bit products: sums are exact, also where an instruction saturates 16-bit sums of two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from dragoman.config.options import ModelOptions
from dragoman.runtime.graph import Graph, Matrix
from dragoman.runtime.weights import ACTIVATION_STEPS, WEIGHT_STEPS, ZERO, Weights, quantized

Whole = npt.NDArray[np.int64]


def saturating(x: Whole, w: Whole) -> Whole:
    """``x @ w`` by ``vpmaddubsw``: sums of two neighbouring products saturate to 16 bits."""
    products = x[:, :, None] * w[None]  # [N, I, O]
    pairs = products[:, ::2] + products[:, 1::2]
    return np.asarray(pairs.clip(-(2**15), 2**15 - 1).sum(1))


def test_the_largest_numbers_never_saturate() -> None:
    largest = ZERO + ACTIVATION_STEPS
    x = np.array([[largest] * 64, [ZERO - ACTIVATION_STEPS] * 64, [largest, 1] * 32])
    w = np.array([[WEIGHT_STEPS, -WEIGHT_STEPS]] * 64)
    assert np.array_equal(saturating(x, w), x @ w)
    assert not np.array_equal(saturating(x * 2, w), 2 * x @ w)  # 8 bits on both sides would


def test_random_rows_give_the_same_sums_as_the_instruction() -> None:
    random = np.random.default_rng(1)
    weights = quantized({"output.weight": random.standard_normal((8, 512)).astype(np.float32) ** 3})
    w = weights["output.weight"].astype(np.int64).T
    assert np.abs(w).max() == WEIGHT_STEPS
    rows = random.standard_normal((20, 512)) ** 3
    x = ZERO + np.rint(rows / np.abs(rows).max(1, keepdims=True) * ACTIVATION_STEPS).astype(
        np.int64
    )
    assert x.min() >= 1 and x.max() <= 127
    assert np.array_equal(saturating(x, w), x @ w)


def test_the_graph_computes_the_formula() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from dragoman.runtime.network import session

    random = np.random.default_rng(2)
    matrix, bias = (random.standard_normal(s).astype(np.float32) for s in ((11, 37), (11,)))
    weights = Weights(quantized({"w": matrix, "output.weight": matrix}), "here")
    g = Graph(ModelOptions(hidden=16), weights, 11)
    weights.tensors["b"] = bias
    g.name(g.product(g.read("x"), Matrix("w", (11, 37)), g.weight("b", 11)), "y")
    loaded = session(g.written({"x": ("float32", 2)}))
    x = random.standard_normal((5, 37)).astype(np.float32)
    x[3] = 0  # a row of zeros is no division by zero
    (y,) = loaded.run(None, {"x": x})
    steps = np.maximum(np.abs(x).max(1, keepdims=True), 1e-30) / ACTIVATION_STEPS
    w_steps = np.abs(matrix).max(1) / WEIGHT_STEPS
    sums = np.rint(x / steps) @ np.rint(matrix / w_steps[:, None]).T
    np.testing.assert_allclose(y, sums * steps * w_steps + bias, rtol=1e-5, atol=1e-5)
    assert onnxruntime is not None
