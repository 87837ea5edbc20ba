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

import numpy as np
from safetensors.numpy import load_file, save

from dragoman.config.options import Config
from dragoman.config.toml import to_toml
from dragoman.data.source import Source
from dragoman.data.tokenizer import Ids, Tokenizer
from dragoman.export.shortlist import learn_shortlist
from dragoman.files import replacing
from dragoman.layout import (
    BUNDLE,
    BUNDLE_FORMAT,
    CARD,
    CONFIDENCE,
    CONFIG,
    NUMBERS,
    SHORTLIST,
    SOURCE,
    TARGET,
    WEIGHTS,
)
from dragoman.runtime.bundle import Bundle, arrays_of, digest, graphs, load_bundle, places
from dragoman.runtime.weights import Weights, quantized

Check = Callable[[Bundle], dict[str, Any]]


def export_bundle(
    folder: Path,
    setup: tuple[Config, Tokenizer, Tokenizer],
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
        setup: its options and tokenizers.
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
    config, source, target = setup
    place, sizes = folder / WEIGHTS, (len(source), len(target))
    tensors = load_file(place)
    weights = Weights(quantized(tensors) if int8 else tensors, str(place), int8=int8)
    shortlist = None if pairs is None else learn_shortlist(pairs, sizes)
    found = graphs(config.model, weights, sizes, shortlist=shortlist is not None)
    weights.require_all_used()
    arrays = arrays_of(found)
    where, size = places(arrays)
    with _new_folder(out, zipped) as aside:
        numbers = np.zeros(size, np.uint8)
        for name, one in arrays.items():
            at = where[name].offset
            numbers[at : at + one.nbytes] = np.frombuffer(one.tobytes(), np.uint8)
        (aside / NUMBERS).write_bytes(numbers.tobytes())
        for name, (graph, inputs, outputs) in found.items():
            (aside / name).write_bytes(graph.written(inputs, outputs, where))
        if shortlist is not None:
            (aside / SHORTLIST).write_bytes(save(shortlist.arrays()))
        (aside / CONFIG).write_text(to_toml(_without_paths(config)), "utf-8")
        (aside / SOURCE).write_text(source.json, "utf-8")
        (aside / TARGET).write_text(target.json, "utf-8")
        for name in (CONFIDENCE, CARD):
            if (folder / name).exists():
                shutil.copyfile(folder / name, aside / name)
        facts = {"format": BUNDLE_FORMAT, "int8": int8}
        facts |= {"licence": licence, "parity": {}}
        facts["files"] = {path.name: digest(path) for path in sorted(aside.iterdir())}
        told = aside / BUNDLE
        told.write_text(json.dumps(facts, indent=1), "utf-8")
        facts["parity"] = check(load_bundle(aside))
        told.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return facts


def _without_paths(config: Config) -> Config:
    """The options without the names of files of this machine, and without int8 of torch."""
    return replace(
        config,
        data=replace(config.data, validation_pairs=()),
        source=replace(config.source, vectors=""),
        target=replace(config.target, vectors=""),
        training=replace(config.training, start_from="", freeze=False),
        search=replace(config.search, int8=False),
    )


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
