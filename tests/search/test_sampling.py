"""What is drawn at random, against the distribution it is drawn from."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import BOS, EOS, UNK
from dragoman.search.choose import draw
from table_network import WORDS, ShortNetwork, TableNetwork, outputs, total

DRAWS = SearchOptions(temperature=1.0, n_best=1000, max_ratio=0.0, unknown="drop", sampling_seed=0)


def chi_squared(counts: Counter[tuple[int, ...]], shares: dict[tuple[int, ...], float]) -> float:
    """Pearson's statistic in standard deviations above its mean, small classes joined."""
    draws = counts.total()
    rare = [key for key, share in shares.items() if share * draws < 5]
    bins = [(counts[key], share * draws) for key, share in shares.items() if key not in rare]
    if rare:
        bins.append((sum(counts[k] for k in rare), sum(shares[k] for k in rare) * draws))
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in bins if expected)
    freedom = len(bins) - 1
    return float((statistic - freedom) / np.sqrt(2 * freedom))


def shares(scorer: TableNetwork, temperature: float = 1.0) -> dict[tuple[int, ...], float]:
    """Probability of every output of :class:`ShortNetwork` with each step at a temperature."""

    def steps(ids: tuple[int, ...]) -> float:
        value, history = 1.0, (BOS,)
        for token in (*ids, EOS):
            p = np.exp(scorer.log_probs(7, history)[[EOS, *WORDS]] / temperature)
            value *= float(p[[EOS, *WORDS].index(token)] / p.sum())
            history = (*history, token)
        return value

    return {i: steps(i) for n in range(4) for i in itertools.product(WORDS, repeat=n)}


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_frequencies_match_the_distribution(temperature: float) -> None:
    scorer = ShortNetwork(2)
    expected = shares(scorer, temperature)
    assert sum(expected.values()) == pytest.approx(1)
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(3):
        options = replace(DRAWS, sampling_seed=seed, temperature=temperature)
        counts.update(h.ids for h in outputs(scorer, [7], options)[0])
    assert counts.total() == 3000
    assert abs(chi_squared(counts, expected)) < 4
    assert abs(chi_squared(counts, shares(scorer, 1.5 * temperature))) > 8  # the test can fail


def test_a_drawn_output_has_the_model_s_own_probability() -> None:
    scorer = ShortNetwork(2)
    options = replace(DRAWS, temperature=0.7, n_best=20)
    for hypothesis in outputs(scorer, [7], options)[0]:
        assert hypothesis.log_prob == pytest.approx(total(scorer, 7, hypothesis.ids))
        assert sum(hypothesis.steps) == pytest.approx(hypothesis.log_prob)


@pytest.mark.parametrize("options", [{"top_k": 2}, {"top_p": 0.6}, {"top_k": 3, "top_p": 0.9}])
def test_only_the_most_probable_words_are_drawn(options: dict[str, float]) -> None:
    scorer = TableNetwork(5)
    for hypothesis in outputs(scorer, [3], replace(DRAWS, n_best=100, **options))[0]:
        history: tuple[int, ...] = (BOS,)
        for token in (*hypothesis.ids, EOS)[: len(hypothesis.steps)]:
            p = np.exp(scorer.log_probs(3, history)[[EOS, *WORDS]].astype(float))
            order = np.argsort(-p / p.sum())
            if "top_k" in options:
                order = order[: int(options["top_k"])]
            kept = p[order] / (p[order].sum() if "top_k" in options else p.sum())
            before = np.cumsum(kept) - kept
            allowed = order[before < options.get("top_p", 1.1)]
            assert token in np.array([EOS, *WORDS])[allowed]
            history = (*history, token)


def test_a_line_draws_the_same_in_any_company_and_another_with_another_seed() -> None:
    scorer = TableNetwork(1)
    options = replace(DRAWS, n_best=4)
    numbers = [3, 8, 5, 8, 1]
    together = outputs(scorer, numbers, options)
    for number, found in zip(numbers, together, strict=True):
        assert found == outputs(scorer, [number], options)[0]
    other = outputs(scorer, [3], replace(options, sampling_seed=9))[0]
    assert [h.ids for h in other] != [h.ids for h in together[0]]
    assert all(UNK not in h.ids for found in together for h in found)


def test_a_draw_is_the_inverse_of_the_sums() -> None:
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]))
    for uniform, expected in ((0.0, [0, 0]), (0.25, [1, 0]), (0.65, [1, 1]), (0.95, [2, 2])):
        assert draw(logits, np.full(2, uniform), 1.0).tolist() == expected
    # The fewest that together have half: 0.5 of the first row, 0.6 of the second.
    assert draw(logits, np.array([0.99, 0.99]), 0.5).tolist() == [1, 0]
