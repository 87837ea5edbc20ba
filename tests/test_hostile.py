"""Files made to do harm: each ends in one clear line, at once, and nothing of them is run."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from dragoman.config.options import Config, DataOptions, ModelOptions, SideOptions
from dragoman.config.toml import from_toml, to_toml
from dragoman.data import streams
from dragoman.data.corpus import Corpus
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.setup import save_setup
from dragoman.data.vectors import read_vectors
from dragoman.data.vocabulary import build_normalizer, load_tokenizer, train_tokenizer
from dragoman.errors import DragomanError, OptionError
from dragoman.model.build import build_model
from dragoman.model.folder import load_folder, save_weights
from dragoman.runs.history import read_metrics
from dragoman.training.checkpoint import load_checkpoint, save_checkpoint
from dragoman.training.run import train
from dragoman.training.state import TrainingState


class Bomb:
    """Unpickled, it would leave a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


WORDS = SideOptions(level="word", vocabulary=50)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    folder.mkdir()
    tokenizer = train_tokenizer(["a b c"], WORDS)
    config = Config(
        source=WORDS,
        target=WORDS,
        model=replace(ModelOptions(), embedding=6, hidden=10, dropout=0.0),
    )
    made = build_model(
        config.model, source_vocabulary=len(tokenizer), target_vocabulary=len(tokenizer)
    )
    save_setup(folder, config, tokenizer, tokenizer)
    save_weights(folder, made, tokenizer, tokenizer)
    return folder


def refused(text: str, call: Callable[[], object]) -> None:
    """``call`` is refused with this text, in one line."""
    with pytest.raises(DragomanError, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def pairs_of(path: Path) -> list[Any]:
    return list(read_pairs([path], DataOptions(), Faults()))


@pytest.mark.parametrize("name", ["model.safetensors", "source.json", "config.toml"])
def test_a_pickle_bomb_is_not_unpickled(model: Path, name: str) -> None:
    (model / name).write_bytes(pickle.dumps(Bomb(model / "trace")))
    refused(re.escape(name), lambda: load_folder(model))
    torch.save(Bomb(model / "trace"), model / name)
    refused(re.escape(name), lambda: load_folder(model))
    assert not (model / "trace").exists()


def test_a_pickle_bomb_in_a_checkpoint_is_not_unpickled(model: Path) -> None:
    loaded = load_folder(model).model
    optimizer = torch.optim.Adam(loaded.parameters())
    save_checkpoint(model, loaded, optimizer, TrainingState(), 1)
    (saved,) = (model / "checkpoints").iterdir()
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        good = (saved / name).read_bytes()
        (saved / name).write_bytes(pickle.dumps(Bomb(model / "trace")))
        refused(re.escape(name), lambda: load_checkpoint(saved, loaded, optimizer))
        (saved / name).write_bytes(good)
    (saved / "state.json").write_text('{"best":' + "[" * 100_000)
    refused("state.json: is damaged", lambda: load_checkpoint(saved, loaded, optimizer))
    assert not (model / "trace").exists()


def test_an_optimizer_of_another_shape(model: Path) -> None:
    loaded = load_folder(model).model
    optimizer = torch.optim.Adam(loaded.parameters())
    for parameter in loaded.parameters():
        optimizer.state[parameter] = {"exp_avg": torch.zeros(3)}
    save_checkpoint(model, loaded, optimizer, TrainingState(), 1)
    (saved,) = (model / "checkpoints").iterdir()
    refused(
        "the optimizer's tensors of .* have another shape",
        lambda: load_checkpoint(saved, loaded, optimizer),
    )


@pytest.mark.parametrize("size", [2**60, 2**63, 2**64 - 1, 10**8])
def test_a_header_of_2_to_the_60_is_refused(model: Path, size: int) -> None:
    path = model / "model.safetensors"
    path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
    refused("model.safetensors: is damaged", lambda: load_folder(model))


def test_sizes_that_the_weights_do_not_have_take_no_memory(model: Path) -> None:
    config = from_toml(model / "config.toml")
    huge = replace(config.model, hidden=65_534, embedding=65_535, encoder_layers=64)
    (model / "config.toml").write_text(to_toml(replace(config, model=huge)))
    refused("expected from config.toml|lacks tensor", lambda: load_folder(model))


def test_a_training_larger_than_the_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("a b\tc d\n" * 30)
    huge = replace(ModelOptions(), hidden=65_534, embedding=65_535, encoder_layers=64)
    refused(
        "it takes .* GB to train, the machine has",
        lambda: train([tmp_path / "p.tsv"], tmp_path / "m", Config(model=huge)),
    )
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["config.toml", "source.json", "model.safetensors", "corpus"])
def test_links_out_of_a_model_folder_are_refused(model: Path, name: str) -> None:
    secret = model.parent / "secret"
    secret.write_text("mine")
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to(secret)
    refused(f"{name}: is a link that leads out", lambda: load_folder(model))
    pairs = model.parent / "p.tsv"
    pairs.write_text("a\tb\n" * 20)
    refused("leads out of the model folder", lambda: train([pairs], model, Config()))
    assert secret.read_text() == "mine"


