"""Trains one model, several models that differ in the seed, or one on the outputs of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from dragoman.api import Model, Paths, load
from dragoman.config.options import Config, DataOptions, Format
from dragoman.config.toml import merge
from dragoman.config.values import seconds
from dragoman.data.lines import fingerprint
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.streams import STDIN
from dragoman.errors import DataError, OptionError
from dragoman.extras import naming_extras
from dragoman.files import write_text
from dragoman.layout import CONFIG, DISTILLED, SEEDS, WEIGHTS

FRESH = {"training": {"refit": "auto"}, "data": {"format": "auto"}}
"""Options that a distilled model does not take from its teacher: ``pairs`` may have another format
than the teacher's, which may itself have learned from a teacher's outputs."""

if TYPE_CHECKING:
    from dragoman.training.observer import Event, Observer
    from dragoman.training.run import Outcome


@naming_extras()
def train(
    pairs: Paths,
    out: str | Path,
    config: Config | None = None,
    *,
    seeds: int = 1,
    console: Console | None = None,
    began: float | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train a model on a file of pairs (or two aligned files) into the folder ``out``.

    The same call again resumes what was interrupted, and may change some options, such as the
    learning rate.

    With several seeds, ``out`` gets a model folder for each, and ``load(out)`` is their ensemble.
    They are trained one after the other, and each has its share of a time budget.

    Args:
        pairs: one file of pairs, or two aligned files.
        out: the model folder; it is made if it is not there.
        config: the options.
        seeds: number of models, with ``training.seed`` and the seeds after it.
        console: where progress is shown (default: stderr).
        began: the monotonic clock when the command started, from which a time budget counts.
        observers: functions that receive the events of the training, see
            :mod:`dragoman.training.observer`.

    Returns:
        How the training ended; of several, the last one that began.

    Raises:
        UsageError: wrong options, unusable data, a stream of pairs for several seeds, or a folder
            that holds another run.
        TrainingError: gradients stay non-finite, or memory does not hold one pair.
    """
    config, out = config or Config(), Path(out)
    if seeds == 1:
        return _train(pairs, out, config, console, began, observers)
    if (out / CONFIG).exists():
        cause, cure = "holds a run of one seed", "choose another --out"
        raise OptionError(cause, place=str(out), cure=cure)
    for file in _paths(pairs):
        if file == STDIN or file.is_fifo():
            cause, cure = "a stream can be read only once", "save the pairs to a file"
            raise OptionError(cause, place="--seeds", cure=cure)
    budget, first = config.training.budget, config.training.seed
    if budget != "none":
        budget = f"{max(1, round(seconds(budget) / seeds))}s"
    for seed in range(first, first + seeds):
        one = replace(config, training=replace(config.training, seed=seed, budget=budget))
        outcome = _train(pairs, out / f"{SEEDS}{seed}", one, console, began, observers)
        if outcome.interrupted:
            break
        began = None  # the next budget counts from there
    return outcome


