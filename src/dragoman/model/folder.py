"""Saves and loads the model folder, and checks that its files belong together.

The header of ``model.safetensors`` holds the format's version and the digests of both tokenizers,
so that weights of another model are recognised. They are one entry, as JSON: safetensors writes
several entries in a random order, and the files of equal models shall be equal.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dragoman.config.options import Config
from dragoman.config.toml import load_config, to_toml
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import load_tokenizer
from dragoman.errors import FolderError, OptionError
from dragoman.files import replacing, write_text
from dragoman.layout import CONFIG, FORMAT, SOURCE, TARGET, WEIGHTS
from dragoman.model.build import build_model
from dragoman.model.seq2seq import Seq2Seq

_FACTS = "dragoman"
"""Name of the header's entry."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A loaded folder: the model in evaluation mode, its options and its tokenizers."""

    path: Path
    config: Config
    model: Seq2Seq
    source: Tokenizer
    target: Tokenizer


def save_setup(path: Path, config: Config, source: Tokenizer, target: Tokenizer) -> None:
    """Write the tokenizers and the options."""
    write_text(path / SOURCE, source.json)
    write_text(path / TARGET, target.json)
    write_text(path / CONFIG, to_toml(config))


def save_weights(path: Path, model: Seq2Seq, source: Tokenizer, target: Tokenizer) -> None:
    """Replace the weights; the old ones stay until the new ones are on disk."""
    header = {_FACTS: json.dumps(_identity(source, target), sort_keys=True)}
    # The library's save_file would make a file that only its owner may read.
    with replacing(path / WEIGHTS) as aside:
        aside.write_bytes(save(tensors_of(model), metadata=header))


def tensors_of(model: Seq2Seq) -> dict[str, Tensor]:
    """The weights by name; a table that two parts share has one name."""
    named = model.named_parameters()  # leaves out the second name of a shared parameter
    return {name: tensor.detach().contiguous().cpu() for name, tensor in named}


def load_setup(path: Path) -> tuple[Config, Tokenizer, Tokenizer]:
    """Read the options of a model folder, and the tokenizers of source and target.

    Raises:
        FolderError: a file is missing or damaged.
    """
    config = load_config(path)
    source = load_tokenizer(path / SOURCE, config.source)
    return config, source, load_tokenizer(path / TARGET, config.target)


def load_folder(path: Path, device: str = "cpu") -> ModelFolder:
    """Load a model folder onto a device such as ``cpu``, ``cuda:1`` or ``mps``.

    Raises:
        FolderError: a file is missing, damaged, or from another model; the message says which.
        OptionError: this machine has no such device.
    """
    place, file = _device(device), path / WEIGHTS
    config, source, target = load_setup(path)
    tensors, facts = read_tensors(file)
    for name, expected in _identity(source, target).items():
        if facts.get(name) != expected:
            cause = f"was trained with another {name}.json"
            cure = f"put back the {name}.json that was saved with it"
            if name == "format":
                cause = f"has format {facts.get(name)!r}, this version reads {expected!r}"
                cure = "use the version of Dragoman that wrote it"
            raise FolderError(cause, place=str(file), cure=cure)
    sizes = {"source_vocabulary": len(source), "target_vocabulary": len(target)}
    with torch.device("meta"):  # check the sizes before they take memory
        fill(build_model(config.model, **sizes), tensors, file)
    model = build_model(config.model, **sizes)
    fill(model, tensors, file)
    return ModelFolder(path, config, model.to(place).eval(), source, target)


def _identity(source: Tokenizer, target: Tokenizer) -> dict[str, str]:
    """The facts in the header of the weights, which tell to which folder they belong."""
    return {"format": FORMAT, "source": source.digest, "target": target.digest}


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name).item()  # fails for "meta" and for devices without a driver
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:  # torch's message has several lines
        cause = f"{name!r} is not a device of this machine"
        raise OptionError(cause, place="device", cure="cpu, cuda or mps") from error


@torch.no_grad()
def fill(model: Seq2Seq, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy ``tensors``, read from ``path``, into the model's weights.

    Raises:
        FolderError: a name or a shape differs.
    """
    wanted = dict(model.named_parameters())
    for name in sorted(wanted.keys() ^ tensors.keys()):
        which = "lacks" if name in wanted else "has an unknown"
        raise FolderError(f"{which} tensor {name!r}", place=str(path), cure="see config.toml")
    for name, tensor in tensors.items():
        shape, expected = list(tensor.shape), list(wanted[name].shape)
        if shape != expected:
            found = f"tensor {name!r} is {shape}, {expected} expected from config.toml"
            raise FolderError(found, place=str(path))
        wanted[name].copy_(tensor)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a safetensors file, and the facts in its header.

    Files of earlier versions hold each fact in an entry of its own.

    Raises:
        FolderError: there is no such file, or it is truncated or of another kind.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            facts = json.loads(header.get(_FACTS, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, {**header, **facts}
    except FileNotFoundError as error:
        raise FolderError("is missing", place=str(path), cure="copy the folder again") from error
    except (SafetensorError, OSError, ValueError, TypeError, struct.error) as error:
        found = f"is damaged or no safetensors file: {error}"
        cure = "copy the folder again, or use a checkpoint"
        raise FolderError(found, place=str(path), cure=cure) from error
