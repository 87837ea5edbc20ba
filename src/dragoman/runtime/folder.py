"""Loads a model folder or a bundle, for ONNX Runtime."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dragoman.config.options import Config
from dragoman.data.setup import load_setup, load_weights, read_tensors
from dragoman.data.tokenizer import Tokenizer
from dragoman.errors import FolderError
from dragoman.layout import BUNDLE, SHORT_DECODER, SHORTLIST, WEIGHTS
from dragoman.runtime.bundle import AGAIN, checked_facts, unpacked
from dragoman.runtime.network import OnnxNetwork
from dragoman.runtime.sessions import graphs
from dragoman.runtime.shortlist import Shortlist
from dragoman.runtime.weights import Weights, quantized


@dataclass(frozen=True)
class RuntimeFolder:
    """A loaded folder; :class:`dragoman.model.folder.ModelFolder` is one in torch."""

    path: Path
    config: Config
    source: Tokenizer
    target: Tokenizer
    facts: dict[str, Any] | None
    """What ``bundle.json`` says; None for a model folder."""
    weights: Weights = field(repr=False)
    shortlist: Shortlist | None = field(repr=False)
    _unpacked: Any = field(repr=False)
    """The folder of an unpacked zip file, which is removed with this."""

    def network(self, *, int8: bool, shortlist: bool) -> OnnxNetwork:
        """The model, ready to search.

        Args:
            int8: multiply 8-bit numbers; a bundle whose weights are in 8 bits always does.
            shortlist: limit the words, where the bundle has a shortlist.
        """
        weights, limit = self.weights, self.shortlist if shortlist else None
        if int8 and not weights.int8:
            weights = Weights(quantized(weights.tensors), weights.place)
        sizes = len(self.source), len(self.target)
        return OnnxNetwork(self.config.model, weights, sizes, limit)


def load_runtime(path: Path) -> RuntimeFolder:
    """Load a model folder or a bundle, which may be a zip file.

    Raises:
        FolderError: a file is missing, damaged, foreign or of a newer format; or a graph of the
            bundle is not the one that the options describe. The message names the file.
    """
    if not path.is_file():
        return _loaded(path)
    folder = unpacked(path)
    try:
        return _loaded(Path(folder.name), folder)
    except FolderError as error:
        place = error.place.replace(folder.name, str(path))
        raise FolderError(error.cause, place=place, cure=error.cure) from None


def _loaded(path: Path, folder: Any = None) -> RuntimeFolder:
    facts = checked_facts(path) if (path / BUNDLE).exists() else None
    config, source, target = load_setup(path)
    sizes, short = (len(source), len(target)), None
    weights = Weights(load_weights(path, source, target), str(path / WEIGHTS))
    if facts is not None and SHORT_DECODER in facts["files"]:
        arrays, _ = read_tensors(path / SHORTLIST, "np")
        short = Shortlist.of(arrays, sizes, str(path / SHORTLIST))
    found = graphs(config.model, weights, sizes, shortlist=short is not None)
    for name, graph in found.items() if facts is not None else ():
        if (path / name).read_bytes() != graph.raw:
            cause = "is not the graph that config.toml describes"
            raise FolderError(cause, place=str(path / name), cure=AGAIN)
    return RuntimeFolder(path, config, source, target, facts, weights, short, folder)
