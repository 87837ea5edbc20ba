"""Opens a run that was begun: the same data, and the same options or such as may change."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge, plain, to_toml
from dragoman.data.lines import fingerprint
from dragoman.data.prepare import Prepared, open_prepared
from dragoman.errors import FolderError, OptionError
from dragoman.files import parse_json, write_text
from dragoman.layout import CONFIG, CORPUS, RECORD
from dragoman.model.folder import load_tokenizers
from dragoman.training.checkpoint import checkpoints, step_of
from dragoman.training.plan import resolve

CHANGEABLE = {
    "model": ("dropout",),
    "training": (
        # when the run ends
        *("steps", "epochs", "budget", "patience"),
        # how it learns
        *("learning_rate", "decoder_rate", "schedule", "decay", "decay_every", "weight_decay"),
        *("clip", "clip_parts", "batch_tokens", "batch_sentences"),
        *("label_smoothing", "sampling_share", "precision", "threads", "deterministic"),
        # what it saves and shows
        *("validate_every", "validation_sample", "save_every", "keep"),
        *("report_every", "show_every", "watch", "track"),
    ),
}
"""Options that may change between two commands of one run, by group. The weights, the data, and
what the scores mean stay the same."""


def asked_for(config: Config) -> dict[str, Any]:
    """The options that are not at their default, by dotted name, as JSON.

    They identify a run, so that new options and other defaults of a later version do not make
    another run of it.
    """
    usual = plain(Config())
    return {name: value for name, value in plain(config).items() if value != usual[name]}


def can_be_read_again(files: Sequence[Path]) -> bool:
    """Whether the data can be compared at a resume: pipes and standard input cannot."""
    return all(file.is_file() for file in files)


def open_run(folder: Path) -> Prepared:
    """The data of a run that was begun in ``folder``, with its options.

    Raises:
        FolderError: there is no such run, or it is damaged.
    """
    record = _read_record(folder)
    config, tokenizers = load_config(folder), load_tokenizers(folder)
    if [tokenizer.digest for tokenizer in tokenizers] != record["tokenizers"]:
        raise FolderError(
            "source.json or target.json is not the run's own",
            place=str(folder),
            cure="put them back, or choose another --out",
        )
    return open_prepared(folder / CORPUS, config, *tokenizers, held_out=record["held_out"])


def reopen(
    files: Sequence[Path], out: Path, asked: Config, say: Callable[[str], None]
) -> tuple[Prepared, dict[str, Any]]:
    """Open a run that was begun, after making sure that it is this one.

    Args:
        files: its pairs, which must be what they were.
        out: its folder.
        asked: the options that it was begun with; those that are :data:`CHANGEABLE` may differ, and
            the run then goes on with them.
        say: receives a line about each change.

    Returns:
        The data, and the changed options by dotted name with their new values.

    Raises:
        OptionError: another option or the data differ from what the run was begun with.
        FolderError: the folder is damaged.
    """
    record = _read_record(out)
    usual = plain(Config())
    was, now = usual | record["asked"], plain(asked)
    differ = [name for name in usual if was[name] != now[name]]
    _refuse_unchangeable(out, was, now, differ)
    if can_be_read_again(files) and fingerprint(files) != record["data"]:
        raise OptionError(
            "holds a run on other data",
            place=str(out),
            cure="give the same pairs to resume it, or another --out",
        )
    prepared = open_run(out)
    if not differ:
        return prepared, {}
    saved = checkpoints(out)
    step = step_of(saved[-1]) if saved else 0
    notes = [f"From step {step:,} on: {n} {now[n]} (before: {was[n]})." for n in differ]
    for note in notes:
        say(note)
    tree: dict[str, dict[str, Any]] = {}
    for name in differ:
        group, _, last = name.partition(".")
        tree.setdefault(group, {})[last] = now[name]
    changed = resolve(merge(prepared.config, tree, place=str(out)), prepared.train)
    # The record comes last: killed before it, the same command makes the same changes.
    write_text(out / CONFIG, to_toml(changed))
    add_notes(out, notes, asked=asked)
    return open_run(out), {name: now[name] for name in differ}


def add_notes(folder: Path, notes: Sequence[str], asked: Config | None = None) -> None:
    """Add lines to a run's record, and the options that it is now identified by."""
    record = _read_record(folder)
    record["notes"] += notes
    if asked is not None:
        record["asked"] = asked_for(asked)
    write_text(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False))


def _read_record(out: Path) -> dict[str, Any]:
    try:
        record = dict(parse_json((out / RECORD).read_text("utf-8")))
        notes = record.setdefault("notes", [])
        kinds = {"asked": dict, "data": str, "held_out": bool, "tokenizers": list, "notes": list}
        wrong = [name for name, kind in kinds.items() if not isinstance(record[name], kind)]
        if wrong or not all(isinstance(note, str) for note in notes):
            raise TypeError(f"{wrong or 'notes'}")
        return record
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(
            f"cannot be resumed: {RECORD} is missing or damaged",
            place=str(out),
            cure="choose another --out",
        ) from error


def _refuse_unchangeable(
    out: Path, was: dict[str, Any], now: dict[str, Any], differ: Sequence[str]
) -> None:
    changeable = {f"{group}.{name}" for group, names in CHANGEABLE.items() for name in names}
    refused = [name for name in differ if name not in changeable]
    if refused:
        said = "; ".join(f"{name} was {was[name]!r}, now {now[name]!r}" for name in refused)
        raise OptionError(
            f"holds a run with other options: {said}",
            place=str(out),
            cure="give the same options to resume it, or another --out",
        )