def test_links_within_a_model_folder_are_followed(model: Path) -> None:
    (model / "target.json").rename(model / "kept.json")
    (model / "target.json").symlink_to("kept.json")
    assert len(load_folder(model).target) == 7


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_pipes_and_crowds_in_a_model_folder_are_refused(model: Path) -> None:
    os.mkfifo(model / "metrics.jsonl")
    refused("metrics.jsonl: is neither a file nor a folder", lambda: load_folder(model))
    (model / "metrics.jsonl").unlink()
    (model / "many").mkdir()
    for number in range(10_001):
        (model / "many" / str(number)).touch()
    refused("more than 10,000 files", lambda: load_folder(model))


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / f"out.tsv.{os.getpid()}.partial").symlink_to(tmp_path / "mine")
    from dragoman.files import write_text

    write_text(tmp_path / "out.tsv", "new")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "out.tsv").read_text() == "new"


def archive(path: Path, name: str, mode: int = stat.S_IFREG | 0o644) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as made:
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        made.writestr(member, "a\tb\n")
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../../evil.tsv", stat.S_IFREG | 0o644),
        ("/etc/evil.tsv", stat.S_IFREG | 0o644),
        ("..\\evil.tsv", stat.S_IFREG | 0o644),
        ("link.tsv", stat.S_IFLNK | 0o777),
    ],
)
def test_a_zip_is_read_and_never_unpacked(tmp_path: Path, name: str, mode: int) -> None:
    path = archive(tmp_path / "in" / "p.zip", name, mode)
    assert [(pair.source, pair.target) for pair in pairs_of(path)] == [("a", "b")]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "p.zip"]


