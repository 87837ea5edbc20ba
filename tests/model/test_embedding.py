"""A table whose gradient is kept from step to step, against autograd's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.data.tokenizer import PAD
from dragoman.model.embedding import Embedding, KeptGradient

IDS = st.lists(st.integers(0, 8), min_size=1, max_size=12)


def learned(kept: bool, steps: list[list[list[int]]]) -> list[torch.Tensor]:
    """The gradients and the weights of some steps of Adam, each of some parts of a batch."""
    torch.manual_seed(0)
    table = Embedding(9, 4).double()
    table.gradient = KeptGradient(table.weight) if kept else None
    optimizer = torch.optim.Adam(table.parameters(), lr=0.1, fused=True)
    seen = []
    for number, parts in enumerate(steps):
        for ids in parts:
            vectors = table(torch.tensor([ids]))
            (vectors * torch.arange(1.0, 1 + vectors.numel()).view_as(vectors)).sum().backward()
        assert table.weight.grad is not None
        seen.append(table.weight.grad.clone())
        if number != 1:  # a step that is left out
            table.weight.grad.mul_(0.5)  # as clipping does
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen.append(table.weight.detach().clone())
    return seen


@given(st.lists(st.lists(IDS, min_size=1, max_size=3), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_a_kept_gradient_is_the_gradient(steps: list[list[list[int]]]) -> None:
    for one, other in zip(learned(True, steps), learned(False, steps), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_what_is_no_number_does_not_stay() -> None:
    table = Embedding(5, 2)
    table.gradient = KeptGradient(table.weight)
    (table(torch.tensor([3])) * float("nan")).sum().backward()
    assert table.weight.grad is not None and table.weight.grad[3].isnan().all()
    table.weight.grad = None
    table(torch.tensor([4, PAD])).sum().backward()
    expected = torch.zeros(5, 2)
    expected[4] = 1.0
    torch.testing.assert_close(table.weight.grad, expected)


@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode])
def test_without_a_gradient_nothing_is_kept(inside: type) -> None:
    table = Embedding(5, 2)
    table.gradient = KeptGradient(table.weight)
    with inside():
        assert not table(torch.tensor([1, 2])).requires_grad
    table.weight.requires_grad_(False)
    assert not table(torch.tensor([1, 2])).requires_grad
