"""Sampled softmax: its draws, its value and its gradient, against the full softmax."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dragoman.model.copying import Mixture
from dragoman.model.output import Objective, Output
from dragoman.model.sampled_softmax import draw, frequency_ranks, sampled_loss
from tiny import formula_weights

TOKENS, HIDDEN, VOCABULARY, SAMPLES = 13, 7, 60, 25
RANKS = torch.arange(VOCABULARY, dtype=torch.float32)


@pytest.fixture
def output() -> Output:
    layer = Output(HIDDEN, VOCABULARY).double()
    formula_weights(layer)
    return layer


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.sin(torch.arange(TOKENS * HIDDEN).double()).view(TOKENS, HIDDEN)
    return features.requires_grad_(), torch.arange(TOKENS) * 7 % VOCABULARY


def test_draws_are_distinct_and_follow_the_log_uniform_ranks() -> None:
    torch.manual_seed(1)
    counts = torch.zeros(VOCABULARY)
    for _ in range(4000):
        ids, log_inclusion = draw(RANKS, 1)
        counts[ids] += 1
        assert (log_inclusion <= 0).all()
    rank = torch.arange(VOCABULARY)
    expected = torch.log((rank + 2.0) / (rank + 1)) / math.log(VOCABULARY + 1)
    statistic = ((counts - 4000 * expected) ** 2 / (4000 * expected)).sum()
    assert statistic < 103  # chi-squared, 59 degrees of freedom, p = 0.0003
    ids, _ = draw(RANKS, SAMPLES)
    assert len(set(ids.tolist())) == SAMPLES


def test_words_that_were_never_seen_are_hardly_drawn() -> None:
    """As bytes, which a subword vocabulary numbers first and hardly needs."""
    random = np.random.default_rng(0)
    counts = random.integers(1, 10**6, 4000)
    counts[4:260] = 0
    ranks = frequency_ranks(counts)
    assert sorted(ranks.tolist()) == list(range(4000))
    assert counts[ranks.argsort().numpy()].tolist() == sorted(counts.tolist(), reverse=True)
    torch.manual_seed(1)
    draws = torch.cat([draw(ranks, 64)[0] for _ in range(100)])
    never = ((draws >= 4) & (draws < 260)).double().mean()
    assert never < 0.02  # by id, more than half of the draws were of these


@pytest.mark.parametrize("seed", [None, 7])
def test_the_estimate_of_a_sum_has_no_bias(seed: int | None) -> None:
    """By id, or by a frequency that ids know nothing of."""
    ranks = RANKS
    if seed is not None:
        ranks = frequency_ranks(np.random.default_rng(seed).integers(0, 50, VOCABULARY))
    torch.manual_seed(2)
    values = torch.exp(torch.sin(torch.arange(VOCABULARY).double()) * 3)
    estimates = []
    for _ in range(4000):
        ids, log_inclusion = draw(ranks, SAMPLES)
        estimates.append((values[ids] / log_inclusion.double().exp()).sum())
    drawn = torch.stack(estimates)
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(drawn.mean() - values.sum()) < 4 * error
    assert error < 0.01 * values.sum()


def test_the_gradient_is_the_full_softmaxs_in_expectation(output: Output) -> None:
    torch.manual_seed(3)
    features, targets = inputs()
    full, *_ = output.loss(features, targets, Objective(), None)
    (wanted,) = torch.autograd.grad(full, features)
    total = torch.zeros_like(wanted)
    loss = 0.0
    draws = 1500
    for _ in range(draws):
        sampled, *_ = sampled_loss(output, features, targets, Objective(samples=45), None)
        total += torch.autograd.grad(sampled, features)[0]
        loss += sampled.item()
    assert loss / draws == pytest.approx(full.item(), rel=0.02)
    assert (total / draws - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("pointer", [False, True])
def test_right_is_what_no_sampled_word_beats(output: Output, pointer: bool) -> None:
    """By probability: that a rare word stands for many in the sum makes it no likelier."""
    features, targets = inputs()
    generate = torch.linspace(-3, -0.1, TOKENS).double()
    mixture = Mixture(generate, torch.linspace(-9, -3, TOKENS).double()) if pointer else None
    counts = []
    for seed in range(20):
        torch.manual_seed(seed)
        ids, log_inclusion = draw(RANKS, SAMPLES)
        count = 0
        for n, target in enumerate(targets):
            exp = (features[n] @ output.weight.t() + output.bias).exp()
            others = ids != target
            mass = exp[target] + (exp[ids] / log_inclusion.double().exp())[others].sum()
            own, best = exp[target] / mass, exp[ids][others].max() / mass
            if mixture is not None:
                own = own * mixture.generate[n].exp() + mixture.copy[n].exp()
                best = best * mixture.generate[n].exp()
            count += int(own >= best)
        torch.manual_seed(seed)
        assert (
            sampled_loss(output, features, targets, Objective(samples=SAMPLES), mixture)[2] == count
        )
        counts.append(count)
    assert 0 < sum(counts) < 20 * TOKENS


def test_weights_that_were_not_drawn_learn_nothing(output: Output) -> None:
    torch.manual_seed(4)
    features, targets = inputs()
    state = torch.get_rng_state()
    ids, _ = draw(RANKS, SAMPLES)
    torch.set_rng_state(state)
    sampled_loss(output, features, targets, Objective(samples=SAMPLES), None)[0].backward()
    touched = set(output.bias.grad.nonzero().flatten().tolist())
    assert touched == set(ids.tolist()) | set(targets.tolist())


def test_as_many_samples_as_words_are_the_full_softmax(output: Output) -> None:
    features, targets = inputs()
    assert (
        sampled_loss(output, features, targets, Objective(samples=VOCABULARY), None)[0]
        == output.loss(features, targets, Objective(), None)[0]
    )


def test_the_loss_samples_by_the_ranks_that_it_is_given(output: Output) -> None:
    features, targets = inputs()
    ranks = RANKS.flip(0)
    torch.manual_seed(5)
    ids, _ = draw(ranks, SAMPLES)
    torch.manual_seed(5)
    sampled_loss(output, features, targets, Objective(samples=SAMPLES, ranks=ranks), None)[
        0
    ].backward()
    touched = set(output.bias.grad.nonzero().flatten().tolist())
    assert touched == set(ids.tolist()) | set(targets.tolist())