@naming_extras()
def distil(
    teacher: str | Path,
    pairs: Paths,
    out: str | Path,
    config: Config | None = None,
    *,
    console: Console | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train a model on the outputs of another, or of an ensemble (Kim & Rush 2016, section 3.2).

    The new model learns from the sources of ``pairs`` with the teacher's best outputs. It is
    validated on ``data.validation_pairs`` where ``config`` names other ones than the teacher's, or
    else on the pairs that the teacher's training held out. The same call again resumes, also where
    it was interrupted while the teacher translated.

    Args:
        teacher: a model folder, or a folder of seeds.
        pairs: one file of pairs, or two aligned files; targets are not read.
        out: the new model folder.
        config: its options (default: the teacher's, but for those in :data:`FRESH`); those of
            ``data`` say how ``pairs`` and, later, test sets are read.
        console: where progress is shown (default: stderr).
        observers: functions that receive the events of the training.

    Returns:
        How the training of the new model ended.

    Raises:
        DataError: the teacher's folder does not hold its held-out pairs, or all outputs are empty.
        OptionError: ``out`` was distilled from another teacher or other pairs, or not distilled.
        UsageError: as for :func:`train`.
    """
    from dragoman.training.folder import claimed

    model, out, console = load(teacher), Path(out), console or Console(stderr=True)
    config = config or merge(model.config, FRESH, place="")
    data, files, made = config.data, _paths(pairs), out / DISTILLED
    known = data.validation_pairs == model.config.data.validation_pairs
    validation = [] if known else [Path(name) for name in data.validation_pairs]
    weights = [one.path / WEIGHTS for one in (model.folder, *model.others)]
    digest = fingerprint([*weights, *filter(Path.is_file, [*files, *validation])])
    form: Format = "tsv" if data.features_column else "jsonl"
    part, learned = made / "outputs.part", made / f"train.{form}"
    with claimed(out):
        _require_origin(out, digest)
        if not learned.exists():
            held = _validation(model, validation, data)
            unseen, read = {source for source, _ in held}, read_pairs(files, data, Faults())
            sources = dict.fromkeys(pair.source for pair in read if pair.source not in unseen)
            outputs = _outputs(model, list(sources), part, console)
            _write_pairs(made / f"validation.{form}", held, data)
            _write_pairs(learned, outputs, data)
            part.unlink()
    data = replace(data, format=form, validation_pairs=(str(made / f"validation.{form}"),))
    return _train(learned, out, replace(config, data=data), console, None, observers)


def _require_origin(out: Path, digest: str) -> None:
    """Check that a run was distilled from what ``digest`` identifies; write it for a new run.

    Args:
        out: the model folder.
        digest: SHA-256 of the teacher's weights and the files of pairs.

    Raises:
        OptionError: the folder holds a run that was distilled from others, or not distilled.
    """
    origin = out / DISTILLED / "origin"
    there = origin.read_text("utf-8") if origin.exists() else ""
    if there != digest and (there or (out / CONFIG).exists()):
        how = "distilled from another teacher or other pairs" if there else "not distilled"
        raise OptionError(f"holds a run {how}", place=str(out), cure="choose another --out")
    if not there:
        origin.parent.mkdir(exist_ok=True)
        write_text(origin, digest)


def _validation(model: Model, files: Sequence[Path], data: DataOptions) -> list[tuple[str, str]]:
    """The pairs of ``files``; without files those that the training of ``model`` held out.

    Raises:
        DataError: the files cannot be read, or the model's folder holds no held-out pairs.
    """
    if files:
        return [(pair.source, pair.target) for pair in read_pairs(files, data, Faults())]
    held = model.examples()
    return [(s, right[0]) for s, right in zip(held.sources, held.references, strict=True)]


def _outputs(
    model: Model, sources: Sequence[str], part: Path, console: Console
) -> list[tuple[str, str]]:
    """Each source with the output of ``model``.

    Args:
        model: the teacher.
        sources: raw text.
        part: gains the outputs as they come, one JSON string a line; those that an interrupted
            command left in it are taken from there.
        console: shows progress, if it is a terminal.

    Raises:
        DataError: all outputs are empty.
    """
    lines = part.read_text("utf-8", errors="replace").split("\n")[:-1] if part.exists() else []
    write_text(part, "".join(f"{line}\n" for line in lines))  # without a line that was cut
    rest, quiet = sources[len(lines) :], not console.is_terminal
    shown = track(model.stream(rest), "translating", len(rest), console=console, disable=quiet)
    try:
        with open(part, "a", encoding="utf-8") as file:
            for answer in shown:
                line = json.dumps(answer.text)
                file.write(f"{line}\n")
                lines.append(line)
    except KeyboardInterrupt:
        some = f"{len(lines):,} of {len(sources):,} sources are translated"
        console.print(f"{some}; the same command goes on from here", soft_wrap=True)
        raise
    outputs = list(map(json.loads, lines))
    if not any(outputs):
        cause, cure = "translates none of these sources", "train it longer, or other pairs"
        raise DataError(cause, place=str(model.folder.path), cure=cure)
    return list(zip(sources, outputs, strict=True))


def _paths(pairs: Paths) -> list[Path]:
    return [Path(path) for path in ([pairs] if isinstance(pairs, (str, Path)) else pairs)]


def _write_pairs(path: Path, pairs: Sequence[tuple[str, str]], data: DataOptions) -> None:
    """Write pairs in a form that ``data`` reads: a table if it has columns of features, else JSON.

    A pair whose target is empty, or that has the table's separator in a text, is left out.
    """
    separator = "\t" if data.separator == "auto" else data.separator
    table, columns = bool(data.features_column), (*data.columns, *data.features_column)
    free = (place for place in count(1) if place not in columns)
    places = [place if isinstance(place, int) else next(free) for place in columns]
    is_named = table and (data.header is True or any(isinstance(name, str) for name in columns))
    rows, lines = [tuple(map(str, columns))] if is_named else [], list[str]()
    for source, target in pairs:
        # A target tag stands behind the features: reading adds it again.
        words, *features = source.split("\t") if data.features else [source]
        sides = (target, words) if data.reverse else (words, target)
        if target and not (table and separator in "".join((*sides, *features))):
            rows.append((*sides, *features))
    for texts in rows:
        cells = dict(zip(places if table else data.fields, texts, strict=False))
        line = json.dumps(cells, ensure_ascii=False)
        if table:
            line = separator.join(cells.get(n, "") for n in range(1, max(places) + 1))
        lines.append(f"{line}\n")
    write_text(path, "".join(lines))


def _train(
    pairs: Paths,
    folder: Path,
    config: Config,
    console: Console | None,
    began: float | None,
    observers: Sequence[Observer],
) -> Outcome:
    from dragoman.inspection.explain import explain_pairs
    from dragoman.runs.report import write_documents
    from dragoman.training.observer import Measured, StepShown
    from dragoman.training.run import train as run_training

    shown = console or Console(stderr=True)

    def observe(event: Event) -> None:
        match event:
            case StepShown(model, data):
                sides, smoothing = (data.source, data.target), data.config.training.label_smoothing
                shown.print(explain_pairs(model, sides, data.train, most=2, smoothing=smoothing))
            case Measured({"kind": "validation"}):
                write_documents(folder)

    observers, files = [observe, *observers], _paths(pairs)
    outcome = run_training(files, folder, config, console=shown, began=began, observers=observers)
    if outcome.is_main_process:
        write_documents(folder, shown)
    return outcome
