"""Pairs on disk, the split by source side, and batches."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import Config, SideOptions, TrainingOptions
from dragoman.config.toml import merge
from dragoman.data import text as text_module
from dragoman.data.batches import assemble
from dragoman.data.corpus import Corpus, write_corpus
from dragoman.data.invisible import sentence_key
from dragoman.data.pairs import Pair
from dragoman.data.plans import (
    LEAST_FILLED,
    MOST_PADDING,
    ROUND,
    Group,
    Lengths,
    Rows,
    plan_batches,
    plan_buckets,
    plan_epoch,
    side_by_side,
)
from dragoman.data.shards import encode, tell, usable
from dragoman.data.source import pad
from dragoman.data.text import (
    HELD_OUT,
    LEFT_OUT,
    TRAIN,
    StoredText,
    held_out_rows,
    split_keys,
    store_text,
)
from dragoman.data.tokenizer import BOS, EOS, PAD, Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import DataError, FolderError

PAIRS = [Pair(f"w{i} w{i % 5} !", f"t{i % 7} " * (1 + i % 4), i + 1) for i in range(50)]


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Iterator[None]:
    """Several record batches, the last one short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "CHUNK", 8)
        yield


def learn(texts: list[str]) -> Tokenizer:
    return train_tokenizer(texts, SideOptions(level="word", vocabulary=1000))


@pytest.fixture
def tokenizers() -> tuple[Tokenizer, Tokenizer]:
    return learn([p.source for p in PAIRS]), learn([p.target for p in PAIRS])


def build(
    path: Path,
    pairs: list[Pair],
    tokenizers: tuple[Tokenizer, Tokenizer],
    *,
    keep_text: bool = False,
    limits: dict[str, Any] | None = None,
) -> tuple[int, list[str]]:
    """Write the corpus of ``pairs``; the number written, and what is said of those left out."""
    said, left_out = list[str](), Counter[str]()
    config = merge(Config(), limits or {}, place="test")
    examples = encode(((TRAIN, pair) for pair in pairs), list(tokenizers), config)
    kept = usable(examples, left_out, config if limits else None)
    written = write_corpus(path, kept, keep_text=keep_text)
    tell(left_out, "training" if limits else "validation", said.append)
    return written.total(), said


def stored(folder: Path, pairs: list[Pair], **options: Any) -> StoredText:
    """The text of ``pairs`` on disk, with options of the data."""
    config = merge(Config(), {"data": options}, place="test")
    return store_text([[], pairs], folder / "text.arrow", config)


def test_text_comes_back_in_order(tmp_path: Path) -> None:
    text = stored(tmp_path, PAIRS, validation=4)
    parts = dict(zip(range(1, 51), text.parts.tolist(), strict=True))
    held = [(HELD_OUT, pair) for pair in PAIRS if parts[pair.line] == HELD_OUT]
    assert list(text.held_out()) == held
    learned = [(TRAIN, pair) for pair in PAIRS if parts[pair.line] == TRAIN]
    assert [list(pairs) for pairs in text.shards()] == [learned]
    for training in (True, False):
        expected = [pair.target for pair in PAIRS if (parts[pair.line] == TRAIN) == training]
        assert list(text.column("target", training=training)) == expected
    assert sorted(parts.values()) == [HELD_OUT] * 4 + [TRAIN] * 46


