"""Trains one model, several models that differ in the seed, or one on the outputs of others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from dragoman.api import Model, Paths, load
from dragoman.config.options import Config, DataOptions, seconds
from dragoman.data.lines import fingerprint
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.streams import STDIN
from dragoman.errors import DataError, OptionError
from dragoman.extras import naming_extras
from dragoman.files import replacing, write_text
from dragoman.layout import CONFIG, DISTILLED, SEEDS, WEIGHTS

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

    The new model learns from the sources of ``pairs`` with the teacher's best outputs, and is
    validated on the pairs that the teacher's training held out. The same call again resumes.

    Args:
        teacher: a model folder, or a folder of seeds.
        pairs: one file of pairs, or two aligned files; targets are not read.
        out: the new model folder.
        config: its options (default: the teacher's); those of ``data`` say how ``pairs`` and,
            later, test sets are read.
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

    model, out = load(teacher), Path(out)
    config, files, made = config or model.config, _paths(pairs), out / DISTILLED
    data = config.data
    if (len(files) == 2) != (data.format == "aligned"):
        data = replace(data, format="auto")
    digest = _digest([one.path / WEIGHTS for one in (model.folder, *model.others)], files)
    with claimed(out):
        if not made.exists():
            if (out / CONFIG).exists():
                cause, cure = "holds a run that was not distilled", "choose another --out"
                raise OptionError(cause, place=str(out), cure=cure)
            with replacing(made, folder=True) as aside:
                _write_outputs(model, files, data, aside)
                write_text(aside / "origin", digest)
        elif (made / "origin").read_text("utf-8") != digest:
            cause, cure = "was distilled from another teacher or other pairs", "another --out"
            raise OptionError(cause, place=str(out), cure=cure)
    data = replace(data, format="auto", validation_pairs=(str(made / "validation.jsonl"),))
    config = replace(config, data=data)
    return _train(made / "train.jsonl", out, config, console, None, observers)


def _write_outputs(model: Model, files: Sequence[Path], data: DataOptions, folder: Path) -> None:
    """Write what a distilled model learns from, and is validated on, into ``folder``.

    Args:
        model: the teacher; its held-out pairs become ``validation.jsonl``.
        files: pairs whose sources, without the held-out ones, become ``train.jsonl`` with the
            teacher's outputs.
        data: the options with which files are read.
        folder: an empty folder.

    Raises:
        DataError: the teacher's folder holds no held-out pairs, or all outputs are empty.
    """
    held = model.examples()
    read, unseen = read_pairs(files, data, Faults()), set(held.sources)
    sources = list(dict.fromkeys(pair.source for pair in read if pair.source not in unseen))
    answers = [one.text for one in model.stream(sources)]
    if not any(answers):
        cause, cure = "translates none of these sources", "train it longer, or other pairs"
        raise DataError(cause, place=str(model.folder.path), cure=cure)
    _write_pairs(folder / "train.jsonl", zip(sources, answers, strict=True), data)
    references = (right[0] for right in held.references)
    _write_pairs(folder / "validation.jsonl", zip(held.sources, references, strict=True), data)


def _paths(pairs: Paths) -> list[Path]:
    return [Path(path) for path in ([pairs] if isinstance(pairs, (str, Path)) else pairs)]


def _digest(weights: Sequence[Path], files: Sequence[Path]) -> str:
    """The fingerprint of a teacher and of pairs; a stream, which is read once, has none."""
    return fingerprint([*weights, *filter(Path.is_file, files)])


def _write_pairs(path: Path, pairs: Iterable[tuple[str, str]], data: DataOptions) -> None:
    """Write pairs as JSON lines that ``data`` reads; those with an empty target are left out."""
    names = data.fields[::-1] if data.reverse else data.fields
    rows = (dict(zip(names, pair, strict=True)) for pair in pairs if pair[1])
    write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


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

    told = [observe, *observers]
    outcome = run_training(
        _paths(pairs), folder, config, console=shown, began=began, observers=told
    )
    if outcome.is_main_process:
        write_documents(folder, shown)
    return outcome
