"""Loads a bundle: checks every file, and that its graphs are those that its options describe.

ONNX Runtime would run any graph. Only our own are run: the graphs of a bundle are built again from
its options, without weights, and must be the same, byte for byte.
"""

import hashlib
import mmap
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from dragoman.config.options import Config, ModelOptions
from dragoman.config.toml import load_config
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import load_tokenizer
from dragoman.errors import FolderError
from dragoman.files import parse_json
from dragoman.layout import (
    BUNDLE,
    BUNDLE_FORMAT,
    BUNDLE_MAY_HAVE,
    BUNDLE_NEEDS,
    DECODER,
    ENCODER,
    NUMBERS,
    SHORT_DECODER,
    SHORTLIST,
    SOURCE,
    TARGET,
)
from dragoman.runtime.encoder import encoder_graph
from dragoman.runtime.graph import Graph
from dragoman.runtime.network import OnnxNetwork, Sessions
from dragoman.runtime.onnx_file import Kinds, Stored
from dragoman.runtime.shortlist import Shortlist
from dragoman.runtime.weights import Array, Weights
from dragoman.runtime.words import decoder_graph

_AGAIN = "copy the bundle again, or make it again with dragoman export"
_LARGEST = 1 << 32
"""Bytes that a zipped bundle may unpack to."""
_ALIGNED = 64
"""The numbers of each weight begin at a multiple of this many bytes, as vector loads like it."""


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle: what :class:`dragoman.model.folder.ModelFolder` is with torch."""

    path: Path
    config: Config
    source: Tokenizer
    target: Tokenizer
    facts: dict[str, Any]
    """What ``bundle.json`` says."""
    _sessions: Any = field(repr=False)
    _shortlist: Shortlist | None
    _unpacked: Any = field(repr=False)
    """The folder of an unpacked zip file, which is removed with this."""

    @property
    def int8(self) -> bool:
        """The weights are in 8 bits."""
        return bool(self.facts["int8"])

    def network(self, *, shortlist: bool) -> OnnxNetwork:
        """The model; with a ``shortlist`` its words are limited, where the bundle has one."""
        limit = self._shortlist if shortlist else None
        sessions = self._sessions(limit is not None)
        return OnnxNetwork(self.config.model, len(self.target), sessions, limit)


class Written(NamedTuple):
    """A graph with its ends."""

    graph: Graph
    inputs: Kinds
    outputs: Kinds


def graphs(
    options: ModelOptions, weights: Weights, sizes: tuple[int, int], *, shortlist: bool
) -> dict[str, Written]:
    """The graphs of a model by file name; ``sizes``: number of source and target tokens."""
    found = {
        ENCODER: Written(*encoder_graph(options, weights, sizes[0])),
        DECODER: Written(*decoder_graph(options, weights, sizes[1], shortlist=False)),
    }
    if shortlist:
        found[SHORT_DECODER] = Written(*decoder_graph(options, weights, sizes[1], shortlist=True))
    return found


def arrays_of(found: Mapping[str, Written]) -> dict[str, Array]:
    """The weights of all graphs, by name."""
    return {name: one for written in found.values() for name, one in written.graph.arrays.items()}


def places(arrays: Mapping[str, Array]) -> tuple[dict[str, Stored], int]:
    """Where the numbers of each array stand in the file of weights, and the size of that file."""
    found, end = {}, 0
    for name, one in arrays.items():
        found[name] = Stored(NUMBERS, end)
        end += -(-one.nbytes // _ALIGNED) * _ALIGNED
    return found, end


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_bundle(path: Path) -> bool:
    """Whether ``path`` is a bundle or a zip file, and not a model folder."""
    return (path / BUNDLE).exists() or (path.is_file() and zipfile.is_zipfile(path))


def load_bundle(path: Path) -> Bundle:
    """Load a bundle, a folder or a zip file.

    Raises:
        FolderError: a file is missing, damaged, foreign or of a newer format; or a graph is not
            the one that the options describe. The message names the file.
    """
    if not path.is_file():
        return _loaded(path, None)
    unpacked = TemporaryDirectory(prefix="dragoman-")
    inside = Path(unpacked.name)
    try:
        _unpack(path, inside)
        return _loaded(inside, unpacked)
    except FolderError as error:
        place = error.place.replace(str(inside), str(path))
        raise FolderError(error.cause, place=place, cure=error.cure) from None


def _unpack(path: Path, folder: Path) -> None:
    """Unpack the files that a bundle has, and nothing else."""
    try:
        with zipfile.ZipFile(path) as file:
            infos = {info.filename: info for info in file.infolist()}
            for name in infos:
                if name not in (BUNDLE, *BUNDLE_NEEDS, *BUNDLE_MAY_HAVE):
                    raise FolderError(
                        f"holds {name!r}, which is no file of a bundle", place=str(path)
                    )
            if sum(info.file_size for info in infos.values()) > _LARGEST:
                raise FolderError("is too large when it is unpacked", place=str(path))
            for info in infos.values():
                with file.open(info) as packed, (folder / info.filename).open("wb") as out:
                    shutil.copyfileobj(packed, out)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise FolderError(
            f"is a damaged zip file: {error}", place=str(path), cure=_AGAIN
        ) from error


def _loaded(path: Path, unpacked: Any) -> Bundle:
    facts = _checked_facts(path)
    config = load_config(path)
    source = load_tokenizer(path / SOURCE, config.source)
    target = load_tokenizer(path / TARGET, config.target)
    sizes, shortlist = (len(source), len(target)), None
    if SHORT_DECODER in facts["files"]:
        shortlist = Shortlist.of(_safetensors(path / SHORTLIST), sizes, str(path / SHORTLIST))
    form = Weights(None, str(path), int8=facts["int8"])
    found = graphs(config.model, form, sizes, shortlist=shortlist is not None)
    empty = arrays_of(found)
    where, size = places(empty)
    for name, (graph, inputs, outputs) in found.items():
        if (path / name).read_bytes() != graph.written(inputs, outputs, where):
            cause = "is not the graph that config.toml describes"
            raise FolderError(cause, place=str(path / name), cure=_AGAIN)
    numbers = path / NUMBERS
    if numbers.stat().st_size != size:
        raise FolderError(
            f"has {numbers.stat().st_size} bytes, {size} expected", place=str(numbers)
        )
    with numbers.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    raw = np.frombuffer(mapped, np.uint8)
    arrays = {
        name: raw[where[name].offset :][: one.nbytes].view(one.dtype).reshape(one.shape)
        for name, one in empty.items()
    }

    @cache
    def session(name: str) -> Any:
        made = _session(found[name], arrays)
        if hasattr(mmap, "MADV_DONTNEED"):  # ONNX Runtime has most of it in an order of its own
            mapped.madvise(mmap.MADV_DONTNEED)
        return made

    def sessions(short: bool) -> Sessions:
        return Sessions(session(ENCODER), session(SHORT_DECODER if short else DECODER), arrays)

    return Bundle(path, config, source, target, facts, sessions, shortlist, unpacked)


def _checked_facts(path: Path) -> dict[str, Any]:
    """Read ``bundle.json``: first the format, then the digests of all files."""
    place = path / BUNDLE
    try:
        facts = parse_json(place.read_text("utf-8"))
        version = facts["format"]
        if version != BUNDLE_FORMAT:
            cause = f"has format {version!r}, this version reads {BUNDLE_FORMAT!r}"
            cure = "use the version of Dragoman that wrote it"
            raise FolderError(cause, place=str(place), cure=cure)
        files, facts["int8"] = dict(facts["files"]), bool(facts["int8"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError("is missing or damaged", place=str(place), cure=_AGAIN) from error
    wanted = [*BUNDLE_NEEDS, *((SHORT_DECODER, SHORTLIST) if SHORT_DECODER in files else ())]
    for name in (*wanted, *sorted(files)):
        if name not in (*wanted, *BUNDLE_MAY_HAVE) or name not in files:
            what = "does not tell" if name in wanted else "tells of"
            raise FolderError(f"{what} {name!r}", place=str(place), cure=_AGAIN)
    for name, expected in files.items():
        file = path / name
        if not file.is_file() or file.is_symlink():
            raise FolderError("is missing", place=str(file), cure=_AGAIN)
        if digest(file) != expected:
            raise FolderError("is damaged, or of another bundle", place=str(file), cure=_AGAIN)
    return dict(facts)


def _safetensors(path: Path) -> dict[str, Array]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise FolderError(f"is damaged: {error}", place=str(path), cure=_AGAIN) from error


def _session(written: Written, arrays: Mapping[str, Array]) -> Any:
    """A graph in ONNX Runtime, which computes in the thread that calls it."""
    import onnxruntime

    graph, inputs, outputs = written
    mine = {name: arrays[name] for name in graph.arrays}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    raw = map(np.ascontiguousarray, mine.values())
    held = [onnxruntime.OrtValue.ortvalue_from_numpy(one) for one in raw]
    options.add_external_initializers(list(mine), held)
    written_graph = graph.written(inputs, outputs, places(mine)[0])
    return onnxruntime.InferenceSession(written_graph, options, providers=["CPUExecutionProvider"])


def network_of(
    options: ModelOptions,
    weights: Weights,
    sizes: tuple[int, int],
    shortlist: Shortlist | None = None,
) -> OnnxNetwork:
    """The network of a model's weights in memory; ``sizes``: number of source and target tokens.

    Raises:
        FolderError: a weight is missing, unknown, or of another shape.
    """
    found = graphs(options, weights, sizes, shortlist=shortlist is not None)
    weights.require_all_used()
    arrays, decoder = arrays_of(found), SHORT_DECODER if shortlist is not None else DECODER
    encoder, step = (_session(found[name], arrays) for name in (ENCODER, decoder))
    return OnnxNetwork(options, sizes[1], Sessions(encoder, step, arrays), shortlist)
