"""Corpora of several files, and preparations that are interrupted."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.data import shards, text, vocabularies
from dragoman.data.corpus import Corpus
from dragoman.data.prepare import Prepared, prepare
from dragoman.data.tokenizer import UNK
from dragoman.errors import DataError, FolderError

PAIRS = [(f"a{i} b{i % 7}", f"B{i % 7} A{i}") for i in range(100)]
WORD = {"level": "word", "vocabulary": 300}
TREE: dict[str, Any] = {"source": WORD, "target": WORD, "data": {"validation": 5}}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of two record batches of eight rows: seven for :data:`PAIRS`."""
    monkeypatch.setattr(text, "CHUNK", 8)
    monkeypatch.setattr(text, "SHARD", 2)


def prepared(
    place: Path, tree: dict[str, Any], said: list[str] | None = None, pairs: Any = PAIRS
) -> Prepared:
    """Prepare ``pairs`` in the folder ``place``."""
    place.mkdir(exist_ok=True)
    (place.parent / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs), "utf-8")
    config = merge(Config(), tree, place="test")
    return prepare(
        [place.parent / "p.tsv"], place, config, (said if said is not None else []).append
    )


def files(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place / "corpus").iterdir()}


def interrupt(monkeypatch: pytest.MonkeyPatch, *, after: int) -> Callable[[], int]:
    """Interrupt a preparation in the shard after so many; tells how many were begun since."""
    real, begun = shards.write_corpus, list[Path]()

    def write(path: Path, examples: Any, **options: Any) -> Any:
        begun.append(path)
        if len(begun) == after + 1:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return real(path, examples, **options)

    monkeypatch.setattr(shards, "write_corpus", write)
    return lambda: len(begun)


def test_a_corpus_of_several_files_is_one_corpus(tmp_path: Path) -> None:
    several = prepared(tmp_path / "several", TREE)
    assert len([name for name in files(tmp_path / "several") if name.endswith(".arrow")]) == 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "SHARD", 1000)
        one = prepared(tmp_path / "one", TREE)
    assert set(files(tmp_path / "one")) == {"train.arrow", "train.json", "validation.arrow"}
    assert len(several.train) == len(one.train) == 95
    for row in range(95):
        for ours, theirs in zip(several.train.pair(row), one.train.pair(row), strict=True):
            assert str(ours) == str(theirs)
        assert several.train.line(row) == one.train.line(row)
    assert several.train.target_lengths.tolist() == one.train.target_lengths.tolist()
    assert several.train.target_counts(99).tolist() == one.train.target_counts(99).tolist()
    damaged = tmp_path / "several" / "corpus" / "train-3.arrow"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(FolderError, match=r"train-3\.arrow: is not a corpus: Not an Arrow file"):
        Corpus(tmp_path / "several" / "corpus" / "train.arrow")
    damaged.unlink()
    with pytest.raises(FolderError, match=r"train\.json is of another corpus"):
        Corpus(tmp_path / "several" / "corpus" / "train.arrow")


@pytest.mark.parametrize("after", [0, 3, 6])
def test_an_interrupted_preparation_goes_on_at_the_shard_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    limits = {"source": WORD, "target": WORD | {"max_tokens": 2, "vocabulary": 30}}
    tree = TREE | limits | {"data": {"validation": 5, "drop_unknown": True}}
    said, again = list[str](), list[str]()
    prepared(tmp_path / "whole", tree, said)
    assert any("a token is not in the vocabulary" in line for line in said)
    with monkeypatch.context() as patch:
        interrupt(patch, after=after)
        with pytest.raises(KeyboardInterrupt):
            prepared(tmp_path / "m", tree)
    assert not (tmp_path / "m" / "corpus").exists()
    begun = interrupt(monkeypatch, after=99)
    monkeypatch.setattr(vocabularies, "train_tokenizer", None)  # learned before
    others = {"training": {"steps": 9}, "model": {"hidden": 32}}  # they do not shape the data
    prepared(tmp_path / "m", tree | others, again)
    assert begun() == 7 - after
    assert again == said
    assert files(tmp_path / "m") == files(tmp_path / "whole")
    assert not (tmp_path / "m" / "preparing").exists()


def test_what_another_preparation_left_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = TREE | {"target": WORD | {"vocabulary": 20}}
    more = [*PAIRS[:50], ("new", "words")]
    for name, options, pairs in (("options", tree, PAIRS), ("pairs", TREE, more)):
        with monkeypatch.context() as patch:
            interrupt(patch, after=6)
            with pytest.raises(KeyboardInterrupt):
                prepared(tmp_path / name, TREE)
        assert UNK not in prepared(tmp_path / f"{name}-whole", TREE, pairs=pairs).train.pair(0)[1]
        prepared(tmp_path / f"{name}-new", options, pairs=pairs)
        prepared(tmp_path / name, options, pairs=pairs)
        assert files(tmp_path / name) == files(tmp_path / f"{name}-new")


