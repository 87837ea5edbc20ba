"""A run that was begun, opened again: the same options on the same data, or changed knowingly."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dragoman.config.folder import load_config
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import flat, merge, plain, to_toml
from dragoman.data.lines import fingerprint
from dragoman.data.prepare import Prepared, open_prepared
from dragoman.errors import FolderError, OptionError
from dragoman.files import parse_json, write_text
from dragoman.layout import CONFIG, CORPUS, RECORD
from dragoman.model.folder import load_tokenizers
from dragoman.training.checkpoint import checkpoints, step_of

LIMITS = (
    "training.steps",
    "training.epochs",
    "training.budget",
    "training.patience",
    "training.show_every",
    "training.track",
)
"""Options that may change between two commands of one run: they only say when it ends, or what
is shown of it, and to whom."""
CHANGEABLE = (
    "model.dropout",
    "training.learning_rate",
    "training.decoder_rate",
    "training.schedule",
    "training.decay",
    "training.decay_every",
    "training.weight_decay",
    "training.clip",
    "training.clip_parts",
    "training.batch_tokens",
    "training.batch_sentences",
    "training.label_smoothing",
    "training.sampling_share",
    "training.validate_every",
    "training.validation_sample",
    "training.save_every",
    "training.keep",
    "training.report_every",
    "training.watch",
    "training.precision",
    "training.threads",
    "training.deterministic",
)
"""Options that a run may go on with changed, where it is asked for by name: the weights, the data,
and what its scores mean stay the same."""


def asked_for(config: Config) -> dict[str, Any]:
    """What was asked of a run, as JSON: the options that are not at their default.

    A later version's new options, and its other defaults, then make no other run of it.
    """
    usual = plain(Config())
    return {name: value for name, value in plain(config).items() if value != usual[name]}


def open_run(folder: Path) -> Prepared:
    """The data of a run that was begun in ``folder``, with its options.

    Raises:
        FolderError: there is no such run, or it is damaged.
    """
    held_out = _read_record(folder)["held_out"]
    config, tokenizers = load_config(folder), load_tokenizers(folder)
    return open_prepared(folder / CORPUS, config, *tokenizers, held_out=held_out)


def reopen(
    files: Sequence[Path],
    out: Path,
    asked: Config,
    changes: Mapping[str, Any],
    say: Callable[[str], None],
) -> Prepared:
    """Open a run that was begun, after making sure that it is this one.

    Args:
        files: its pairs, which must be what they were.
        out: its folder.
        asked: the options that it was begun with; but for its limits, which may be others.
        changes: options that it goes on with from here, by (short or whole) name.
        say: told of each change.

    Raises:
        OptionError: an option or the data differ from what the run was begun with, or a change
            is not one that a run can go on with.
        FolderError: the folder is damaged.
    """
    record = _read_record(out)
    _require_same(record["asked"], asked_for(asked), out)
    if can_be_read_again(files) and fingerprint(files) != record["data"]:
        raise OptionError(
            "holds a run on other data",
            place=str(out),
            cure="give the same pairs to resume it, or another --out",
        )
    tokenizers = load_tokenizers(out)
    if [tokenizer.digest for tokenizer in tokenizers] != record["tokenizers"]:
        raise FolderError(
            "source.json or target.json is not the run's own",
            place=str(out),
            cure="put them back, or choose another --out",
        )
    config = _change(out, load_config(out), changes, record, say)
    values = flat(asked)
    limits = {name.removeprefix("training."): values[name] for name in LIMITS}
    config = replace(config, training=replace(config.training, **limits))
    return open_prepared(out / CORPUS, config, *tokenizers, held_out=record["held_out"])


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


def _require_same(was: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    usual = plain(Config())
    was, now = usual | was, usual | now
    differ = [name for name in usual if was[name] != now[name] and name not in LIMITS]
    if not differ:
        return
    cure = "give the same options to resume it, or another --out"
    chosen_later = {"auto", "fastest"}.intersection(str(now[name]) for name in differ)
    if set(differ) <= set(CHANGEABLE) and not chosen_later:  # JSON's values are TOML's
        changes = shlex.join(
            f"{name.rpartition('.')[2]}={json.dumps(now[name])}" for name in differ
        )
        cure = f"give the same options to resume it, and --resume-with {changes} to change that"
    said = "; ".join(f"{name} was {was[name]!r}, now {now[name]!r}" for name in differ)
    raise OptionError(f"holds a run with other options: {said}", place=str(out), cure=cure)


def _change(
    out: Path,
    config: Config,
    changes: Mapping[str, Any],
    record: dict[str, Any],
    say: Callable[[str], None],
) -> Config:
    """The run's options with ``changes``, which the folder keeps and its report names."""
    values = {_whole_name(name): value for name, value in changes.items()}
    tree: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, _, last = name.rpartition(".")
        tree.setdefault(group, {})[last] = value
    changed = merge(config, tree, place="--resume-with")
    check_options(changed)
    was, now = flat(config), flat(changed)
    if unresolved := [name for name in values if now[name] in ("auto", "fastest")]:
        name = unresolved[0]
        raise OptionError(
            f"{name} cannot be {now[name]!r} in a run that was begun",
            place="--resume-with",
            cure="give a value",
        )
    saved = checkpoints(out)
    step = step_of(saved[-1]) if saved else 0
    notes = [
        f"From step {step:,} on: {name} {now[name]} (before: {was[name]})."
        for name in values
        if now[name] != was[name]
    ]
    if not notes:
        return config
    # The options come last: killed before them, the same command makes the same note.
    record["notes"] += [note for note in notes if note not in record["notes"]]
    write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
    write_text(out / CONFIG, to_toml(changed))
    for note in notes:
        say(note)
    return changed


def _whole_name(name: str) -> str:
    """``batch-tokens`` or ``training.batch_tokens`` as the latter.

    Raises:
        OptionError: no such option, or not one that a run can go on with changed.
    """
    asked = str(name).replace("-", "_")
    for whole in (*CHANGEABLE, *LIMITS, *flat(Config())):
        if asked in (whole, whole.rpartition(".")[2]):
            break
    else:
        raise OptionError(f"there is no option {name!r}", place="--resume-with")
    if whole in LIMITS:
        raise OptionError(
            f"{whole} may change at any time",
            place="--resume-with",
            cure=f"give --{whole.rpartition('.')[2]} itself",
        )
    if whole not in CHANGEABLE:
        names = ", ".join(name.rpartition(".")[2] for name in CHANGEABLE)
        raise OptionError(
            f"a run cannot go on with another {whole}",
            place="--resume-with",
            cure=f"begin another; these can change: {names}",
        )
    return whole


def can_be_read_again(files: Sequence[Path]) -> bool:
    """Regular files can be compared at a resume; standard input and pipes cannot."""
    return all(file.is_file() for file in files)
