"""Search against exhaustive enumeration, over a model that is a table of probabilities."""

from __future__ import annotations

import gc
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import BOS, EOS
from dragoman.search.batched import BatchedScorer
from dragoman.search.choose import largest
from dragoman.search.constraints import Constraints, Phrases
from dragoman.search.hypotheses import Frontier, Hypothesis
from dragoman.search.loop import search
from table_network import (
    VOCABULARY,
    WORDS,
    ShortNetwork,
    TableNetwork,
    outputs,
    plain,
    source,
    total,
)


def naive_greedy(scorer: TableNetwork, number: int, limit: int) -> tuple[int, ...]:
    history: tuple[int, ...] = (BOS,)
    while len(history) <= limit + 1:
        scores = scorer.log_probs(number, history)
        best = max((EOS, *WORDS), key=lambda t: scores[t])
        if best == EOS:
            break
        history = (*history, best)
    return history[1:]


LIMITED = SearchOptions(max_ratio=0.0, unknown="drop")  # 20 tokens at most


@given(st.integers(0, 10**6), st.lists(st.integers(0, 99), min_size=1, max_size=6))
@settings(deadline=None)
def test_a_beam_of_one_is_greedy_search(seed: int, numbers: list[int]) -> None:
    scorer = TableNetwork(seed)
    found = outputs(scorer, numbers, replace(LIMITED, beam=1))
    for number, hypotheses in zip(numbers, found, strict=True):
        expected = naive_greedy(scorer, number, 20)
        assert hypotheses[0].ids == expected[: len(hypotheses[0].ids)]
        assert len(hypotheses) == 1
        if hypotheses[0].complete:
            assert hypotheses[0].ids == expected
            assert hypotheses[0].log_prob == pytest.approx(total(scorer, number, expected))


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None, max_examples=30)
def test_a_wide_beam_finds_the_best_of_all_outputs(seed: int, penalty: float) -> None:
    scorer = ShortNetwork(seed)
    every = [ids for n in range(4) for ids in itertools.product(WORDS, repeat=n)]
    scores = {ids: total(scorer, 7, ids) / (len(ids) + 1) ** penalty for ids in every}
    best = max(scores, key=lambda ids: scores[ids])
    options = replace(LIMITED, beam=len(every), n_best=len(every), length_penalty=penalty)
    found = outputs(scorer, [7], options)[0]
    assert found[0].ids == best
    assert found[0].score == pytest.approx(scores[best], rel=1e-5)
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(scores[hypothesis.ids], rel=1e-5)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


@given(st.integers(0, 10**6), st.integers(1, 5), st.permutations(range(6)))
@settings(deadline=None, max_examples=30)
def test_company_does_not_change_an_answer(seed: int, beam: int, order: list[int]) -> None:
    scorer = TableNetwork(seed)
    options = replace(LIMITED, beam=beam, n_best=beam)
    together = outputs(scorer, order, options, attention=True)
    for number, hypotheses in zip(order, together, strict=True):
        alone = outputs(scorer, [number], options, attention=True)[0]
        assert [h.ids for h in hypotheses] == [h.ids for h in alone]
        assert [h.score for h in hypotheses] == [h.score for h in alone]
        for one, other in zip(hypotheses, alone, strict=True):
            assert one.weights is not None and other.weights is not None
            np.testing.assert_array_equal(one.weights, other.weights)


SEARCHES = [
    {"beam": 1},
    {"beam": 3, "n_best": 2},
    {"no_repeat": 2},
    {"min_ratio": 2.0, "beam": 2},
    {"temperature": 0.7, "n_best": 2},
    {"temperature": 1.0, "top_k": 2},
    {"coverage_penalty": 0.3, "diversity": 0.2},
]


@pytest.mark.slow
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 99), min_size=2, max_size=9, unique=True),
    st.integers(1, 4),
    st.sampled_from(SEARCHES),
)
@settings(deadline=None)
def test_sentences_that_begin_later_get_the_same_answers(
    seed: int, numbers: list[int], batch_size: int, asked: dict[str, float]
) -> None:
    options = replace(LIMITED, **asked)  # type: ignore[arg-type]
    must = Phrases([[(5, 6)]], None)
    constraints = [plain(options, n) for n in numbers]
    if not options.temperature:
        constraints[0] = replace(constraints[0], prefix=(4, 5))
        constraints[1] = replace(constraints[1], phrases=must)
    asked_of = (TableNetwork(seed), numbers, options, constraints)
    few = outputs(
        *asked_of[:2], replace(options, batch_size=batch_size), constraints, attention=True
    )
    all_ = outputs(*asked_of, attention=True)
    for one, other in zip(few, all_, strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a.ids, a.score, a.steps) == (b.ids, b.score, b.steps)
            np.testing.assert_array_equal(a.weights, b.weights)


