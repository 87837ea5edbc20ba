"""Products with a weight, however they are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dragoman.model.linear import ROWS, Linear, Product, filled, gathered, gathered_matmul, linear


def plain(weight: Tensor, bias: Tensor | None = None) -> Product:
    return lambda x: linear(x, weight, bias)


MAKERS = [plain, gathered]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("outputs", [1, 7])
def test_every_maker_gives_the_same_product(make: Callable[..., Product], outputs: int) -> None:
    torch.manual_seed(0)
    whole, bias, x = torch.randn(outputs, 13), torch.randn(outputs), torch.randn(5, 4, 11)
    weight = whole[:, 2:]  # the columns of a part of the input
    torch.testing.assert_close(make(weight, bias)(x), x @ weight.t() + bias)
    torch.testing.assert_close(make(weight, None)(x), x @ weight.t())


def naive_matmul(matrix: Tensor) -> Product:
    return lambda x: x @ matrix


@pytest.mark.parametrize("shape", [(5, 9, 12), (ROWS, 12), (12,), (0, 3, 12)])
def test_filled_rows_change_neither_the_product_nor_its_gradients(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    ours, usual = Linear(12, 7), nn.Linear(12, 7)
    usual.load_state_dict(ours.state_dict())
    weights, found = torch.randn(*shape[:-1], 7), []
    given = torch.randn(shape)
    for layer in (ours, usual):
        x = given.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        (y * weights).sum().backward()
        found.append((y, x.grad, layer.weight.grad, layer.bias.grad))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)


def test_rows_are_filled_with_zeros_where_a_product_is_compiled() -> None:
    rows = torch.ones(2, ROWS + 1, 3)
    low = filled(rows.bfloat16())
    assert low.shape == (2, 2 * ROWS, 3) and not low[:, ROWS + 1 :].any()
    assert torch.equal(low[:, : ROWS + 1], rows.bfloat16())
    assert filled(rows) is rows  # fp32 is not compiled ...
    torch.set_float32_matmul_precision("medium")  # ... unless oneDNN multiplies it
    try:
        assert filled(rows).shape == (2, 2 * ROWS, 3)
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("steps", [1, 4])
def test_a_gathered_gradient_is_that_of_the_steps(steps: int) -> None:
    torch.manual_seed(0)
    weight, matrix = torch.randn(3, 5).double(), torch.randn(2, 3, 4).double()
    inputs = torch.randn(steps, 2, 6, 5).double()
    found = []
    for make, multiply in ((plain, naive_matmul), (gathered, gathered_matmul)):
        leaves: list[Tensor] = [t.clone().requires_grad_() for t in (weight, matrix, inputs)]
        first, second = make(leaves[0], torch.ones(3).double()), multiply(leaves[1])
        sum((second(first(x).tanh()) ** 2).sum() for x in leaves[2]).backward()  # type: ignore[union-attr]
        found.append([leaf.grad for leaf in leaves])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
