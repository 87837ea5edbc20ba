"""Exports a model folder: as a bundle, which runs without torch, or as a site for browsers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragoman.api import Model, Paths, load
from dragoman.errors import FolderError, OptionError
from dragoman.extras import naming_extras
from dragoman.files import replacing
from dragoman.layout import CORPUS, TRAIN
from dragoman.runtime.folder import RuntimeFolder, load_runtime

if TYPE_CHECKING:  # what this imports is not part of a base install
    from dragoman.evaluation.examples import Pairs


@naming_extras()
def export(
    folder: str | Path,
    out: str | Path,
    pairs: Paths | Pairs | None = None,
    *,
    lines: int = 200,
    int8: bool = False,
    shortlist: bool = True,
    zipped: bool = False,
    licence: str = "",
) -> dict[str, Any]:
    """Write a model folder as a bundle, which runs without torch.

    Args:
        folder: the model folder.
        out: the bundle.
        pairs: the bundle's outputs are compared with the folder's on these pairs; see
            :meth:`Model.examples` (default: the pairs that the training held out).
        lines: compare on so many of them, the first ones.
        int8: store weights in 8 bits.
        shortlist: learn the likely target words of each source word, from the training pairs where
            the folder has them.
        zipped: write one zip file.
        licence: the licence under which the model may be used.

    Returns:
        The contents of ``bundle.json``.

    Raises:
        DataError: the bundle's outputs differ too much from the folder's.
        FolderError: the folder is missing or damaged.
        OptionError: ``out`` holds other files than a bundle's.
        UsageError: the folder is a bundle, or an ensemble.
    """
    from dragoman.data.corpus import Corpus
    from dragoman.export.bundle import export_bundle, require_replaceable

    out = Path(out)
    require_replaceable(out, zipped=zipped)
    model = load(folder)
    loaded = model.torch_folder("exported")
    corpus = loaded.path / CORPUS / TRAIN  # a folder of one seed has it in seed-1
    some = model.examples(pairs)
    texts = [(s, right[0]) for s, right in zip(some.sources, some.references, strict=True)][:lines]
    training = Corpus(corpus) if shortlist and corpus.exists() else None
    assert isinstance(model.folder, RuntimeFolder)
    return export_bundle(
        model.folder,
        out,
        reference=Model(loaded).translator({"int8": False})[0],
        pairs=texts,
        training=None if training is None else map(training.pair, range(len(training))),
        int8=int8,
        zipped=zipped,
        licence=licence,
    )


def export_site(
    folder: str | Path,
    out: str | Path,
    pairs: Paths | Pairs | None = None,
    *,
    runtime: str | Path,
    languages: tuple[str, str],
    **options: Any,
) -> dict[str, Any]:
    """Write a static site that translates in the browser with a model folder's model.

    Args:
        folder: the model folder.
        out: the folder of the site.
        pairs: as for :func:`export`.
        runtime: the npm package onnxruntime-web, a file; see :mod:`dragoman.export.web`.
        languages: the codes of source and target, such as ``("fr", "en")``.
        options: of :func:`export`: ``lines``, ``int8`` and ``licence``.

    Returns:
        What ``bundle.json`` of the site's model says.

    Raises:
        OptionError: the package cannot be read or is another, the model draws its outputs at
            random, or ``out`` holds other files than a site's.
        FolderError: the model's sources have tags.
    """
    from dragoman.export.bundle import require_replaceable
    from dragoman.export.web import read_runtime, write_site

    require_replaceable(Path(out), zipped=False)
    read, name = read_runtime(Path(runtime)), Path(folder).resolve().name
    model = load(folder)
    if model.folder.source.tags:
        cause, cure = "its sources have tags, which a page does not read", "dragoman serve"
        raise FolderError(cause, place=str(folder), cure=cure)
    if model.config.search.temperature:
        cause, cure = "a page draws no outputs at random", "set it to 0 in config.toml"
        raise OptionError(cause, place="search.temperature", cure=cure)
    with replacing(Path(out), folder=True) as aside:
        facts = export(folder, aside / "model", pairs, shortlist=False, **options)
        write_site(aside, load_runtime(aside / "model"), name, languages, read)
    return facts
