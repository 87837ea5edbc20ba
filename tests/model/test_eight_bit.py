"""Products of 8-bit numbers against the same in float64, rounded by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.errors import OptionError
from dragoman.model import eight_bit as module
from dragoman.model.eight_bit import eight_bit, has_eight_bit, require_eight_bit

here = pytest.mark.skipif(
    not has_eight_bit(torch.device("cpu")), reason="this processor has no 8-bit products"
)


def rounded(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.maximum(np.abs(rows).max(1, keepdims=True), np.float32(127e-30)) / np.float32(127)
    return np.rint(rows / scale), scale


@here
@given(st.integers(1, 40), st.integers(2, 300), st.integers(2, 50), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_it_is_the_product_of_rounded_numbers(rows: int, ins: int, outs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, ins)).astype(np.float32) * 10.0 ** random.integers(-3, 3)
    weight, bias = random.normal(size=(outs, ins)).astype(np.float32), random.normal(size=outs)
    bias = bias.astype(np.float32)
    (qx, sx), (qw, sw) = rounded(x), rounded(weight)
    expected = qx.astype(np.float64) @ qw.T * sx * sw.T
    there = torch.from_numpy(x)
    found = eight_bit(torch.from_numpy(weight))(there).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    with_bias = eight_bit(torch.from_numpy(weight), torch.from_numpy(bias))(there).numpy()
    np.testing.assert_allclose(with_bias, expected + bias, rtol=1e-5, atol=1e-4)
    # and no further from the true product than half a step of every number allows
    exact = x.astype(np.float64) @ weight.T.astype(np.float64)
    off = sx / 2 * np.abs(weight).sum(1) + sw.T / 2 * np.abs(x).sum(1, keepdims=True)
    assert (np.abs(found - exact) <= 1.01 * (off + ins * sx * sw.T / 4) + 1e-6).all()


@here
def test_a_row_has_the_same_bits_in_any_company() -> None:
    torch.manual_seed(0)
    weight, bias, x = torch.randn(700, 48), torch.randn(700), torch.randn(40, 48)
    product = eight_bit(weight, bias)
    whole = product(x)
    assert not torch.equal(whole, torch.nn.functional.linear(x, weight, bias))
    for count in (1, 2, 8, 33):
        assert torch.equal(product(x[:count]), whole[:count])


@here
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 5), (5, 1)])
def test_a_single_row_or_column_is_multiplied_in_fp32(inputs: int, outputs: int) -> None:
    x, weight = torch.randn(8, inputs), torch.randn(outputs, inputs)
    torch.testing.assert_close(eight_bit(weight)(x), x @ weight.t())


@here
def test_zeros_stay_zeros_and_what_is_no_number_is_not_hidden() -> None:
    x = torch.zeros(3, 16)
    x[1, 3], x[2, 5] = float("nan"), float("inf")
    found = eight_bit(torch.randn(8, 16))(x)
    assert (found[0] == 0).all()
    assert not found[1:].isfinite().any()


def test_a_machine_without_them_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_eight_bit", lambda device: False)
    with pytest.raises(OptionError, match="search.int8: this processor has no instructions"):
        require_eight_bit(torch.device("cpu"))
    with pytest.raises(OptionError, match="a graphics card has no"):
        require_eight_bit(torch.device("cuda"))
