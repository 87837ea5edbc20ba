"""Sampled softmax: its draws, its value and its gradient, against the full softmax."""

from __future__ import annotations

import math

import pytest
import torch

from dragoman.model.copying import Mixture
from dragoman.model.output import Output
from dragoman.model.sampled_softmax import draw, sampled_loss
from tiny import formula_weights

TOKENS, HIDDEN, VOCABULARY, SAMPLES = 13, 7, 60, 25


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
        ids, log_inclusion = draw(VOCABULARY, 1, torch.device("cpu"))
        counts[ids] += 1
        assert (log_inclusion <= 0).all()
    rank = torch.arange(VOCABULARY)
    expected = torch.log((rank + 2.0) / (rank + 1)) / math.log(VOCABULARY + 1)
    statistic = ((counts - 4000 * expected) ** 2 / (4000 * expected)).sum()
    assert statistic < 103  # chi-squared, 59 degrees of freedom, p = 0.0003
    ids, _ = draw(VOCABULARY, SAMPLES, torch.device("cpu"))
    assert len(set(ids.tolist())) == SAMPLES


def test_the_estimate_of_a_sum_has_no_bias() -> None:
    torch.manual_seed(2)
    values = torch.exp(torch.sin(torch.arange(VOCABULARY).double()) * 3)
    estimates = []
    for _ in range(4000):
        ids, log_inclusion = draw(VOCABULARY, SAMPLES, torch.device("cpu"))
        estimates.append((values[ids] / log_inclusion.double().exp()).sum())
    drawn = torch.stack(estimates)
    error = drawn.std() / math.sqrt(len(drawn))
    assert abs(drawn.mean() - values.sum()) < 4 * error
    assert error < 0.01 * values.sum()


def test_the_gradient_is_the_full_softmaxs_in_expectation(output: Output) -> None:
    torch.manual_seed(3)
    features, targets = inputs()
    full, *_ = output.loss(features, targets)
    (wanted,) = torch.autograd.grad(full, features)
    total = torch.zeros_like(wanted)
    loss = 0.0
    draws = 1500
    for _ in range(draws):
        sampled, *_ = sampled_loss(output, features, targets, 45)
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
        ids, log_inclusion = draw(VOCABULARY, SAMPLES, features.device)
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
        assert sampled_loss(output, features, targets, SAMPLES, mixture)[2] == count
        counts.append(count)
    assert 0 < sum(counts) < 20 * TOKENS


def test_weights_that_were_not_drawn_learn_nothing(output: Output) -> None:
    torch.manual_seed(4)
    features, targets = inputs()
    state = torch.get_rng_state()
    ids, _ = draw(VOCABULARY, SAMPLES, torch.device("cpu"))
    torch.set_rng_state(state)
    sampled_loss(output, features, targets, SAMPLES)[0].backward()
    touched = set(output.bias.grad.nonzero().flatten().tolist())
    assert touched == set(ids.tolist()) | set(targets.tolist())


def test_as_many_samples_as_words_are_the_full_softmax(output: Output) -> None:
    features, targets = inputs()
    assert (
        sampled_loss(output, features, targets, VOCABULARY)[0] == output.loss(features, targets)[0]
    )
