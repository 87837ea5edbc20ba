"""Attention against the equations written as loops."""

from __future__ import annotations

import math

import pytest
import torch

from dragoman.model.attention import Attention, entmax, of_hypotheses
from dragoman.model.protocols import Cells, Memory
from tiny import BATCH, QUERIES, SOURCE, formula_weights

WIDTH = 13


def naive_energy(attention: Attention, q: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    """One decoder state [H] against one encoder state [H], as the papers write it."""
    if attention.score == "dot":
        return (q * s).sum()
    if attention.score == "scaled_dot":
        return (q * s).sum() / math.sqrt(len(q))
    assert attention.key is not None
    if attention.score == "general":
        return q @ (attention.key.weight @ s)
    assert attention.query is not None and attention.energy is not None
    inner = attention.query.weight @ q + attention.query.bias + attention.key.weight @ s
    return attention.energy.weight[0] @ torch.tanh(inner)


def naive_entmax(energies: torch.Tensor, power: int) -> torch.Tensor:
    """Entmax of [S]: halves the interval in which the threshold lies."""
    z = energies / power
    low, high = z.max() - 1, z.max()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if ((z - middle).clamp(0) ** power).sum() > 1 else (low, middle)
    return (z - low).clamp(0) ** power


@pytest.mark.parametrize("power", [1, 2])  # sparsemax, entmax-1.5
def test_entmax_is_where_the_weights_sum_to_one(power: int) -> None:
    energies = 4 * torch.sin(torch.arange(60 * 7).double()).view(60, 7)
    energies[::3, 4:] = -math.inf
    energies[::4, :3] = 0.25  # equal ones
    expected = torch.stack([naive_entmax(row, power) for row in energies])
    torch.testing.assert_close(entmax(energies, power), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(entmax(energies + 1e4, power), expected, rtol=0, atol=1e-8)
    real = energies.isfinite()
    assert 0.2 < ((expected == 0) & real).sum() / real.sum() < 0.8
    wide = entmax(energies.float() * 1000, power)  # one position has all weight
    torch.testing.assert_close(wide.sum(-1), torch.ones(60))
    assert entmax(torch.zeros(1, 1), power).item() == 1


@pytest.mark.parametrize("power", [1, 2])
def test_the_gradient_of_entmax_is_that_of_differences(power: int) -> None:
    energies = 4 * torch.sin(torch.arange(60 * 7).double()).view(60, 7)
    weights = entmax(energies, power)
    assert weights[weights > 0].min() > 1e-5  # none so near its end that a difference meets it
    assert torch.autograd.gradcheck(entmax, (energies.requires_grad_(), power))


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("score", ["dot", "scaled_dot", "general", "concat"])
def test_weights_and_context_are_the_equations(score: str, power: int, mask: torch.Tensor) -> None:
    attention = Attention(score, WIDTH, WIDTH, power=power).double()
    formula_weights(attention)
    queries = torch.sin(torch.arange(BATCH * QUERIES * WIDTH).double()).view(BATCH, QUERIES, WIDTH)
    states = torch.cos(torch.arange(BATCH * SOURCE * WIDTH).double()).view(BATCH, SOURCE, WIDTH)
    memory = Memory(states, attention.keys(states), mask, mask[:, :0])
    attend = attention.over(memory)
    context, weights = attend(queries)
    for b in range(BATCH):
        real = int(mask[b].sum())
        for j in range(QUERIES):
            energies = torch.stack(
                [naive_energy(attention, queries[b, j], states[b, i]) for i in range(real)]
            )
            expected = torch.exp(energies) / torch.exp(energies).sum()
            expected = naive_entmax(energies, power) if power else expected
            torch.testing.assert_close(weights[b, j, :real], expected, rtol=0, atol=1e-12)
            seen = sum(w * states[b, i] for i, w in enumerate(expected))
            torch.testing.assert_close(context[b, j], seen, rtol=0, atol=1e-12)
        assert (weights[b, :, real:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, QUERIES).double())
    for number in range(QUERIES):
        one = of_hypotheses(attend, memory)(queries[:, number])
        for found, wanted in zip(one, (context, weights), strict=True):
            torch.testing.assert_close(found, wanted[:, number])
    # Some of the cells, in another order, one of them twice.
    cells = torch.tensor([7, 0, 14, 7, 3])
    some = of_hypotheses(attend, memory, Cells(cells, QUERIES))(queries.flatten(0, 1)[cells])
    for found, wanted in zip(some, (context, weights), strict=True):
        torch.testing.assert_close(found, wanted.flatten(0, 1)[cells])
