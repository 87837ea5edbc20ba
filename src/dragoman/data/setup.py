"""Reads and writes what a model folder and a bundle share: options, tokenizers, named weights.

The header of ``model.safetensors`` holds the format's version and the digests of both tokenizers,
so that weights of another model are recognised. They are one entry, as JSON: safetensors writes
several entries in a random order, and the files of equal models shall be equal.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from dragoman.config.options import Config
from dragoman.config.toml import load_config, to_toml
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import load_tokenizer
from dragoman.errors import FolderError
from dragoman.files import reading, write_text
from dragoman.layout import CONFIG, CORPUS, FORMAT, METRICS, SOURCE, TARGET, WEIGHTS

_FACTS = "dragoman"
"""Name of the header's entry."""
_TYPES = {"F32": np.float32, "I8": np.int8, "U8": np.uint8, "I32": np.int32}


def save_setup(path: Path, config: Config, source: Tokenizer, target: Tokenizer) -> None:
    """Write the tokenizers and the options."""
    write_text(path / SOURCE, source.json)
    write_text(path / TARGET, target.json)
    write_text(path / CONFIG, to_toml(config))


def load_setup(path: Path) -> tuple[Config, Tokenizer, Tokenizer]:
    """Read the options of a model folder, and the tokenizers of source and target."""
    config = load_config(path)
    source = load_tokenizer(path / SOURCE, config.source)
    return config, source, load_tokenizer(path / TARGET, config.target)


def header(source: Tokenizer, target: Tokenizer) -> dict[str, str]:
    """The header of weights that belong to these tokenizers."""
    facts = {"format": FORMAT, "source": source.digest, "target": target.digest}
    return {_FACTS: json.dumps(facts, sort_keys=True)}


def load_weights(
    path: Path, source: Tokenizer, target: Tokenizer, library: str = "np"
) -> dict[str, Any]:
    """The named tensors of a model folder, whose tokenizers are given.

    Args:
        path: the folder.
        source, target: its tokenizers.
        library: whose tensors: ``np`` or ``pt``.

    Raises:
        FolderError: as :func:`read_tensors`; or the folder has pairs but no weights, as a prepared
            corpus or a run that was killed early; or they were saved with other tokenizers.
    """
    if not (file := path / WEIGHTS).exists() and (path / CORPUS).exists():
        cure = "resume it" if (path / METRICS).exists() else f"dragoman train {path} --out MODEL"
        raise FolderError("has no weights", place=path, cure=cure)
    tensors, facts = read_tensors(file, library)
    for name, side in (("source", source), ("target", target)):
        if facts.get(name) != side.digest:
            cure = f"put back the {name}.json that was saved with it"
            raise FolderError(f"was trained with another {name}.json", place=file, cure=cure)
    return tensors


def read_tensors(path: Path, library: str = "pt") -> tuple[dict[str, Any], Mapping[str, Any]]:
    """All tensors of a safetensors file, and the facts in its header.

    For NumPy the file is mapped into memory: what is not used takes none. Files of earlier versions
    hold each fact in an entry of its own.

    Raises:
        FolderError: there is no such file, or it is truncated or of another kind.
    """
    with reading(path, "is damaged or no safetensors file"):
        with safe_open(str(path), framework=library) as file:
            entries = file.metadata() or {}
            facts = json.loads(entries.get(_FACTS, "{}"))
            tensors = {} if library == "np" else {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        return tensors or _mapped(path), {**entries, **facts}


def _mapped(path: Path) -> dict[str, Any]:
    """The arrays of a safetensors file that the library has checked, as :class:`numpy.memmap`."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(size))
    entries.pop("__metadata__", None)
    arrays = {}
    for name, one in entries.items():
        start, shape = 8 + size + one["data_offsets"][0], tuple(one["shape"])
        arrays[name] = np.memmap(path, _TYPES[one["dtype"]], "r", start, shape)
    return arrays
