"""The model folder: saved and loaded whole, refused in pieces."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dragoman.config.options import Config, ModelOptions, SideOptions
from dragoman.data.setup import save_setup
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import FolderError
from dragoman.files import replacing, write_text
from dragoman.model.build import build_model
from dragoman.model.folder import load_folder, save_weights
from dragoman.model.seq2seq import Seq2Seq


def make(path: Path, text: str = "a b c", **options: object) -> Seq2Seq:
    path.mkdir(exist_ok=True)
    side = SideOptions(level="word", vocabulary=50)
    tokenizer = train_tokenizer([text], side)
    base = replace(ModelOptions(), embedding=6, hidden=10, dropout=0.0)
    config = Config(source=side, target=side, model=replace(base, **options))  # type: ignore[arg-type]
    model = build_model(
        config.model, source_vocabulary=len(tokenizer), target_vocabulary=len(tokenizer)
    )
    save_setup(path, config, tokenizer, tokenizer)
    save_weights(path, model, tokenizer, tokenizer)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "lstm", "encoder_layers": 2, "decoder_layers": 2},
        {"shared_embeddings": True},
        {"tied_output": True, "embedding": 10},
        {"shared_embeddings": True, "tied_output": True, "embedding": 10},
        {"attention": "none"},
        {"attention": "bahdanau", "score": "concat"},
        {"attention": "monotonic"},
    ],
    ids=str,
)
def test_what_is_loaded_is_what_was_saved(tmp_path: Path, options: dict[str, object]) -> None:
    model = make(tmp_path, **options)
    loaded = load_folder(tmp_path)
    assert not loaded.model.training
    wanted = model.state_dict()
    assert loaded.model.state_dict().keys() == wanted.keys()
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name


def test_others_may_read_a_model(tmp_path: Path) -> None:
    make(tmp_path)
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
    assert modes["model.safetensors"] == modes["config.toml"]


def damaged(folder: Path, name: str, how: str) -> None:
    path = folder / name
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "pickle":
        path.write_bytes(pickle.dumps(os.getcwd))
    elif how == "huge header":
        path.write_bytes((2**60).to_bytes(8, "little") + path.read_bytes()[8:])


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "pickle", "huge header"])
@pytest.mark.parametrize("name", ["model.safetensors", "source.json", "target.json", "config.toml"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, how: str) -> None:
    make(tmp_path)
    if name == "config.toml" and how in ("empty", "truncated"):
        (tmp_path / name).write_text("[model]\nhid")  # an empty TOML is a valid one
    else:
        damaged(tmp_path, name, how)
    with pytest.raises(FolderError, match=name.replace(".", r"\.")) as caught:
        load_folder(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "source.json", "target.json"])
def test_a_file_of_another_model_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two", text="x y z w")
    (tmp_path / "one" / name).write_bytes((tmp_path / "two" / name).read_bytes())
    with pytest.raises(FolderError, match="was trained with another|has an unknown|expected from"):
        load_folder(tmp_path / "one")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("output.bias"), "lacks tensor 'output.bias'"),
        (lambda t: t.update(more=torch.zeros(1)), "has an unknown tensor 'more'"),
        (
            lambda t: t.update({"output.bias": torch.zeros(3)}),
            r"tensor 'output.bias' is \[3\], \[7\] expected",
        ),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, change, message: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    path = tmp_path / "model.safetensors"
    folder = load_folder(tmp_path)
    tensors = load_file(path)
    change(tensors)
    header = {"format": "1", "source": folder.source.digest, "target": folder.target.digest}
    save_file(tensors, path, metadata=header)
    with pytest.raises(FolderError, match=message):
        load_folder(tmp_path)


def test_a_newer_format_is_named_before_its_options(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "config.toml"
    text = path.read_text()
    assert text.startswith('format = "1"\n')
    path.write_text("new = 1\n" + text.replace('format = "1"', 'format = "2"'))
    with pytest.raises(FolderError, match=r"config.toml: has format '2', this version reads '1'"):
        load_folder(tmp_path)


def test_a_folder_of_the_first_version_loads(tmp_path: Path) -> None:
    """Without a format in config.toml, and with three entries in the header of the weights."""
    model = make(tmp_path)
    config, path = tmp_path / "config.toml", tmp_path / "model.safetensors"
    config.write_text(config.read_text().replace('format = "1"\n', ""))
    folder = load_folder(tmp_path)
    header = {"format": "1", "source": folder.source.digest, "target": folder.target.digest}
    save_file(load_file(path), path, metadata=header)
    loaded = load_folder(tmp_path).model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    make(tmp_path)
    folder = load_folder(tmp_path)
    contents = set()
    for _ in range(12):
        save_weights(tmp_path, folder.model, folder.source, folder.target)
        contents.add((tmp_path / "model.safetensors").read_bytes())
    assert len(contents) == 1


def test_facts_that_are_no_object_are_damage(tmp_path: Path) -> None:
    make(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file(load_file(path), path, metadata={"dragoman": "[1]"})
    with pytest.raises(FolderError, match="is damaged or no safetensors file"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "no such folder"),
        ("file", "is a file, a model folder is expected"),
        ("empty", "is not a model folder: it has no config.toml"),
    ],
)
def test_what_is_no_folder_of_a_model(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match=message):
        load_folder(tmp_path / name)


def test_unresolved_options_are_no_model(tmp_path: Path) -> None:
    make(tmp_path)
    text = (tmp_path / "config.toml").read_text().replace("hidden = 10", 'hidden = "auto"')
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(FolderError, match=r"config.toml: model.hidden is 'auto'"):
        load_folder(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as aside:
        aside.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
