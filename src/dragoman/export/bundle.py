"""Writes a model folder as a bundle that runs without torch, and measures that it says the same."""

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from safetensors.numpy import save

from dragoman import layout
from dragoman.api import Model, Paths, load
from dragoman.config.options import Config, SearchOptions
from dragoman.config.toml import merge
from dragoman.data.lines import fingerprint
from dragoman.data.setup import header, load_weights, save_setup
from dragoman.errors import DataError, OptionError, naming_extras
from dragoman.evaluation.examples import Pairs
from dragoman.files import replacing
from dragoman.runtime.folder import RuntimeFolder
from dragoman.runtime.network import graphs
from dragoman.runtime.shortlist import learn_shortlist
from dragoman.runtime.weights import Weights, quantized
from dragoman.search.translator import Translator

LARGEST_DIFFERENCE = 0.01
"""Most that a token's log-probability in fp32 may differ between the bundle and torch."""
LARGEST_LOSS = 1.0
"""Most BLEU that the bundle may lose against the folder."""
FEWEST_EQUAL, LARGEST_CHANGE = 0.95, 0.2
"""A shortlist is used unless asked otherwise where at least this share of greedy outputs are those
without it, and BLEU changes by no more than this."""


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
        out: the bundle, a folder or a file.
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
    from dragoman.data.corpus import Corpus  # pyarrow

    out = Path(out)
    require_replaceable(out, zipped=zipped)
    model = load(folder)
    compared = {"folder": Model(model.torch_folder("exported")).translator({"int8": False})[0]}
    texts = model.examples(pairs).pairs()[:lines]
    assert isinstance(model.folder, RuntimeFolder)
    loaded, config = model.folder, _without_paths(model.config)
    sizes, learned = (len(loaded.source), len(loaded.target)), None
    corpus = loaded.path / layout.CORPUS / layout.TRAIN  # a folder of one seed has it in seed-1
    # Hard monotonic attention scores all words at every position, which has no shortlist.
    if shortlist and corpus.exists() and config.model.attention != "monotonic":
        training = Corpus(corpus)
        learned = learn_shortlist(map(training.pair, range(len(training))), sizes)
    tensors = quantized(loaded.weights.tensors) if int8 else dict(loaded.weights.tensors)
    made = replace(loaded, config=config, weights=Weights(tensors, str(out)), shortlist=learned)
    compared["bundle"], _ = Model(made).translator({"shortlist": False})
    if learned is not None:
        compared["shortlist"], _ = Model(made).translator({"shortlist": True})
    found = parity(compared, texts, config.search, int8=int8)
    if learned is not None and not shortlist_agrees(found):
        config = replace(config, search=replace(config.search, shortlist=False))
    facts: dict[str, Any] = {"format": layout.BUNDLE_FORMAT, "int8": int8, "licence": licence}
    with new_folder(out, zipped) as aside:
        _write_model(aside, replace(made, config=config))
        facts["files"] = {path.name: fingerprint([path]) for path in sorted(aside.iterdir())}
        facts["parity"] = found
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        (aside / layout.BUNDLE).write_text(f"{text}\n", "utf-8")
        load(aside)  # what is written can be read
    return facts


def _write_model(aside: Path, made: RuntimeFolder) -> None:
    """Write every file of a bundle into ``aside`` but the one with the facts about them."""
    sides, sizes = (made.source, made.target), (len(made.source), len(made.target))
    save_setup(aside, made.config, *sides)
    (aside / layout.WEIGHTS).write_bytes(save({**made.weights.tensors}, metadata=header(*sides)))
    if made.shortlist is not None:
        (aside / layout.SHORTLIST).write_bytes(save(made.shortlist._asdict()))
    weights = Weights(load_weights(aside, *sides), str(aside / layout.WEIGHTS))
    written = graphs(made.config.model, weights, sizes, shortlist=made.shortlist is not None)
    for name, graph in written.items():
        (aside / name).write_bytes(graph.raw)
    for name in (layout.CONFIDENCE, layout.CARD):
        if (made.path / name).exists():
            shutil.copyfile(made.path / name, aside / name)