def test_sentences_take_the_place_of_those_that_are_done() -> None:
    class Long(TableNetwork):
        """A sentence ends after as many words as its number says."""

        def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
            scores = np.full(VOCABULARY, -9.0, dtype=np.float32)
            scores[EOS if len(history) > source else 5] = 0.0
            return scores

    scorer, numbers = BatchedScorer(Long(0)), [8, 1, 1, 1, 1, 1, 1]
    taken: list[int] = []
    step = scorer.step
    scorer.step = lambda tokens, *rest: taken.append(len(tokens)) or step(tokens, *rest)  # type: ignore
    found = outputs(scorer, numbers, replace(LIMITED, beam=1, batch_size=2))
    assert [len(f[0].ids) for f in found] == numbers
    # nine steps of the long one, two of each short one: 21 in two places
    assert taken == [2] * 10 + [1]


@pytest.mark.slow
@pytest.mark.parametrize("asked", SEARCHES[-3:])
def test_a_long_stream_keeps_only_what_is_at_work(asked: dict[str, float]) -> None:
    batch_size = 4
    options = replace(LIMITED, batch_size=batch_size, **asked)  # type: ignore[arg-type]
    most_at_work = 0

    def alive() -> int:
        gc.collect()
        return sum(type(one) in (Constraints, Hypothesis) for one in gc.get_objects())

    def count(frontier: Frontier) -> None:
        nonlocal most_at_work
        most_at_work = max(most_at_work, 1 + int(frontier.sentences.max()))

    before = alive()
    stream = (((source(n),), plain(options, n)) for n in range(600))
    scorer = BatchedScorer(ShortNetwork(3))
    searching = search(scorer, stream, options, observer=count)
    for done, (_, hypotheses) in enumerate(searching):
        del hypotheses
        if done % 100 == 99:
            assert alive() < before + 10 * batch_size
    assert done == 599
    assert batch_size <= most_at_work <= batch_size * options.hypotheses


def test_attention_belongs_to_the_tokens_of_its_hypothesis() -> None:
    scorer = TableNetwork(3)
    for hypothesis in outputs(scorer, [1], replace(LIMITED, n_best=5), attention=True)[0]:
        assert hypothesis.weights is not None
        history: tuple[int, ...] = (BOS,)
        for step, token in enumerate((*hypothesis.ids, EOS)[: len(hypothesis.weights)]):
            np.testing.assert_array_equal(
                hypothesis.weights[step], np.exp(scorer.log_probs(1, history)[:2])
            )
            history = (*history, token)


class EndlessNetwork(TableNetwork):
    """Never ends of its own will."""

    def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
        scores = super().log_probs(source, history)
        scores[EOS] = -np.inf
        return scores


@pytest.mark.parametrize("beam", [1, 4])
def test_an_endless_output_is_cut_at_its_limit(beam: int) -> None:
    options = SearchOptions(beam=beam, n_best=beam, max_ratio=3.0)
    found = outputs(EndlessNetwork(1), [1], options)[0]
    assert len(found) == beam
    assert all(len(h.ids) == 24 and not h.complete for h in found)  # 3 x 1 + 20, and one more


def test_a_finished_sentence_is_no_longer_computed() -> None:
    class Uneven(TableNetwork):
        def log_probs(self, source: int, history: tuple[int, ...]) -> np.ndarray:
            scores = np.full(VOCABULARY, -9.0, dtype=np.float32)
            scores[EOS if len(history) > source else 5] = 0.0
            return scores

    scorer = Uneven(0)
    found = outputs(scorer, (1, 4, 2), replace(LIMITED, beam=1))
    assert [len(f[0].ids) for f in found] == [1, 4, 2]
    assert scorer.rows == 3 + 3 + 2 + 1 + 1


@given(
    st.integers(1, 4), st.integers(1, 900), st.integers(1, 12), st.integers(0, 10**6), st.booleans()
)
@settings(deadline=None)
def test_largest_is_a_stable_sort(
    rows: int, columns: int, count: int, seed: int, ties: bool
) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns)).astype(np.float32)
    if ties:
        values = np.round(values)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(largest(values, count), expected)
