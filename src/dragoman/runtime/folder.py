"""Loads a model folder or a bundle, for ONNX Runtime.

ONNX Runtime would run any graph. Only our own are run: they are built from the options and weights,
and those of a bundle must be the same, byte for byte. The files of a bundle must be those that were
written, and a zip file must hold no others.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dragoman import layout
from dragoman.config.options import Config
from dragoman.data.lines import fingerprint
from dragoman.data.setup import load_setup, load_weights, read_tensors
from dragoman.data.tokenizer import Tokenizer
from dragoman.errors import FolderError
from dragoman.files import parse_json, reading, require_format
from dragoman.runtime.network import OnnxNetwork, graphs
from dragoman.runtime.shortlist import Shortlist
from dragoman.runtime.weights import Weights, quantized

_AGAIN = "copy the bundle again, or make it again with dragoman export"
_LARGEST = 1 << 32
"""Bytes that a zipped bundle may unpack to."""


@dataclass(frozen=True)
class RuntimeFolder:
    """A loaded folder; :class:`dragoman.model.folder.ModelFolder` is one in torch."""

    given: Path
    """The folder or the zip file that was loaded; errors name it."""
    path: Path
    """The folder that holds the files."""
    config: Config
    source: Tokenizer
    target: Tokenizer
    facts: dict[str, Any] | None
    """What ``bundle.json`` says; None for a model folder."""
    weights: Weights = field(repr=False)
    shortlist: Shortlist | None = field(repr=False)
    _unpacked: Any = field(repr=False)
    """The folder of an unpacked zip file, which is removed with this."""

    def network(self, int8: bool, shortlist: bool) -> OnnxNetwork:
        """The model, ready to search.

        Args:
            int8: multiply 8-bit numbers; a bundle whose weights are in 8 bits always does.
            shortlist: limit the words, where the bundle has a shortlist.
        """
        weights, limit = self.weights, self.shortlist if shortlist else None
        if int8 and not weights.int8:
            weights = Weights(quantized(weights.tensors), weights.place)
        return OnnxNetwork(self.config.model, weights, (len(self.source), len(self.target)), limit)


def is_model(path: Path) -> bool:
    """Whether a path is a folder or a zipped bundle; a zip file may also hold pairs."""
    if not zipfile.is_zipfile(path):
        return path.is_dir()
    with zipfile.ZipFile(path) as file:
        return layout.BUNDLE in file.namelist()


def load_runtime(path: Path) -> RuntimeFolder:
    """Load a model folder or a bundle, which may be a zip file.

    Raises:
        FolderError: a file is missing, damaged, foreign or of a newer format; or a graph of the
            bundle is not the one that the options describe. The message names the file.
    """
    if not path.is_file():
        return _loaded(path, path)
    folder = _unzipped(path)
    try:
        return _loaded(path, Path(folder.name), folder)
    except FolderError as error:
        place = error.place.replace(folder.name, str(path))
        raise FolderError(error.cause, place=place, cure=error.cure) from None


def _loaded(given: Path, path: Path, folder: Any = None) -> RuntimeFolder:
    # A bundle that has lost one of the two is a damaged bundle, and no model folder.
    facts = _read_facts(path) if [*path.glob(layout.BUNDLE), *path.glob(layout.ENCODER)] else None
    config, source, target = load_setup(path)
    sizes, short = (len(source), len(target)), None
    weights = Weights(load_weights(path, source, target), str(path / layout.WEIGHTS))
    if facts is not None and layout.SHORT_DECODER in facts["files"]:
        arrays, _ = read_tensors(path / layout.SHORTLIST, "np")
        short = Shortlist.of(arrays, sizes, str(path / layout.SHORTLIST))
    found = graphs(config.model, weights, sizes, shortlist=short is not None)
    for name, graph in found.items() if facts is not None else ():
        if (path / name).read_bytes() != graph.raw:
            cause = "is not the graph that config.toml describes"
            raise FolderError(cause, place=path / name, cure=_AGAIN)
    return RuntimeFolder(given, path, config, source, target, facts, weights, short, folder)


def _read_facts(path: Path) -> dict[str, Any]:
    """Read ``bundle.json`` and check it: first the format, then the digests of all files."""
    place = path / layout.BUNDLE
    with reading(place, "is missing or damaged", _AGAIN):
        facts = parse_json(place.read_text("utf-8"))
        require_format(facts["format"], layout.BUNDLE_FORMAT, place)
        files = dict(facts["files"])
    short = layout.BUNDLE_SHORT if files.keys() & {*layout.BUNDLE_SHORT} else ()
    for name in sorted((files.keys() ^ {*layout.BUNDLE_NEEDS, *short}) - {*layout.BUNDLE_MAY_HAVE}):
        raise FolderError(f"names a file too many or too few: {name!r}", place=place, cure=_AGAIN)
    for name, expected in files.items():
        file = path / name
        if file.is_symlink() or not file.is_file() or fingerprint([file]) != expected:
            raise FolderError("is missing, damaged, or of another bundle", place=file, cure=_AGAIN)
    return dict(facts)


def _unzipped(path: Path) -> TemporaryDirectory[str]:
    """A folder with the files of a zipped bundle, which goes when this is no longer used.

    Raises:
        FolderError: the file is damaged, or holds what a bundle does not have.
    """
    folder, place = TemporaryDirectory(prefix="dragoman-"), str(path)
    with reading(path, "is a damaged zip file", _AGAIN), zipfile.ZipFile(path) as file:
        known = (layout.BUNDLE, *layout.BUNDLE_NEEDS, *layout.BUNDLE_SHORT)
        for name in {*file.namelist()} - {*known, *layout.BUNDLE_MAY_HAVE}:
            raise FolderError(f"holds {name!r}, which is no file of a bundle", place=place)
        if sum(info.file_size for info in file.infolist()) > _LARGEST:
            raise FolderError("is too large when it is unpacked", place=place)
        file.extractall(folder.name)
    return folder
