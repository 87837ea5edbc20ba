"""Writes a model folder as a bundle that runs without torch, and measures that it says the same."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
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
from dragoman.export.parity import parity, shortlist_agrees
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
from dragoman.search.batched import BatchedScorer
from dragoman.search.translator import Translator


def export_bundle(
    folder: RuntimeFolder,
    out: Path,
    *,
    reference: Translator,
    pairs: Sequence[tuple[str, str]],
    training: Iterable[tuple[Source, Ids]] | None,
    int8: bool = False,
    zipped: bool = False,
    licence: str = "",
) -> dict[str, Any]:
    """Write a bundle.

    Args:
        folder: the model folder.
        out: the bundle, a folder or a file.
        reference: translates with the model folder in torch.
        pairs: of text, on which the written bundle is compared with ``reference``.
        training: training pairs, from which the shortlist is learned; None: no shortlist.
        int8: store weights in 8 bits.
        zipped: write one zip file.
        licence: under which the model may be used, for its users.

    Returns:
        What the bundle says of itself.

    Raises:
        DataError: its outputs differ too much from the folder's.
    """
    config, source, target = _without_paths(folder.config), folder.source, folder.target
    tensors, sizes = folder.weights.tensors, (len(source), len(target))
    tensors = quantized(tensors) if int8 else dict(tensors)
    shortlist = None if training is None else learn_shortlist(training, sizes)
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
        facts_file = aside / BUNDLE
        facts_file.write_text(json.dumps(facts, indent=1), "utf-8")
        bundle = load_runtime(aside)
        plain = _translator(bundle, shortlist=False)
        limited = None if shortlist is None else _translator(bundle, shortlist=True)
        facts["parity"] = parity(reference, plain, limited, pairs, config.search, int8=int8)
        if shortlist is not None and not shortlist_agrees(facts["parity"]):
            config = replace(config, search=replace(config.search, shortlist=False))
            save_setup(aside, config, source, target)
            facts["files"][CONFIG] = digest(aside / CONFIG)
        facts_file.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")
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


def _translator(bundle: RuntimeFolder, *, shortlist: bool) -> Translator:
    scorer = BatchedScorer(bundle.network(int8=False, shortlist=shortlist))
    longest = bundle.config.source.max_tokens
    return Translator(scorer, bundle.source, bundle.target, longest=longest)


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
    with replacing(out) as aside, TemporaryDirectory(prefix="dragoman-") as folder:
        yield Path(folder)
        with zipfile.ZipFile(aside, "w") as file:
            for path in sorted(Path(folder).iterdir()):
                nameless = zipfile.ZipInfo(path.name)  # without a date: equal files, equal archives
                file.writestr(nameless, path.read_bytes(), zipfile.ZIP_DEFLATED)
