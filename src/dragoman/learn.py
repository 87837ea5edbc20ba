"""Trains one model, several models that differ in the seed, or one on the outputs of others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from dragoman.api import Model, Paths, load
from dragoman.config.options import Config, DataOptions
from dragoman.config.toml import flat, merge
from dragoman.config.values import seconds
from dragoman.data.lines import fingerprint
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.streams import STDIN
from dragoman.errors import DataError, OptionError, naming_extras
from dragoman.files import write_text
from dragoman.layout import CONFIG, DISTILLED, SEEDS, WEIGHTS

_DATA = {"format": "auto", "also": (), "tag_also": "", "replay": "none"}
FRESH = {"training": {"refit": "auto"}, "data": _DATA}
"""Options that a distilled model does not take from its teacher: ``pairs`` may have another format
than the teacher's, which may itself have learned from a teacher's outputs or from more files, or
continue a model."""

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
    from dragoman.inspection.explain import explain_pairs
    from dragoman.runs.report import write_documents
    from dragoman.training.observer import Measured, StepShown
    from dragoman.training.run import train as run_training

    config, out, files = config or Config(), Path(out), _paths(pairs)
    shown = console or Console(stderr=True)
    budget, first = config.training.budget, config.training.seed
    if seeds > 1:
        if (out / CONFIG).exists():
            raise OptionError("holds a run of one seed", place=out, cure="another --out")
        if any(file == STDIN or file.is_fifo() for file in files):
            cause, cure = "a stream can be read only once", "save the pairs to a file"
            raise OptionError(cause, place="--seeds", cure=cure)
        if budget != "none":
            budget = f"{max(1, round(seconds(budget) / seeds))}s"

    def observe(event: Event) -> None:
        match event:
            case StepShown(model, data):
                sides, few = (data.source, data.target), range(len(data.train))[:2]
                shown.print(explain_pairs(model, sides, [data.train.pair(row) for row in few]))
            case Measured({"kind": "validation"}):
                write_documents(folder)  # of the seed that is trained now

    observers = [observe, *observers]
    for seed in range(first, first + seeds):
        folder = out / f"{SEEDS}{seed}" if seeds > 1 else out
        one = replace(config, training=replace(config.training, seed=seed, budget=budget))
        outcome = run_training(files, folder, one, console=shown, began=began, observers=observers)
        if outcome.is_main_process:
            write_documents(folder, shown)
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
    else on the pairs that the teacher's training held out. The same call again resumes.

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
        OptionError: ``out`` holds a run that did not learn from this teacher and these pairs, or
            the pairs have columns of features.
        UsageError: as for :func:`train`.
    """
    from dragoman.training.distributed import Processes
    from dragoman.training.folder import claimed

    model, out, console = load(teacher), Path(out), console or Console(stderr=True)
    config = config or merge(model.config, FRESH, place="")
    data, files = config.data, _paths(pairs)
    if data.features_column:
        cause = "a model with columns of features cannot be distilled"
        raise OptionError(cause, place=teacher, cure="train a small model on the pairs")
    known = data.validation_pairs == model.config.data.validation_pairs
    validation = [] if known else [Path(name) for name in data.validation_pairs]
    weights = [one.path / WEIGHTS for one in (model.folder, *model.others)]
    digest = fingerprint([*weights, *filter(Path.is_file, [*files, *validation])])
    made = out / DISTILLED / digest[:16]
    learned, kept = made / "train.jsonl", made / "validation.jsonl"
    processes = Processes()
    with processes.together():  # until the main process has made the pairs
        if processes.is_main and not learned.exists():
            with claimed(out):
                if (out / CONFIG).exists():
                    cause = "holds a run that did not learn from this teacher and these pairs"
                    raise OptionError(cause, place=out, cure="choose another --out")
                held = model.examples(validation or None, **flat(data)).pairs()
                unseen, read = {source for source, _ in held}, read_pairs(files, data, Faults())
                sources = dict.fromkeys(pair.source for pair in read if pair.source not in unseen)
                outputs = _outputs(model, list(sources), console)
                made.mkdir(parents=True, exist_ok=True)
                _write_pairs(kept, held, data)
                _write_pairs(learned, outputs, data)
    data = replace(data, format="jsonl", validation_pairs=(str(kept),))
    return train(learned, out, replace(config, data=data), console=console, observers=observers)


def _outputs(model: Model, sources: Sequence[str], console: Console) -> list[tuple[str, str]]:
    """Each source, raw text, with the output of ``model``; a terminal shows the progress.

    Raises:
        DataError: all outputs are empty.
    """
    quiet, count = not console.is_terminal, len(sources)
    shown = track(model.stream(sources), "translating", count, console=console, disable=quiet)
    outputs = [answer.text for answer in shown]
    if not any(outputs):
        cause, cure = "translates none of these sources", "train it longer, or other pairs"
        raise DataError(cause, place=model.folder.path, cure=cure)
    return list(zip(sources, outputs, strict=True))


def _paths(pairs: Paths) -> list[Path]:
    return [Path(path) for path in ([pairs] if isinstance(pairs, (str, Path)) else pairs)]


def _write_pairs(path: Path, pairs: Sequence[tuple[str, str]], data: DataOptions) -> None:
    """Write pairs as JSON lines that ``data`` reads; those with an empty target are left out."""
    lines = []
    for source, target in pairs:
        words = source.partition("\t")[0] if data.target_tag else source  # reading adds the tag
        sides = (target, words) if data.reverse else (words, target)
        row = dict(zip(data.fields, sides, strict=True))
        lines += [f"{json.dumps(row, ensure_ascii=False)}\n"] if target else []
    write_text(path, "".join(lines))
