"""Pairs on disk, the split by source side, and batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.config.options import SideOptions
from dragoman.data import corpus as corpus_module
from dragoman.data.batches import assemble, pad
from dragoman.data.corpus import Corpus, hold_out, read_text, write_ids, write_text
from dragoman.data.pairs import Pair
from dragoman.data.plans import (
    LEAST_FILLED,
    MOST_PADDING,
    plan_batches,
    plan_buckets,
    plan_sentences,
)
from dragoman.data.sameness import sentence_key
from dragoman.data.tokenizer import BOS, EOS, PAD, Tokenizer, train_tokenizer
from dragoman.errors import DataError, FolderError

PAIRS = [Pair(f"w{i} w{i % 5} !", f"t{i % 7} " * (1 + i % 4), i + 1) for i in range(50)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several record batches, the last one short."""
    monkeypatch.setattr(corpus_module, "CHUNK", 8)


def learn(texts: list[str]) -> Tokenizer:
    return train_tokenizer(texts, SideOptions(level="word", vocabulary=1000))


@pytest.fixture
def tokenizers() -> tuple[Tokenizer, Tokenizer]:
    return learn([p.source for p in PAIRS]), learn([p.target for p in PAIRS])


def build(folder: Path, tokenizers: tuple[Tokenizer, Tokenizer], **more: object) -> Corpus:
    text = folder / "text.arrow"
    write_text(PAIRS, text)
    rows = np.arange(len(PAIRS)) % 3 != 0
    write_ids(text, rows, tokenizers, (99, 99), folder / "ids.arrow", keep_text=True)
    return Corpus(folder / "ids.arrow")


def test_text_comes_back_in_order(tmp_path: Path) -> None:
    assert write_text(PAIRS, tmp_path / "text.arrow") == 50
    rows = [
        Pair(s, t, int(n))
        for sources, targets, lines in read_text(tmp_path / "text.arrow")
        for s, t, n in zip(sources, targets, lines, strict=True)
    ]
    assert rows == PAIRS


def test_ids_are_those_of_the_chosen_rows(
    tmp_path: Path, tokenizers: tuple[Tokenizer, Tokenizer]
) -> None:
    corpus = build(tmp_path, tokenizers)
    chosen = [p for i, p in enumerate(PAIRS) if i % 3]
    assert len(corpus) == len(chosen)
    assert corpus.texts() == [(p.source, p.target) for p in chosen]
    for row, pair in enumerate(chosen):
        source, target = corpus.pair(row)
        assert tokenizers[0].decode(source.ids) == pair.source
        assert tokenizers[1].decode(target) == pair.target.strip()
        assert corpus.source_lengths[row] == len(source)
        assert corpus.target_lengths[row] == len(target)


def test_pairs_that_cannot_be_used_are_counted(
    tmp_path: Path, tokenizers: tuple[Tokenizer, Tokenizer]
) -> None:
    text = tmp_path / "text.arrow"
    write_text([*PAIRS, Pair("\u200b", "t1", 51), Pair("w1 " * 9, "t1", 52)], text)
    left_out = write_ids(
        text, np.ones(52, dtype=bool), tokenizers, (8, 99), tmp_path / "x", keep_text=False
    )
    assert left_out == {"a side normalises to nothing": 1, "a side has too many tokens": 1}
    assert len(Corpus(tmp_path / "x")) == 50


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0", b"garbage" * 99, None])
def test_a_damaged_corpus(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(FolderError, match="x: (is not a corpus|cannot be read)"):
        Corpus(tmp_path / "x")


@given(
    sources=st.lists(
        st.sampled_from(["a b", "A, b!", "c", "d e f", "g", "h", "I", "i."]),
        min_size=1,
        max_size=60,
    ),
    wanted=st.integers(0, 40),
    seed=st.integers(0, 9),
)
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_sentence_is_on_both_sides_of_the_split(
    sources: list[str], wanted: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("split") / "text.arrow"
    write_text([Pair(s, "t", i) for i, s in enumerate(sources)], path)
    held = hold_out(path, wanted, seed)
    inside = {sentence_key(s) for s, h in zip(sources, held, strict=True) if h}
    outside = {sentence_key(s) for s, h in zip(sources, held, strict=True) if not h}
    assert not inside & outside
    assert held.sum() <= min(wanted, len(sources) // 10)
    assert (hold_out(path, wanted, seed) == held).all()


def test_the_split_holds_out_what_was_asked_for(tmp_path: Path) -> None:
    write_text([Pair(f"s{i}", "t", i) for i in range(500)], tmp_path / "t")
    first, second = (hold_out(tmp_path / "t", 30, seed) for seed in (1, 2))
    assert first.sum() == second.sum() == 30
    assert (first != second).any()
    assert hold_out(tmp_path / "t", 400, 1).sum() == 50  # a tenth at most


lengths = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=300)


@given(lengths, st.integers(1, 600), st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None)
def test_a_plan_holds_every_pair_once_within_its_bounds(
    pairs: list[tuple[int, int]], tokens: int, seed: int, epoch: int
) -> None:
    source, target = np.array(pairs, dtype=np.int32).T
    plan = plan_batches(source, target, tokens, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(pairs)))
    for rows in plan:
        positions = len(rows) * (target[rows].max() + 1)
        assert positions <= tokens or len(rows) == 1
        padding = 1 - (source[rows] + 1).sum() / (len(rows) * (source[rows].max() + 1))
        within = len(rows) - 1
        if within * (target[rows].max() + 1) > LEAST_FILLED * tokens:
            # one pair fewer was within the bound, or was below the least that a batch holds
            assert padding <= MOST_PADDING + 1 / len(rows)
    again = plan_batches(source, target, tokens, seed=seed, epoch=epoch)
    assert all((a == b).all() for a, b in zip(plan, again, strict=True))


@given(lengths, st.integers(1, 50), st.integers(0, 5))
@settings(deadline=None)
def test_sentence_batches_hold_every_pair_once(
    pairs: list[tuple[int, int]], count: int, seed: int
) -> None:
    source, target = np.array(pairs, dtype=np.int32).T
    plan = plan_sentences(source, target, count, seed=seed, epoch=1)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(pairs)))
    sizes = sorted(len(rows) for rows in plan)
    assert set(sizes[1:]) <= {count} and sizes[0] <= count


