"""Products with a weight, however they are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dragoman.model import linear
from dragoman.model.linear import Product, gathered, gathered_matmul, plain

MAKERS = [plain, gathered]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("outputs", [1, 7])
def test_every_maker_gives_the_same_product(make: Callable[..., Product], outputs: int) -> None:
    torch.manual_seed(0)
    whole, bias, x = torch.randn(outputs, 13), torch.randn(outputs), torch.randn(5, 4, 11)
    weight = whole[:, 2:]  # the columns of a part of the input
    torch.testing.assert_close(make(weight, bias)(x), x @ weight.t() + bias)
    torch.testing.assert_close(make(weight, None)(x), x @ weight.t())


@pytest.mark.parametrize("steps", [1, 4])
def test_a_gathered_gradient_is_that_of_the_steps(steps: int) -> None:
    torch.manual_seed(0)
    weight, matrix = torch.randn(3, 5).double(), torch.randn(2, 3, 4).double()
    inputs = torch.randn(steps, 2, 6, 5).double()
    found = []
    for make, multiply in ((plain, linear.matmul), (gathered, gathered_matmul)):
        leaves: list[Tensor] = [t.clone().requires_grad_() for t in (weight, matrix, inputs)]
        first, second = make(leaves[0], torch.ones(3).double()), multiply(leaves[1])
        sum((second(first(x).tanh()) ** 2).sum() for x in leaves[2]).backward()  # type: ignore[union-attr]
        found.append([leaf.grad for leaf in leaves])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