def _without_paths(config: Config) -> Config:
    """The options without names of files of this machine, and without int8: the weights tell it."""
    bare: dict[str, Any] = {"data": {"validation_pairs": (), "also": (), "replay": "none"}}
    bare |= {"source": {"vectors": ""}, "target": {"vectors": ""}, "search": {"int8": False}}
    return merge(config, bare | {"training": {"start_from": "", "freeze": False}}, place="")


def require_replaceable(out: Path, *, zipped: bool) -> None:
    """Check that writing ``out`` replaces nothing but what an earlier export wrote.

    Raises:
        OptionError: it is a file, or the name of a zip file, where a folder is asked for; a folder
            or another file, where a zip file is; or a folder with other files.
    """
    if zipped and out.exists() and out.stat().st_size and not zipfile.is_zipfile(out):
        raise OptionError(f"{out} is no zip file", place="--out", cure="another name")
    if not zipped and (out.is_file() or out.suffix.lower() == ".zip"):
        cause = f"{out} is the name of a file, a folder would be written"
        raise OptionError(cause, place="--out", cure="--zip, or another name")
    if out.is_dir() and any(out.iterdir()):
        if not any((out / name).exists() for name in layout.EXPORTED):
            cause = f"{out} holds other files than a bundle's"
            raise OptionError(cause, place="--out", cure="another name")


@contextmanager
def new_folder(out: Path, zipped: bool) -> Iterator[Path]:
    """An empty folder, which becomes ``out`` at the end; or its files, the zip file ``out``."""
    if not zipped:
        with replacing(out, folder=True) as aside:
            yield aside
        return
    with replacing(out) as aside, TemporaryDirectory(prefix="dragoman-") as folder:
        yield Path(folder)
        with zipfile.ZipFile(aside, "w") as file:
            for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
                # Without a date: equal files, equal archives.
                nameless = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                file.writestr(nameless, path.read_bytes(), zipfile.ZIP_DEFLATED)


def parity(
    translators: Mapping[str, Translator], pairs: Pairs, options: SearchOptions, *, int8: bool
) -> dict[str, Any]:
    """Compare a bundle with the model folder.

    Args:
        translators: ``folder``, the model in torch; ``bundle``, without its shortlist; and
            ``shortlist``, the bundle with its shortlist if it has one.
        pairs: of text.
        options: of the model's search; the outputs that are compared are greedy.
        int8: the bundle is in 8 bits.

    Raises:
        DataError: the differences are too large; the message holds the figure.
    """
    from dragoman.evaluation.metrics import measures  # sacrebleu

    greedy = replace(options, beam=1, n_best=1, temperature=0.0, int8=False)
    sources = [source for source, _ in pairs]
    references = [(translators["folder"].target.normalize(target),) for _, target in pairs]
    steps = [
        np.array([step for one in each.score(pairs, greedy) for step in one.hypothesis.steps])
        for each in (translators["folder"], translators["bundle"])
    ]
    found: dict[str, Any] = {"lines": len(pairs)}
    found["largest_difference"] = round(float(np.abs(steps[0] - steps[1]).max(initial=0)), 7)
    said = {}
    for name, one in translators.items():
        said[name] = [answer.text for answer in one.translate(sources, greedy)]
        (bleu,) = measures(said[name], references, ("bleu",))
        found[f"bleu_{name}"] = round(bleu.value(), 2)
    for name, other in (("bundle", "folder"), ("shortlist", "bundle")):
        if name in said:
            same = [a == b for a, b in zip(said[name], said[other], strict=True)]
            found[f"equal_{name}"] = round(sum(same) / len(same), 4)
    differs = not int8 and found["largest_difference"] > LARGEST_DIFFERENCE
    if differs or found["bleu_folder"] - found["bleu_bundle"] > LARGEST_LOSS:
        cause, cure = f"says something else than the folder: {found}", "report this"
        raise DataError(cause, place="bundle", cure="export without --int8" if int8 else cure)
    return found


def shortlist_agrees(found: dict[str, Any]) -> bool:
    """Whether a shortlist hardly changes outputs, by what :func:`parity` returned."""
    change = abs(found["bleu_shortlist"] - found["bleu_bundle"])
    return bool(found["equal_shortlist"] >= FEWEST_EQUAL and change <= LARGEST_CHANGE)
