"""Several files of pairs with weights: what an epoch has of them, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import merge
from dragoman.data.corpus import Corpus, write_groups
from dragoman.data.plans import Group, draw_rows
from dragoman.data.prepare import Prepared, prepare
from dragoman.errors import DataError, FolderError, OptionError
from dragoman.training.plan import resolve

GROUPS = st.lists(
    st.builds(Group, st.integers(0, 30), st.just(""), st.floats(0.01, 3.5)), min_size=1, max_size=4
)


def write(path: Path, pairs: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), "utf-8")
    return path


def made(place: Path, also: dict[str, float], **data: Any) -> tuple[Prepared, list[str]]:
    """Prepare sixty main pairs with other files beside them; the data, and what was said."""
    words = {"level": "word"}
    also_texts = [f"{place / name}={weight}" for name, weight in also.items()]
    tree = {"data": {"also": also_texts, **data}, "source": words, "target": words}
    main = write(place / "main.tsv", [(f"one w{i}", f"m{i}") for i in range(60)])
    (place / "out").mkdir()
    said: list[str] = []
    return prepare([main], place / "out", merge(Config(), tree, place="test"), said.append), said


@given(groups=GROUPS, seed=st.integers(0, 99), epoch=st.integers(0, 99))
def test_an_epoch_has_each_group_as_often_as_its_weight_says(
    groups: list[Group], seed: int, epoch: int
) -> None:
    rows = draw_rows(groups, seed, epoch)
    start = 0
    for group in groups:
        own = rows[(rows >= start) & (rows < start + group.rows)] - start
        times = np.bincount(own, minlength=group.rows) if group.rows else own
        assert len(own) == (max(1, round(group.rows * group.weight)) if group.rows else 0)
        assert not len(own) or times.max() - times.min() <= 1  # no row twice before all are once
        start += group.rows
    assert np.array_equal(rows, draw_rows(groups, seed, epoch))


def test_each_epoch_and_each_seed_draws_other_rows() -> None:
    groups = [Group(100), Group(1000, "", 0.1)]
    first, *others = [draw_rows(groups, s, e) for s, e in ((1, 0), (1, 1), (2, 0))]
    assert first[:100].tolist() == list(range(100))
    for other in others:
        assert len({*first[100:].tolist()} & {*other[100:].tolist()}) < 40


def test_one_group_is_drawn_in_its_order_as_before_there_were_groups() -> None:
    assert draw_rows([Group(7)], 3, 5).tolist() == list(range(7))


def test_files_stand_behind_the_main_pairs_and_are_not_held_out(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", [(f"two w{i}", f"a{i}") for i in range(20)])
    write(tmp_path / "b.tsv", [(f"three w{i}", f"b{i}") for i in range(10)])
    found, said = made(tmp_path, {"a.tsv": 0.3, "b.tsv": 2})
    groups = [(g.rows, Path(g.name).name, g.weight) for g in found.train.groups]
    assert groups == [(54, "main.tsv", 1), (20, "a.tsv", 0.3), (10, "b.tsv", 2)]
    targets = [found.target.decode(found.train.pair(row)[1]) for row in range(len(found.train))]
    assert [t[0] for t in targets] == ["m"] * 54 + ["a"] * 20 + ["b"] * 10
    assert all(target.startswith("m") for _, target in found.validation.texts())
    assert any(
        "an epoch has 54 of the 54 pairs of" in s and "6 of the 20 pairs of" in s for s in said
    )


def test_a_pair_whose_source_is_held_out_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", [(f"One  w{i}!", f"a{i}") for i in range(60)])
    found, said = made(tmp_path, {"a.tsv": 1})
    assert [group.rows for group in found.train.groups] == [54, 54]
    assert "6 pairs left out: their sources are held out" in said


def test_a_tag_stands_before_the_sources_of_these_files_only(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", [(f"two w{i}", f"a{i}") for i in range(20)])
    found, _ = made(tmp_path, {"a.tsv": 1}, tag_also="<bt>")
    texts = [found.source.decode(found.train.pair(row)[0].ids) for row in (0, 54, 73)]
    assert [text.startswith("<bt> two") for text in texts] == [False, True, True]
    assert found.source.tags.words("<bt> two w3") == "two w3"


@pytest.mark.parametrize("level", ["bpe", "char"])
def test_a_tag_is_one_token_at_every_level(tmp_path: Path, level: str) -> None:
    write(tmp_path / "a.tsv", [(f"two w{i}", f"a{i}") for i in range(20)])
    tree = {"also": [f"{tmp_path / 'a.tsv'}=1"], "tag_also": "<bt>"}
    config = merge(Config(), {"data": tree, "source": {"level": level}}, place="test")
    main = write(tmp_path / "main.tsv", [(f"one w{i}", f"m{i}") for i in range(60)])
    found = prepare([main], tmp_path, config, lambda _: None)
    with_tag, without = found.source.encode(["<bt> two", "two"])
    assert with_tag[1:].tolist() == without.tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"also": ["m.tsv=x"]}, r"also: 'm.tsv=x' has no weight above 0 \(such as m.tsv=0.5\)"),
        ({"also": [""]}, "'' has no weight above 0"),
        ({"also": ["m.tsv=0"]}, "'m.tsv=0' has no weight above 0"),
        ({"also": ["m.tsv=-1"]}, "has no weight above 0"),
        ({"also": ["m.tsv=nan"]}, "has no weight above 0"),
        ({"also": ["m.tsv=1001"]}, "has no weight above 0"),
        ({"also": ["=1"]}, "has no weight above 0"),
        ({"tag_also": "two words"}, "data.tag_also: a tag has no spaces and no semicolons"),
        ({"tag_also": "<bt>", "target_tag": "en"}, "takes neither columns of features nor"),
        ({"replay": 0.5}, "data.replay needs training.start_from, with both training.parts"),
        ({"replay": 1.0}, "data.replay: 1.0 is too large"),
    ],
)
def test_weights_and_tags_that_make_no_sense_are_refused(
    data: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        check_options(merge(Config(), {"data": data}, place="test"))


def test_a_missing_file_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.tsv: no such file"):
        made(tmp_path, {"no.tsv": 1})
    assert not (tmp_path / "out" / "corpus").exists()


def test_groups_of_another_corpus_are_refused(tmp_path: Path) -> None:
    found, _ = made(tmp_path, {})
    path = tmp_path / "out" / "corpus" / "train.arrow"
    write_groups(path, [Group(3)])
    with pytest.raises(FolderError, match=r"train\.json is of another corpus"):
        Corpus(path)
    path.with_suffix(".json").write_text("[[1, 2, 3, 4]]")
    with pytest.raises(FolderError, match="is not a corpus"):
        Corpus(path)
    path.with_suffix(".json").unlink()  # a folder of an earlier version
    assert Corpus(path).groups == (Group(len(found.train)),)


def test_the_length_of_a_continued_training_follows_its_epochs(tmp_path: Path) -> None:
    found, _ = made(tmp_path, {})
    tree = {"replay": 0.5}, {"start_from": "m", "batch_tokens": 1}
    config = merge(found.config, {"data": tree[0], "training": tree[1]}, place="test")
    chosen = resolve(config, found.train).training
    tokens = int(found.train.target_lengths.sum()) + len(found.train)
    assert (chosen.steps, chosen.schedule) == (max(600, 3 * tokens), "cosine")