@pytest.mark.parametrize("ending", ["gz", "zip"])
def test_a_packed_bomb_is_refused(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HARMLESS", 1 << 20)
    path = tmp_path / f"p.tsv.{ending}"
    for size, bad in ((1 << 19, False), (8 << 20, True)):
        content = b"a\tb\n" + b"x" * size
        if ending == "gz":
            path.write_bytes(gzip.compress(content))
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
                made.writestr("p.tsv", content)
        faults = Faults()
        loose = replace(DataOptions(), tolerance=0.9)
        read = read_pairs([path], loose, faults)
        if bad:
            refused("unpacks to more than 200 times its size", lambda r=read: list(r))  # type: ignore[misc]
        else:
            assert len(list(read)) == 1


def tampered(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda tree: tree.update(changes)


def add_step(step: dict[str, Any], times: int = 1) -> Callable[[dict[str, Any]], None]:
    return lambda tree: tree["normalizer"]["normalizers"].extend([step] * times)


def in_model(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda tree: tree["model"].update(changes)


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


SLOW, HUGE = "(a+)+(a+)+(a+)+$", "((a{1000}){1000}){1000}"


@pytest.mark.parametrize(
    "change",
    [
        tampered(pre_tokenizer=split(SLOW)),
        tampered(pre_tokenizer=split(HUGE)),
        tampered(decoder={"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 99}),
        tampered(post_processor={"type": "ByteLevel"}),
        tampered(truncation={"max_length": 1}),
        tampered(added_tokens=[{"id": 4, "content": "x"}]),
        tampered(more=1),
        tampered(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        tampered(normalizer=None),
        add_step({"type": "Replace", "pattern": {"Regex": SLOW}, "content": " "}),
        add_step({"type": "Replace", "pattern": {"Regex": f"[^a]{SLOW}[b]"}, "content": " "}),
        add_step({"type": "Replace", "pattern": {"String": " "}, "content": "   "}, 40),
        add_step({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}),
        add_step({"type": "Prepend", "prepend": "a" * 9}),
        in_model(dropout=0.5),
    ],
)
def test_foreign_parts_of_a_tokenizer_are_never_run(
    model: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    path, text = model / "source.json", "a  b, c " + "a" * 30
    ours = load_tokenizer(path, WORDS)
    tree = json.loads(path.read_text("utf-8"))
    change(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")
    loaded = load_tokenizer(path, WORDS)
    assert loaded.encode([text])[0].tolist() == ours.encode([text])[0].tolist()
    assert loaded.normalize(text) == ours.normalize(text)
    assert loaded.decode(range(len(ours))) == ours.decode(range(len(ours)))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (tampered(model=[]), "structure"),
        (in_model(type="WordPiece"), "its model is 'WordPiece', the level is word"),
        (in_model(vocab={"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, "a": 2**31}), "vocabulary"),
        (in_model(vocab={"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, "\n": 4}), "vocabulary"),
        (in_model(vocab={"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, "\x1b[2J": 4}), "vocabulary"),
        (in_model(vocab=[["<pad>", 0.0]]), "vocabulary|structure"),
        (in_model(vocab=[]), "its first tokens are not"),
        (in_model(vocab={"a": 0, "<unk>": 1, "<s>": 2, "</s>": 3}), "its first tokens are not"),
    ],
)
def test_a_tokenizer_with_a_foreign_vocabulary_is_refused(
    model: Path, change: Callable[[dict[str, Any]], None], part: str
) -> None:
    path = model / "source.json"
    tree = json.loads(path.read_text("utf-8"))
    change(tree)
    path.write_text(json.dumps(tree), encoding="utf-8")
    refused(f"source.json: is not a tokenizer: .*({part})", lambda: load_tokenizer(path, WORDS))


@pytest.mark.parametrize("text", ["", "[", "[]", "1", "null", "[" * 10**5, "1" * 5000, '{"a":NaN}'])
def test_a_tokenizer_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    refused("is not a tokenizer", lambda: load_tokenizer(tmp_path / "t.json", WORDS))


@pytest.mark.parametrize("level", ["word", "char", "bpe", "unigram"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"split_punctuation": False},
        {"unicode": "none"},
        {"unicode": "nfkd", "lowercase": True},
        {"strip_accents": True, "space_punctuation": ",.! ", "keep_only": "a-zA-Z,.!\\[\\]"},
    ],
)
def test_every_tokenizer_of_ours_is_read(
    tmp_path: Path, level: Any, options: dict[str, Any]
) -> None:
    asked = SideOptions(level=level, vocabulary=40, **options)
    made = train_tokenizer(["a b, c! ab", "ab ba aba c [d]"] * 9, asked)
    (tmp_path / "t.json").write_text(made.json, encoding="utf-8")
    assert load_tokenizer(tmp_path / "t.json", asked).digest == made.digest


def test_a_tokenizer_does_as_the_options_say(tmp_path: Path) -> None:
    made = train_tokenizer(["a b"], replace(WORDS, lowercase=True))
    (tmp_path / "t.json").write_text(made.json, encoding="utf-8")
    assert load_tokenizer(tmp_path / "t.json", WORDS).normalize("A") == "A"
    other = SideOptions(level="bpe", vocabulary=40)
    refused(
        "t.json: is not a tokenizer: its model is 'WordLevel', the level is bpe",
        lambda: load_tokenizer(tmp_path / "t.json", other),
    )


def test_a_library_that_writes_more_reads_what_an_older_one_wrote(tmp_path: Path) -> None:
    asked = SideOptions(level="bpe", vocabulary=40)
    made = train_tokenizer(["a b, c! ab", "ab ba aba"] * 9, asked)
    tree = json.loads(made.json)
    del tree["model"]["ignore_merges"], tree["decoder"]["split"]
    del tree["pre_tokenizer"]["pretokenizers"][0]["split"]
    older = json.dumps(tree)
    (tmp_path / "t.json").write_text(older, encoding="utf-8")
    loaded = load_tokenizer(tmp_path / "t.json", asked)
    assert loaded.json == older  # so that its digest is still the one in the weights' header
    assert loaded.encode(["ab  ba"])[0].tolist() == made.encode(["ab ba"])[0].tolist()


def test_keep_only_is_no_way_to_an_expression() -> None:
    for text in ("a](x+x+)+y[b", "]", "[", "a\\"):
        with pytest.raises(OptionError, match="is not a set of characters"):
            build_normalizer(SideOptions(keep_only=text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 10**5, "is not TOML: .*recursion"),
        ("[model]\nhidden = " + "9" * 5000, "is not TOML"),
        ("# " + "x" * 2**20, "is too long"),
        ("\0", "is not TOML"),
        ("[model]\nhidden = inf", "hidden cannot be inf"),
    ],
)
def test_hostile_toml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    refused(message, lambda: from_toml(tmp_path / "r.toml"))


def test_word_vectors_without_line_ends_are_not_held(tmp_path: Path) -> None:
    words = train_tokenizer(["a b"], SideOptions(level="word", vocabulary=50))
    (tmp_path / "v.txt").write_text("a 1 2 3\n" + "x" * 10**6 + "\nb 1 2 3\n" + "bad\n" * 9)
    found, summary = read_vectors(tmp_path / "v.txt", words, 3)
    assert len(found) == 2
    assert re.findall(r":(\d)", summary) == ["2", "4", "5"]


def test_a_corpus_that_points_beyond_its_end(tmp_path: Path) -> None:
    lists = [(name, pa.list_(pa.int32())) for name in ("source", "target", "copies")]
    schema = pa.schema([*lists, ("line", pa.int32())])
    batch = pa.record_batch([[[1, 2, 3]] * 8, [[7, 8, 9]] * 8, [[]] * 8, [1] * 8], schema=schema)
    with pa.OSFile(str(tmp_path / "c"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch)
    raw = (tmp_path / "c").read_bytes()
    offsets = struct.pack("<9i", *range(0, 27, 3))
    assert raw.count(offsets) == 2
    (tmp_path / "c").write_bytes(
        raw.replace(offsets, struct.pack("<9i", *range(0, 24, 3), 2**30), 1)
    )
    refused("is not a corpus", lambda: Corpus(tmp_path / "c"))
    with pa.OSFile(str(tmp_path / "c"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_batch(batch)
    with pa.OSFile(str(tmp_path / "c-1"), "wb") as file:
        other = batch.rename_columns(["source", "target", "copied", "line"])
        with pa.ipc.new_file(file, other.schema) as writer:
            writer.write_batch(other)
    refused("its columns are source, target, copied, line", lambda: Corpus(tmp_path / "c"))


def test_hostile_metrics_are_passed_over(tmp_path: Path) -> None:
    rows = ["[" * 10**5, "9" * 5000, '{"kind": "train", "step": 1}', "null", '{"step": "x"}']
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows))
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"kind": "train", "step": 1}]


def test_errors_stay_on_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dragoman.cli import main

    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a", "a\tb\n")
        made.writestr("\x1b[2J\nevil", "a\tb\n")
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "\x1b" not in said and "\\x1b" in said
