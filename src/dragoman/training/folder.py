"""Locks the folder of a run, begins a run in it, and opens one again to resume it."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dragoman import layout
from dragoman.config.continuing import prepared_folder, with_corpus
from dragoman.config.options import Config, TrainingOptions
from dragoman.config.rules import check_options
from dragoman.config.toml import merge, plain, to_toml
from dragoman.config.values import weighted
from dragoman.data.lines import Say, fingerprint
from dragoman.data.prepare import Prepared, open_prepared, prepare, take_corpus
from dragoman.data.remote import local_paths, url_of
from dragoman.data.setup import load_setup, save_setup
from dragoman.data.shards import unfinished
from dragoman.data.vocabularies import taken_tokenizers
from dragoman.errors import FolderError, OptionError, UsageError
from dragoman.files import final_name, locked, reading, refuse_ways_out, write_text
from dragoman.layout import CONFIG, CORPUS, DISTILLED, LOCK, METRICS, RECORD, SOURCE, TARGET, TRAIN
from dragoman.runs.history import DEFAULTS, History, utf8_text
from dragoman.training.checkpoint import checkpoints
from dragoman.training.plan import resolve
from dragoman.training.validation import check_metric

_FIXED = (
    "batching buckets optimizer momentum warmup objective samples scheduled_sampling "
    "sampling_schedule metric start_from parts freeze seed"
)
"""Options of training that stay what they were when the run was begun."""
CHANGEABLE = {
    "model.dropout",
    *(f"training.{name}" for name in vars(TrainingOptions()).keys() - {*_FIXED.split()}),
}
"""Options that may change between two commands of one run. The weights, the data, and what the
scores mean stay the same."""
_STREAM = "a stream"
"""The digest of pairs that do not stand in files."""
_BEGUN = {CORPUS, layout.PREPARING, DISTILLED, LOCK, RECORD, SOURCE, TARGET, CONFIG}
"""Files that may be left of a run that was killed while it prepared its data."""


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Context manager; makes the folder ``out`` if it is not there, and locks it.

    If the block raises for a new run before it has trained, the files that were not there before
    are removed, so that the corrected command finds the same folder. What an interrupted
    preparation needs to go on stays.

    Raises:
        OptionError: ``out`` is a file, or holds files that no training has written.
        FolderError: another training writes there.
    """
    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise OptionError("is a file, a folder is expected", place=path, cure="another --out")
    made = [path for path in (out, *out.parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    refuse_ways_out(out)
    before, is_new = {path.name for path in out.iterdir()} - {LOCK}, not (out / CONFIG).exists()
    whole, corpus = (out / CORPUS / TRAIN).exists(), {CORPUS for _ in (out / CORPUS).glob("*")}
    later = set() if whole else {RECORD, SOURCE, TARGET} | corpus
    foreign = sorted({final_name(name) for name in before} - _BEGUN | before & later)
    if is_new and foreign:
        cause = f"is not empty and no model folder: it holds {foreign[0]!r}"
        raise OptionError(cause, place=out, cure="choose another --out")
    with locked(out):
        try:
            yield
        except BaseException as error:
            refused = isinstance(error, UsageError) and not (out / METRICS).exists()
            if is_new and (refused or not (out / CONFIG).exists()):
                with suppress(OSError):  # it is in use, or somebody else has put it there
                    for path in {*out.iterdir()} - {out / n for n in {*before, layout.PREPARING}}:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                    for path in made:
                        path.rmdir()
            raise


def begin(files: list[Path], out: Path, config: Config, say: Say) -> Prepared:
    """Prepare the data and write everything that a model folder has before its weights.

    A prepared corpus is taken over; files at an address are fetched first. If ``out`` holds a run
    already, it is opened instead (:func:`reopen`).
    """
    named, files = [url_of(file) or file for file in files], local_paths(files, say)
    if (out / CONFIG).exists():
        return reopen(files, out, config, say)
    digest, notes = _digest(files, config), list[str]()

    def note(text: str) -> None:
        say(text)
        notes.append(utf8_text(text))

    corpus = prepared_folder(files)
    prepared = _taken(corpus, out, config, note) if corpus else prepare(files, out, config, note)
    notes += read_record(corpus)["notes"] if corpus else ()  # which were told when it was made
    origin = Path(config.training.start_from)
    if config.data.replay != "none" and "refit" in History.of(origin).record:
        note(f"{origin} has learned its held-out pairs in a refit: scores are too good")
    resolved = resolve(prepared.config, prepared.train, tagged=bool(prepared.source.tags))
    check_options(resolved)
    check_metric(prepared)
    record = {
        # Defaults do not count: a later version with other ones can resume the run.
        "asked": {n: value for n, value in plain(config).items() if value != DEFAULTS[n]},
        "data": digest,
        "digests": digests(out, prepared),
        "held_out": prepared.held_out,
        "files": [utf8_text(name) for name in named],
        "out": utf8_text(out),
        "facts": prepared.facts(),
        "notes": notes,
    }
    write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
    # config.toml comes last: a folder that has it has all the rest.
    save_setup(out, resolved, prepared.source, prepared.target)
    return replace(prepared, config=resolved)


def _taken(corpus: Path, out: Path, config: Config, say: Say) -> Prepared:
    """Take over a prepared corpus: its files as hard links, or copies on another disk.

    Raises:
        FolderError: the model to start from has other tokenizers now.
        OptionError: options that shape the data differ from those of the corpus.
    """
    theirs = open_run(corpus)
    config, taken = taken_tokenizers(with_corpus(config, corpus), say)
    if any(one.digest != getattr(theirs, side).digest for side, one in taken.items()):
        cause = f"was prepared for other tokenizers than {config.training.start_from} has"
        raise FolderError(cause, place=corpus, cure="prepare it anew")
    with unfinished(out):  # nothing goes on with what another preparation has left
        take_corpus(corpus / CORPUS, out / CORPUS)
    return replace(theirs, config=config)


def digests(folder: Path, prepared: Prepared) -> dict[str, str]:
    """Digests of ids and tokenizers in a folder: the same in all processes of a training."""
    ids = fingerprint(sorted((folder / CORPUS).iterdir()))
    return {CORPUS: ids, SOURCE: prepared.source.digest, TARGET: prepared.target.digest}


def _digest(files: list[Path], config: Config) -> str:
    """Identifies the data of a run: the digests of a prepared corpus, or the SHA-256 of all files.

    Pipes and standard input, which cannot be read again, all have the same one.
    """
    if corpus := prepared_folder(files):
        return str(read_record(corpus)["digests"])
    every = [*files, *(Path(name) for name, _ in map(weighted, config.data.also))]
    every += map(Path, config.data.validation_pairs)
    return fingerprint(every) if all(file.is_file() for file in every) else _STREAM


def open_run(folder: Path) -> Prepared:
    """The data of a run that was begun in ``folder``, with its options.

    Raises:
        FolderError: there is no such run, it is damaged, or its data have changed.
    """
    if not folder.exists():
        cure = "use a disk that all share, or give each host the same prepared corpus"
        raise FolderError("not every process has it", place=folder, cure=cure)
    record = read_record(folder)
    config, *sides = load_setup(folder)
    prepared = open_prepared(folder / CORPUS, config, *sides, held_out=record["held_out"])
    made = digests(folder, prepared)
    if wrong := [name for name in made if made[name] != record["digests"].get(name, made[name])]:
        cause = f"{' and '.join(wrong)} is not what was prepared here"
        raise FolderError(cause, place=folder, cure="put it back, or begin in another folder")
    return prepared


def reopen(files: list[Path], out: Path, asked: Config, say: Say) -> Prepared:
    """Open a run to resume it, after checking that data and options are those it was begun with.

    Args:
        files: its pairs, which must be what they were.
        out: its folder.
        asked: the options that it was begun with; those that are :data:`CHANGEABLE` may differ, and
            the run then goes on with them.
        say: receives a line about each change.

    Raises:
        OptionError: another option or the data differ from what the run was begun with.
        FolderError: the folder is damaged.
    """
    record, prepared = read_record(out), open_run(out)
    was, now, has = DEFAULTS | record["asked"], plain(asked), plain(prepared.config)
    # What was chosen for it may be asked for: what is "auto" now had another default before.
    differ = [n for n in DEFAULTS if was[n] != now[n] and (n in CHANGEABLE or has[n] != now[n])]
    again = "give the same {} to resume it, or another --out"
    if refused := [f"{n} was {was[n]!r}, now {now[n]!r}" for n in differ if n not in CHANGEABLE]:
        cause = f"holds a run with other options: {'; '.join(refused)}"
        raise OptionError(cause, place=out, cure=again.format("options"))
    if _digest(files, asked) not in (_STREAM, record["data"]):
        raise OptionError("holds a run on other data", place=out, cure=again.format("pairs"))
    if not differ:
        return prepared
    config, notes, saved = prepared.config, [], checkpoints(out)
    step = int(saved[-1].name.removeprefix("step-")) if saved else 0
    for name in differ:
        group, last = name.split(".")
        config = merge(config, {group: {last: now[name]}}, place=str(out))
        notes.append(f"From step {step:,} on: {name} {now[name]} (before: {was[name]}).")
        say(notes[-1])
    config = resolve(config, prepared.train, tagged=bool(prepared.source.tags))
    # The record comes last: killed before it, the same command makes the same changes.
    write_text(out / CONFIG, to_toml(config))
    add_notes(out, notes, asked=record["asked"] | {name: now[name] for name in differ})
    return replace(prepared, config=config)


def add_notes(folder: Path, notes: Sequence[str], **facts: Any) -> None:
    """Add lines to the notes of a run's record, and replace others of its facts."""
    record = read_record(folder) | facts
    record["notes"] += notes
    write_text(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False))


def read_record(out: Path) -> dict[str, Any]:
    """What a run was begun with, and what became of it (``run.json``).

    Raises:
        FolderError: it is missing or damaged.
    """
    with reading(out, f"cannot be resumed: {RECORD} is missing or damaged", "choose another --out"):
        record = {"notes": [], "digests": {}, **json.loads((out / RECORD).read_text("utf-8"))}
        kinds = {"asked": dict, "data": str, "held_out": bool, "digests": dict, "notes": list}
        wrong = [name for name, kind in kinds.items() if not isinstance(record[name], kind)]
        if wrong or not all(isinstance(note, str) for note in record["notes"]):
            raise TypeError(f"{wrong or 'notes'}")
        return record