@given(
    pairs=st.lists(
        st.tuples(st.text("ab é\u00a0", min_size=1, max_size=9), st.text("xy ", max_size=5)),
        min_size=1,
        max_size=40,
    ),
    least=st.integers(0, 3),
    most=st.integers(0, 6),
    wanted=st.integers(0, 4),
    shared=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_one_pass_finds_what_a_pass_for_each_would(
    pairs: list[tuple[str, str]],
    least: int,
    most: int,
    wanted: int,
    shared: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    side = {"min_characters": least, "max_characters": most}
    tree = {
        "source": side,
        "target": side if shared else {},
        "data": {"validation": wanted},
        "model": {"shared_embeddings": shared},
    }
    config = merge(Config(), tree, place="test")
    normals = [tuple(" ".join(text.split()) for text in pair) for pair in pairs]
    bounds = range(least, (most or 99) + 1)
    fits = [
        len(source) in bounds and (not shared or len(target) in bounds)
        for source, target in normals
    ]
    path = tmp_path_factory.mktemp("once") / "text.arrow"
    made = [Pair(source, target, 1) for source, target in pairs]
    if not any(fits):
        with pytest.raises(DataError, match="no pair has the length asked for"):
            store_text([[], made], path, config)
        return
    text = store_text([[], made], path, config)
    held = held_out_rows(split_keys([p.source for p in made], 1), wanted)
    expected = [
        LEFT_OUT if not f else HELD_OUT if h else TRAIN for f, h in zip(fits, held, strict=True)
    ]
    assert text.parts.tolist() == expected
    sides = [
        [pair[n] for pair, part in zip(pairs, expected, strict=True) if part == TRAIN]
        for n in (0, 1)
    ]
    assert [list(text.column(name)) for name in ("source", "target")] == sides
    used = [(part, pair) for part, pair in zip(expected, made, strict=True) if part != LEFT_OUT]
    assert list(text.held_out()) == [one for one in used if one[0] == HELD_OUT]
    assert list(chain.from_iterable(text.shards())) == [one for one in used if one[0] == TRAIN]
    counted = [sides[0] + sides[1]] * 2 if shared else sides
    for texts, found in zip(counted, text.statistics.values(), strict=True):
        words = [word for one in texts for word in one.split()]
        letters = Counter(c for one in texts if not one.isascii() for c in set(one))
        assert (found.lines, found.words) == (len(texts), Counter(words))
        assert found.characters == sum(map(len, texts)) and found.texts_with == letters
        assert found.alphabet >= set("".join(texts))


def test_ids_are_those_of_the_rows(tmp_path: Path, tokenizers: tuple[Tokenizer, Tokenizer]) -> None:
    chosen = [p for i, p in enumerate(PAIRS) if i % 3]
    written, said = build(tmp_path / "ids.arrow", chosen, tokenizers, keep_text=True)
    assert written == len(chosen) and not said
    corpus = Corpus(tmp_path / "ids.arrow")
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
    pairs = [*PAIRS, Pair("\u200b", "t1", 51), Pair("w1 " * 9, "t1", 52), Pair("w1", "new", 53)]
    limits = {"source": {"max_tokens": 8}, "data": {"drop_unknown": True}}
    written, said = build(tmp_path / "x", pairs, tokenizers, limits=limits)
    assert said == [
        "1 pair left out of training: a side normalises to nothing",
        "1 pair left out of training: a side has too many tokens",
        "1 pair left out of training: a token is not in the vocabulary",
    ]
    assert written == len(Corpus(tmp_path / "x")) == 50
    written, said = build(tmp_path / "y", pairs, tokenizers, keep_text=True)
    assert said == ["1 pair left out of validation: a side normalises to nothing"]
    assert written == len(Corpus(tmp_path / "y")) == 52


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0", b"garbage" * 99, None])
def test_a_damaged_corpus(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(FolderError, match="x: is not a corpus"):
        Corpus(tmp_path / "x")


def test_a_corpus_cut_short_or_changed_is_read_or_refused(
    tmp_path: Path, tokenizers: tuple[Tokenizer, Tokenizer]
) -> None:
    path, random = tmp_path / "x", np.random.default_rng(0)
    build(path, PAIRS, tokenizers, keep_text=True)
    whole, refused = path.read_bytes(), 0
    for _ in range(400):
        damaged = np.frombuffer(whole, np.uint8).copy()
        if random.random() < 0.3:
            damaged = damaged[: random.integers(len(damaged))]
        else:
            damaged[random.integers(len(damaged), size=3)] = random.integers(256, size=3)
        path.write_bytes(damaged.tobytes())
        try:
            corpus = Corpus(path)
            rows = [corpus.pair(row) for row in range(len(corpus))]
            assert all(len(one.ids) >= 0 and int(ids.sum()) < 2**60 for one, ids in rows)
            assert len(corpus.texts()) == len(rows)
        except FolderError as error:
            refused += "is not a corpus" in str(error)
    assert 100 < refused < 400


@pytest.mark.parametrize(
    "columns", [{"source": pa.list_(pa.int32())}, {"source": pa.list_(pa.int64())}]
)
def test_a_file_of_other_columns_is_no_corpus(tmp_path: Path, columns: dict[str, Any]) -> None:
    with pa.ipc.new_file(str(tmp_path / "x"), pa.schema(columns)):
        pass
    with pytest.raises(FolderError, match="x: is not a corpus: its columns are source, or of"):
        Corpus(tmp_path / "x")
    build(tmp_path / "x", PAIRS, (learn(["w1"]), learn(["t1"])))
    with pa.ipc.open_file(str(tmp_path / "x")) as reader:
        table = reader.read_all()
    wrong = table.set_column(0, "source", table["source"].cast(pa.list_(pa.int64())))
    with pa.ipc.new_file(str(tmp_path / "x"), wrong.schema) as writer:
        writer.write_table(wrong)
    with pytest.raises(FolderError, match="x: is not a corpus: its columns are source, target, "):
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
@settings(deadline=None, max_examples=50)
def test_no_sentence_is_on_both_sides_of_the_split(
    sources: list[str], wanted: int, seed: int
) -> None:
    held = held_out_rows(split_keys(sources, seed), wanted)
    inside = {sentence_key(s) for s, h in zip(sources, held, strict=True) if h}
    outside = {sentence_key(s) for s, h in zip(sources, held, strict=True) if not h}
    assert not inside & outside
    assert held.sum() <= min(wanted, len(sources) // 10)
    assert (held_out_rows(split_keys(sources, seed), wanted) == held).all()


@given(keys=st.lists(st.integers(0, 12), max_size=80), wanted=st.integers(0, 12))
@settings(deadline=None)
def test_held_out_rows_are_those_of_a_count_of_all_keys(keys: list[int], wanted: int) -> None:
    room, taken, chosen = min(wanted, len(keys) // 10), 0, set[int]()
    for key in sorted(set(keys)):
        if (rows := keys.count(key)) <= room and taken <= room:
            taken += rows
            if taken <= room:
                chosen.add(key)
    held = held_out_rows(np.array(keys, np.uint64), wanted)
    assert held.tolist() == [key in chosen for key in keys]


def test_the_split_holds_out_what_was_asked_for() -> None:
    sources = [f"s{i}" for i in range(500)]
    first, second = (held_out_rows(split_keys(sources, seed), 30) for seed in (1, 2))
    assert first.sum() == second.sum() == 30
    assert (first != second).any()
    assert held_out_rows(split_keys(sources, 1), 400).sum() == 50  # a tenth at most


def every(lengths_: Lengths) -> Rows:
    """The numbers of all rows."""
    return np.arange(len(lengths_), dtype=np.int32)


lengths = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=300)


@given(lengths, st.integers(1, 600), st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None)
def test_a_plan_holds_every_pair_once_within_its_bounds(
    pairs: list[tuple[int, int]], tokens: int, seed: int, epoch: int
) -> None:
    source, target = np.array(pairs, dtype=np.int32).T
    plan = plan_batches(every(source), source, target, tokens=tokens, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(pairs)))
    for rows in plan:
        positions = len(rows) * (target[rows].max() + 1)
        assert positions <= tokens or len(rows) == 1
        padding = 1 - (source[rows] + 1).sum() / (len(rows) * (source[rows].max() + 1))
        within = len(rows) - 1
        if within * (target[rows].max() + 1) > LEAST_FILLED * tokens:
            # one pair fewer was within the bound, or was below the least that a batch holds
            assert padding <= MOST_PADDING + 1 / len(rows)
    again = plan_batches(every(source), source, target, tokens=tokens, seed=seed, epoch=epoch)
    assert all((a == b).all() for a, b in zip(plan, again, strict=True))


@given(lengths, st.integers(1, 50), st.integers(0, 5))
@settings(deadline=None)
def test_sentence_batches_hold_every_pair_once(
    pairs: list[tuple[int, int]], count: int, seed: int
) -> None:
    source, target = np.array(pairs, dtype=np.int32).T
    plan = plan_batches(every(source), source, target, sentences=count, seed=seed, epoch=1)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(pairs)))
    sizes = sorted(len(rows) for rows in plan)
    assert set(sizes[1:]) <= {count} and sizes[0] <= count


def test_buckets_are_drawn_evenly_and_hold_what_fits() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(1, 30, size=(2, 4000)).astype(np.int32)
    buckets = ((5, 10), (7, 12), (20, 20))
    plan = plan_buckets(every(source), source, target, buckets=buckets, count=8, seed=1, epoch=0)
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
        plan_buckets(
            every(lengths_), lengths_, lengths_, buckets=((5, 10),), count=8, seed=1, epoch=0
        )


def test_epochs_differ_in_batches_and_in_their_order() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(3, 6, size=(2, 400)).astype(np.int32)
    first, second = (
        plan_batches(every(source), source, target, tokens=60, seed=1, epoch=e) for e in (0, 1)
    )
    assert {tuple(sorted(r)) for r in first} != {tuple(sorted(r)) for r in second}


def test_windows_hold_every_pair_once_and_take_it_from_the_whole_corpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dragoman.data.plans.WINDOW", 500)
    random = np.random.default_rng(0)
    source, target = random.integers(1, 9, size=(2, 5_000)).astype(np.int32)
    plan = plan_batches(every(source), source, target, tokens=200, seed=1, epoch=0)
    assert sorted(np.concatenate(plan).tolist()) == list(range(5_000))
    assert max(len(rows) * (target[rows].max() + 1) for rows in plan) <= 200
    # Each window, and so each batch, is drawn from all rows: not from neighbours in the file.
    widest = [int(np.ptp(rows)) for rows in plan if len(rows) >= 10]
    assert min(widest) > 1_000 and len(widest) > 100


def test_planning_an_epoch_takes_at_most_16_bytes_a_pair() -> None:
    random, pairs = np.random.default_rng(0), 1_000_000
    source, target = random.integers(5, 40, size=(2, pairs)).astype(np.int32)
    groups = [Group(pairs - 10_000), Group(10_000, "more", 1.5)]
    tracemalloc.start()
    options = TrainingOptions(batch_tokens=4000)
    plan = plan_epoch(groups, source, target, options=options, epoch=0, processes=1)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(map(len, plan)) == pairs + 5_000
    assert most <= 16 * pairs + 12e6


@given(lengths, st.integers(2, 5))
@settings(deadline=None)
def test_processes_get_batches_of_like_size(pairs: list[tuple[int, int]], processes: int) -> None:
    source, target = np.array(pairs, dtype=np.int32).T
    plan = plan_batches(every(source), source, target, tokens=60, seed=1, epoch=0)
    found = side_by_side(plan, source, target, processes=processes)
    assert sorted(map(bytes, found)) == sorted(map(bytes, plan))
    places = {bytes(rows): at for at, rows in enumerate(plan)}
    assert all(abs(places[bytes(rows)] - at) < ROUND * processes for at, rows in enumerate(found))


def test_a_step_of_several_processes_waits_for_no_longer_batch() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(1, 60, size=(2, 9_000)).astype(np.int32)
    options = TrainingOptions(batching="sentences", batch_sentences=30)
    waits = []
    for processes in (1, 4):
        plan = plan_epoch(
            [Group(9_000)], source, target, options=options, epoch=0, processes=processes
        )
        sizes = [len(rows) * int(source[rows].max() + target[rows].max()) for rows in plan]
        sizes = np.array(sizes).reshape(-1, 4)
        waits.append((sizes.max(1) / sizes.mean(1)).mean())
    assert waits[0] > 1.3 and waits[1] < 1.1


def test_like_lengths_stand_together() -> None:
    random = np.random.default_rng(0)
    source, target = random.integers(1, 30, size=(2, 20_000)).astype(np.int32)
    plan = plan_batches(every(source), source, target, tokens=1000, seed=1, epoch=0)
    for lengths_, most in ((target + 1, 0.02), (source + 1, 0.12)):
        padded = sum(len(rows) * lengths_[rows].max() for rows in plan)
        assert 1 - lengths_.sum() / padded < most


def test_a_batch_by_hand(tmp_path: Path) -> None:
    pairs = [Pair("a b c", "x", 1), Pair("b", "y x", 2)]
    source, target = learn(["a b c"] * 3 + ["b b", "c"]), learn(["x x y"])
    build(tmp_path / "i", pairs, (source, target))
    batch = assemble(map(Corpus(tmp_path / "i").pair, (1, 0)))
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
    assert mask.dtype == np.bool_ and mask.sum() == 4