def test_buckets_are_drawn_evenly_and_hold_what_fits() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(1, 30, size=(2, 4000)).astype(np.int32)
    buckets = ((5, 10), (7, 12), (20, 20))
    plan = plan_buckets(source, target, buckets, 8, seed=1, epoch=0)
    used = (source <= 20) & (target <= 20)
    assert len(plan) == -(-int(used.sum()) // 8)
    drawn = np.zeros(3)
    for rows in plan:
        assert len(set(rows.tolist())) == 8
        smallest = [
            next(i for i, (s, t) in enumerate(buckets) if source[r] <= s and target[r] <= t)
            for r in rows
        ]
        assert len(set(smallest)) == 1
        drawn[smallest[0]] += 1
    assert (np.abs(drawn / len(plan) - 1 / 3) < 0.1).all()  # whatever the buckets hold


def test_no_pair_fits_a_bucket() -> None:
    lengths_ = np.array([9], dtype=np.int32)
    with pytest.raises(DataError, match=r"no pair fits a bucket \(raise training.buckets\)"):
        plan_buckets(lengths_, lengths_, ((5, 10),), 8, seed=1, epoch=0)


def test_epochs_differ_in_batches_and_in_their_order() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(3, 6, size=(2, 400)).astype(np.int32)
    first, second = (plan_batches(source, target, 60, seed=1, epoch=e) for e in (0, 1))
    assert {tuple(sorted(r)) for r in first} != {tuple(sorted(r)) for r in second}


def test_like_lengths_stand_together() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(1, 30, size=(2, 20_000)).astype(np.int32)
    plan = plan_batches(source, target, 1000, seed=1, epoch=0)
    for lengths_, most in ((target + 1, 0.02), (source + 1, 0.12)):
        padded = sum(len(rows) * lengths_[rows].max() for rows in plan)
        assert 1 - lengths_.sum() / padded < most


def test_a_batch_by_hand(tmp_path: Path) -> None:
    pairs = [Pair("a b c", "x", 1), Pair("b", "y x", 2)]
    source, target = learn(["a b c"] * 3 + ["b b", "c"]), learn(["x x y"])
    write_text(pairs, tmp_path / "t")
    write_ids(
        tmp_path / "t", np.ones(2, bool), (source, target), (9, 9), tmp_path / "i", keep_text=False
    )
    batch = assemble(Corpus(tmp_path / "i"), np.array([1, 0]))
    b, c, a = (int(source.encode([w])[0][0]) for w in "bca")
    x, y = (int(target.encode([w])[0][0]) for w in "xy")
    assert batch.source.tolist() == [[b, EOS, PAD, PAD], [a, b, c, EOS]]
    assert batch.source_mask.tolist() == [[True, True, False, False], [True] * 4]
    assert batch.target_in.tolist() == [[BOS, y, x], [BOS, x, PAD]]
    assert batch.target_out.tolist() == [[y, x, EOS], [x, EOS, PAD]]
    assert batch.target_mask.tolist() == [[True, True, True], [True, True, False]]
    assert batch.target_tokens == 5


def test_padding_to_a_multiple() -> None:
    ids, mask = pad([np.array([7, 8, 9], dtype=np.int32)], last=EOS, multiple=8)
    assert ids.tolist() == [[7, 8, 9, EOS, PAD, PAD, PAD, PAD]]
    assert mask.dtype == torch.bool and mask.sum() == 4
