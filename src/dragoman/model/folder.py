"""The model folder: saved, loaded, and checked for parts that do not belong together.

``model.safetensors`` carries in its header the format's version and the digests of both
tokenizers, so that a file from another model is recognised. They are one entry, since the library
writes several in an order of chance: equal models are equal files.
"""

from __future__ import annotations

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
"""The header's entry: the format's version and both digests as JSON."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A loaded folder: the model in evaluation mode, its options and its tokenizers."""

    path: Path
    config: Config
    model: Seq2Seq
    source: Tokenizer
    target: Tokenizer


def save_setup(path: Path, config: Config, source: Tokenizer, target: Tokenizer) -> None:
    """Write everything but the weights."""
    write_text(path / SOURCE, source.to_json())
    write_text(path / TARGET, target.to_json())
    write_text(path / CONFIG, to_toml(config))


def save_weights(path: Path, model: Seq2Seq, source: Tokenizer, target: Tokenizer) -> None:
    """Replace the weights; the old ones stay until the new ones are on disk."""
    facts = {"format": FORMAT, "source": source.digest, "target": target.digest}
    header = {_FACTS: json.dumps(facts, sort_keys=True)}
    # Not save_file, whose file only its owner may read: a model is there to be shared.
    with replacing(path / WEIGHTS) as aside:
        aside.write_bytes(save(tensors_of(model), metadata=header))


def tensors_of(model: Seq2Seq) -> dict[str, Tensor]:
    """The weights by name, a table that two parts share under one name only."""
    named = dict(model.named_parameters())  # leaves out the second name of a shared parameter
    return {name: tensor.detach().contiguous().cpu() for name, tensor in named.items()}


def load_tokenizers(path: Path) -> tuple[Tokenizer, Tokenizer]:
    """Read both tokenizers of a model folder."""
    config = load_config(path)
    source, target = (
        load_tokenizer(path / file, options)
        for file, options in ((SOURCE, config.source), (TARGET, config.target))
    )
    return source, target


def load_folder(path: Path, device: str = "cpu") -> ModelFolder:
    """Load a model folder, whole, onto a device such as ``cpu``, ``cuda:1`` or ``mps``.

    Raises:
        FolderError: a file is missing, damaged, or from another model; the message says which.
        OptionError: this machine has no such device.
    """
    place = _device(device)
    config = load_config(path)
    source, target = load_tokenizers(path)
    tensors = _weights(path / WEIGHTS, {"source": source, "target": target})
    sizes = {"source_vocabulary": len(source), "target_vocabulary": len(target)}
    with torch.device("meta"):  # sizes that the weights do not have shall take no memory
        _require_fit(build_model(config.model, **sizes), tensors, path / WEIGHTS)
    model = build_model(config.model, **sizes)
    fill(model, tensors, path / WEIGHTS)
    return ModelFolder(path, config, model.to(place).eval(), source, target)


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name).item()  # "meta" and devices without a driver fail here
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:  # torch's, of several lines
        raise OptionError(
            f"{name!r} is not a device of this machine", place="device", cure="cpu, cuda or mps"
        ) from error


def _weights(path: Path, tokenizers: dict[str, Tokenizer]) -> dict[str, Tensor]:
    """Read the tensors of ``path``, after checking that it belongs to the tokenizers."""
    tensors, facts = read_tensors(path)
    if facts.get("format") != FORMAT:
        raise FolderError(
            f"has format {facts.get('format')!r}, this version reads {FORMAT!r}",
            place=str(path),
            cure="use the version of Dragoman that wrote it",
        )
    for side, tokenizer in tokenizers.items():
        if facts.get(side) != tokenizer.digest:
            raise FolderError(
                f"was trained with another {side}.json",
                place=str(path),
                cure=f"put back the {side}.json that was saved with it",
            )
    return tensors


def fill(model: Seq2Seq, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy ``tensors`` into the model's weights; every name and shape must agree."""
    _require_fit(model, tensors, path)
    wanted = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            wanted[name].copy_(tensor)


def _require_fit(model: Seq2Seq, tensors: dict[str, Tensor], path: Path) -> None:
    wanted = dict(model.named_parameters())
    for name in sorted(wanted.keys() ^ tensors.keys()):
        which = "lacks" if name in wanted else "has an unknown"
        raise FolderError(f"{which} tensor {name!r}", place=str(path), cure="see config.toml")
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise FolderError(
                f"tensor {name!r} is {list(tensor.shape)}, "
                f"{list(wanted[name].shape)} expected from config.toml",
                place=str(path),
            )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors of a safetensors file, and the facts in its header (in entries of their own in
    files of earlier versions).

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
        raise FolderError(
            f"is damaged or no safetensors file: {error}",
            place=str(path),
            cure="copy the folder again, or use a checkpoint",
        ) from error