def test_shards_without_copies_are_not_used_where_auto_now_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = [(f"{chr(0x4E00 + 2 * i)}{chr(0x4E01 + 2 * i)}",) * 2 for i in range(600)]
    tree = {"data": {"validation": 50}}
    with monkeypatch.context() as patch:
        interrupt(patch, after=4)
        with pytest.raises(KeyboardInterrupt):
            prepared(tmp_path / "m", tree | {"model": {"attention": "none"}}, pairs=rare)
    assert prepared(tmp_path / "whole", tree, pairs=rare).config.model.copy is True
    prepared(tmp_path / "m", tree, pairs=rare)
    assert files(tmp_path / "m") == files(tmp_path / "whole")


def test_a_full_disk_leaves_the_shards_that_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun = shards.write_corpus, list[Path]()

    def write(path: Path, examples: Any) -> Any:
        begun.append(path)
        if len(begun) == 4:
            raise OSError(28, "No space left on device")
        return real(path, examples)

    monkeypatch.setattr(shards, "write_corpus", write)
    with pytest.raises(OSError, match="No space left"):
        prepared(tmp_path / "m", TREE)
    prepared(tmp_path / "m", TREE)
    assert len(begun) == 8  # the fourth once more, and three others
    assert not (tmp_path / "m" / "preparing").exists()


@pytest.mark.parametrize("name", ["mine.tsv", "pairs.json", "train-1.arrow.old", "sub/x"])
def test_files_of_others_are_not_removed(tmp_path: Path, name: str) -> None:
    mine = tmp_path / "m" / "preparing" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("a\tb\n", "utf-8")
    with pytest.raises(FolderError, match=f"preparing/{name[:3]}.*: would be removed"):
        prepared(tmp_path / "m", TREE)
    assert mine.exists()


def test_a_file_where_the_folder_of_a_preparation_belongs_is_named(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "preparing").write_text("mine", "utf-8")
    with pytest.raises(FolderError, match="m/preparing: would be removed .move it, or another"):
        prepared(tmp_path / "m", TREE)
    assert (tmp_path / "m" / "preparing").read_text("utf-8") == "mine"


def test_pairs_to_score_are_those_of_any_shard_where_none_are_held_out(tmp_path: Path) -> None:
    tree = TREE | {"source": WORD | {"min_characters": 4}, "data": {"validation": 0}}
    data = prepared(tmp_path / "m", tree, pairs=[("a b", "A B")] * 16 + PAIRS)
    assert [data.validation.line(row) for row in range(len(data.validation))] == [17]


def test_an_error_leaves_nothing_of_a_preparation(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair is left after tokenizing"):
        prepared(tmp_path / "m", TREE | {"target": WORD | {"max_tokens": 1}})
    assert not [*(tmp_path / "m").iterdir()]


KILLED = """
import os, signal, sys
from dragoman.cli import main
from dragoman.data import shards, text

text.CHUNK, text.SHARD, real, left = 8, 2, shards.write_text, int(sys.argv[1])


def write(path, words):
    global left
    real(path, words)
    left -= 1
    if not left:
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))


shards.write_text = write
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("by", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_prepare_goes_on_after_it_was_killed(
    tmp_path: Path, by: str, python_command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS), "utf-8")
    (tmp_path / "script.py").write_text(KILLED, "utf-8")
    verb = ["prepare", "p.tsv", "--source.level", "word", "--target.level", "word"]
    verb += ["--validation", "5", "--out"]
    command = [*python_command, "script.py", "4", by, *verb, "c"]  # the key, and three shards
    killed = subprocess.run(command, capture_output=True, check=False, timeout=120)
    code = 128 + getattr(signal, by)
    assert killed.returncode != 0 if by == "SIGKILL" else killed.returncode == code
    assert len([*(tmp_path / "c" / "preparing").glob("train*.arrow")]) == 3
    begun = interrupt(monkeypatch, after=99)
    assert main([*verb, "c"]) == 0 and begun() == 4
    assert main([*verb, "whole"]) == 0
    assert files(tmp_path / "c") == files(tmp_path / "whole")
    one, other = ({path.name for path in (tmp_path / n).iterdir()} for n in ("c", "whole"))
    assert one == other
