"""What must and must not be in an output, repeats, lengths and beginnings."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import SearchOptions
from dragoman.data.source import Source
from dragoman.search.constraints import Banned, Phrases, constraints_of
from table_network import WORDS, ShortNetwork, TableNetwork, outputs, plain, total

LIMITED = SearchOptions(max_ratio=0.0, unknown="drop")  # 20 tokens at most
phrases = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3
)


def holds(ids: tuple[int, ...], phrase: tuple[int, ...]) -> bool:
    return any(ids[i : i + len(phrase)] == phrase for i in range(len(ids)))


@given(st.integers(0, 10**6), phrases, st.sampled_from([1, 3, 6]), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_what_must_be_there_is_there(
    seed: int, must: list[tuple[int, ...]], beam: int, spare: int
) -> None:
    scorer, options = TableNetwork(seed), replace(LIMITED, beam=beam, n_best=beam)
    room = sum(map(len, must)) + spare - 1  # with none to spare, one token before the last
    asked = replace(
        plain(options, 1), phrases=Phrases([[phrase] for phrase in must], None), max_length=room
    )
    found, other = outputs(scorer, [1, 2], options, [asked, plain(options, 2)])
    assert found
    for hypothesis in found:
        assert all(holds(hypothesis.ids, phrase) for phrase in must), hypothesis.ids
        if hypothesis.complete:
            assert hypothesis.log_prob == pytest.approx(total(scorer, 1, hypothesis.ids))
    alone = outputs(scorer, [2], options)[0]  # a neighbour's constraints are not mine
    assert [h.ids for h in other] == [h.ids for h in alone]


@given(st.integers(0, 10**6), st.lists(phrases, min_size=1, max_size=2), st.sampled_from([1, 3, 6]))
@settings(deadline=None, max_examples=60)
def test_one_form_of_every_group_is_there(
    seed: int, groups: list[list[tuple[int, ...]]], beam: int
) -> None:
    scorer, options = TableNetwork(seed), replace(LIMITED, beam=beam, n_best=beam)
    asked = replace(plain(options, 1), phrases=Phrases(groups, None))
    for hypothesis in outputs(scorer, [1], options, [asked])[0]:
        for forms in groups:
            assert any(holds(hypothesis.ids, form) for form in forms), hypothesis.ids


def test_a_wide_beam_takes_the_form_that_makes_the_best_output() -> None:
    scorer, forms = ShortNetwork(11), [(5, 4), (6,), (4, 4, 6)]
    every = [ids for n in range(4) for ids in itertools.product(WORDS, repeat=n)]
    allowed = [ids for ids in every if any(holds(ids, form) for form in forms)]
    best = max(allowed, key=lambda ids: total(scorer, 7, ids) / (len(ids) + 1))
    options = replace(LIMITED, beam=len(every))
    asked = replace(plain(options, 7), phrases=Phrases([forms], None))
    assert outputs(scorer, [7], options, [asked])[0][0].ids == best


def test_what_forms_lack_is_counted_by_the_nearest() -> None:
    must = Phrases([[(4, 5, 6), (7, 8)], [(9,)]], None)
    assert len(must) == 4
    assert must.lacking(()) == (3, [4, 7, 9])
    assert must.lacking((4,)) == (3, [5, 7, 9]), "two more of the long form, or the short one"
    assert must.lacking((4, 5)) == (2, [6, 7, 9])
    assert must.lacking((7,)) == (2, [4, 8, 9])
    assert must.lacking((7, 8)) == (1, [9])
    assert must.lacking((9, 4, 5, 6)) == (0, [])


def test_a_wide_beam_finds_the_best_output_that_holds_a_word() -> None:
    scorer = ShortNetwork(11)
    every = [ids for n in range(4) for ids in itertools.product(WORDS, repeat=n)]
    allowed = [ids for ids in every if holds(ids, (5, 4))]
    best = max(allowed, key=lambda ids: total(scorer, 7, ids) / (len(ids) + 1))
    options = replace(LIMITED, beam=len(every))
    asked = replace(plain(options, 7), phrases=Phrases([[(5, 4)]], None))
    assert outputs(scorer, [7], options, [asked])[0][0].ids == best
    assert outputs(scorer, [7], options)[0][0].ids != best


def test_a_phrase_that_another_token_carries_on_is_not_there() -> None:
    must = Phrases([[(4, 5)]], starts=frozenset({4, 6}))
    assert must.lacking((4, 5)) == (0, [])
    assert must.lacking((4, 5, 6)) == (0, [])
    assert must.lacking((4, 5, 5)) == (2, [4])
    assert must.lacking((6, 4)) == (1, [5])


@given(st.integers(0, 10**6), st.lists(st.sampled_from(WORDS), min_size=1, max_size=2))
@settings(deadline=None, max_examples=40)
def test_what_must_not_be_there_is_not(seed: int, banned: list[int]) -> None:
    texts = ["", "", "", "", "▁a", "▁b", "c", "▁cd"]
    never = Banned(texts, ["".join(texts[i] for i in banned)])
    asked = replace(plain(LIMITED, 1), banned=never)
    for hypothesis in outputs(TableNetwork(seed), [1], LIMITED, [asked])[0]:
        said = "".join(texts[i] for i in hypothesis.ids)
        assert "".join(texts[i] for i in banned) not in said.replace("▁cd", "▁CD") or banned == [7]
        assert not holds(hypothesis.ids, tuple(banned))


def test_a_ban_sees_through_other_spellings() -> None:
    texts = ["", "", "", "", "▁ca", "t", "▁cat", "▁cats", "s", "▁", "c", "at"]
    never = Banned(texts, ["▁cat"])
    following = partial(never.following, own=(), wanted=())
    assert sorted(following(np.array([4]))) == [5, 6]  # "ca" + "t", and the whole word
    assert sorted(following(np.array([9, 10]))) == [6, 11]
    assert sorted(following(np.array([], dtype=int))) == [6]  # "cats" is another word


@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([1, 4]))
@settings(deadline=None, max_examples=40)
def test_no_n_gram_comes_twice(seed: int, size: int, beam: int) -> None:
    options = replace(LIMITED, no_repeat=size, beam=beam, n_best=beam)
    for hypothesis in outputs(TableNetwork(seed), [1], options)[0]:
        grams = [hypothesis.ids[i : i + size] for i in range(len(hypothesis.ids) - size + 1)]
        assert len(grams) == len(set(grams))


@given(st.integers(0, 10**6), st.integers(0, 6), st.lists(st.sampled_from(WORDS), max_size=4))
@settings(deadline=None, max_examples=40)
def test_an_output_begins_as_asked_and_is_not_too_short(
    seed: int, least: int, prefix: list[int]
) -> None:
    scorer = TableNetwork(seed)
    asked = replace(plain(LIMITED, 1), min_length=least, prefix=tuple(prefix))
    best = outputs(scorer, [1], LIMITED, [asked])[0][0]
    assert best.ids[: len(prefix)] == tuple(prefix)
    assert len(best.ids) >= least
    if best.complete:
        assert best.log_prob == pytest.approx(total(scorer, 1, best.ids))


def test_lengths_are_relative_to_the_source() -> None:
    asked = constraints_of(
        SearchOptions(min_ratio=0.5, max_ratio=1.5), Source(np.arange(9, dtype=np.int32))
    )
    assert (asked.source_length, asked.min_length, asked.max_length) == (9, 4, 33)
    nine = Source(np.arange(9, dtype=np.int32))
    assert constraints_of(SearchOptions(max_ratio=1.5, max_added=4), nine).max_length == 17


def test_an_output_ends_where_no_word_is_left() -> None:
    options = replace(LIMITED, no_repeat=1)
    asked = replace(plain(options, 1), min_length=5)  # of four words, each once
    for drawn in (0.0, 1.0):
        for hypothesis in outputs(
            TableNetwork(1), [1], replace(options, temperature=drawn), [asked]
        )[0]:
            assert sorted(hypothesis.ids) == [*WORDS] and hypothesis.complete
            assert np.isfinite(hypothesis.score)
