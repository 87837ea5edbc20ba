"""Writes a model folder as a bundle that runs without torch, and measures that it says the same."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.numpy import save

from dragoman.config.options import Config
from dragoman.data.setup import header, load_weights, save_setup
from dragoman.data.source import Source
from dragoman.data.tokenizer import Ids
from dragoman.errors import OptionError
from dragoman.export.parity import shortlist_agrees
from dragoman.export.shortlist import learn_shortlist
from dragoman.files import replacing
from dragoman.layout import (
    BUNDLE,
    BUNDLE_FORMAT,
    CARD,
    CONFIDENCE,
    CONFIG,
    SHORTLIST,
    SITE,
    WEIGHTS,
)
from dragoman.runtime.bundle import digest
from dragoman.runtime.folder import RuntimeFolder, load_runtime
from dragoman.runtime.sessions import graphs
from dragoman.runtime.weights import Weights, quantized

Check = Callable[[RuntimeFolder], dict[str, Any]]


def export_bundle(
    folder: RuntimeFolder,
    out: Path,
    *,
    pairs: Iterable[tuple[Source, Ids]] | None,
    check: Check,
    int8: bool = False,
    zipped: bool = False,
    licence: str = "",
) -> dict[str, Any]:
    """Write a bundle.

    Args:
        folder: the model folder.
        out: the bundle, a folder or a file.
        pairs: training pairs, from which the shortlist is learned; None: no shortlist.
        check: measures the written bundle; what it returns is kept in the bundle. It raises an
            error where the bundle says too much else.
        int8: store weights in 8 bits.
        zipped: write one zip file.
        licence: under which the model may be used, for its users.

    Returns:
        What the bundle says of itself.
    """
    config, source, target = _without_paths(folder.config), folder.source, folder.target
    tensors, sizes = folder.weights.tensors, (len(source), len(target))
    tensors = quantized(tensors) if int8 else dict(tensors)
    shortlist = None if pairs is None else learn_shortlist(pairs, sizes)
    with _new_folder(out, zipped) as aside:
        save_setup(aside, config, source, target)
        place = aside / WEIGHTS
        place.write_bytes(save(tensors, metadata=header(source, target)))
        if shortlist is not None:
            (aside / SHORTLIST).write_bytes(save(shortlist.arrays()))
        weights = Weights(load_weights(aside, source, target), str(place))
        written = graphs(config.model, weights, sizes, shortlist=shortlist is not None)
        for name, graph in written.items():
            (aside / name).write_bytes(graph.raw)
        for name in (CONFIDENCE, CARD):
            if (folder.path / name).exists():
                shutil.copyfile(folder.path / name, aside / name)
        facts: dict[str, Any] = {"format": BUNDLE_FORMAT, "int8": int8, "licence": licence}
        facts["files"] = {path.name: digest(path) for path in sorted(aside.iterdir())}
        told = aside / BUNDLE
        told.write_text(json.dumps(facts, indent=1), "utf-8")
        facts["parity"] = check(load_runtime(aside))
        if shortlist is not None and not shortlist_agrees(facts["parity"]):
            config = replace(config, search=replace(config.search, shortlist=False))
            save_setup(aside, config, source, target)
            facts["files"][CONFIG] = digest(aside / CONFIG)
        told.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return facts


def _without_paths(config: Config) -> Config:
    """The options without names of files of this machine, and without int8: the weights tell it."""
    return replace(
        config,
        data=replace(config.data, validation_pairs=()),
        source=replace(config.source, vectors=""),
        target=replace(config.target, vectors=""),
        training=replace(config.training, start_from="", freeze=False),
        search=replace(config.search, int8=False),
    )


def require_replaceable(out: Path, *, zipped: bool) -> None:
    """Check that writing ``out`` replaces nothing but an earlier bundle or site.

    Raises:
        OptionError: it is a file where a folder is asked for, or a folder with other files.
    """
    if not zipped and out.is_file():
        raise OptionError(f"{out} is a file", place="--out", cure="--zip, or another name")
    if out.is_dir() and any(out.iterdir()):
        if not any((out / name).exists() for name in (BUNDLE, SITE)):
            cause = f"{out} holds other files than a bundle's"
            raise OptionError(cause, place="--out", cure="another name")


@contextmanager
def _new_folder(out: Path, zipped: bool) -> Iterator[Path]:
    """An empty folder, which becomes ``out`` at the end; or its files, the zip file ``out``."""
    if not zipped:
        with replacing(out, folder=True) as aside:
            yield aside
        return
    with TemporaryDirectory(prefix="dragoman-") as folder:
        yield Path(folder)
        _zip(Path(folder), out)


def _zip(folder: Path, out: Path) -> None:
    """Pack the files of ``folder``; equal files make equal archives."""
    with replacing(out) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.iterdir()):
            file.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
