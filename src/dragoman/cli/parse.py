"""Reads the command line of every verb into its dataclass."""

from __future__ import annotations

import inspect
import io
import os
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, fields, is_dataclass, replace
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from dragoman.cli.outputs import check_outputs
from dragoman.config.options import Config
from dragoman.config.rules import check_options, value_faults
from dragoman.config.toml import flat, from_toml
from dragoman.errors import OptionError

Command = TypeVar("Command")
AllOptions = Annotated[Config, tyro.conf.arg(name="")]
"""Every option of a training, each under its group's name."""
Given = dict[str, dict[str, Any]]
"""Options that stand on the command line: group, name, value."""


def parse(command: type[Command], arguments: Sequence[str], *, verb: str) -> Command:
    """Read ``arguments`` as the dataclass ``command`` and check them.

    An option of a group may be given without the group's name when no other option shares its
    last name: ``--hidden 512`` for ``--model.hidden 512``.

    Raises:
        OptionError: an unknown option, a value of the wrong type or out of range, or an output
            that would overwrite an input.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parsed = tyro.cli(
                command,
                prog=f"dragoman {verb}",
                description=inspect.getdoc(command),
                args=lengthen(command, arguments),
            )
    except SystemExit as end:
        if not end.code:  # help was asked for
            raise
        # Tyro draws boxes: the message is what stands above the first line across.
        inside = (line.strip("│ ") for line in said.getvalue().splitlines()[1:])
        message = " ".join(takewhile(lambda line: line.strip("─╯╰"), inside))
        raise OptionError(message, cure=f"see dragoman {verb} --help") from None
    asked: Command = _decoded(parsed)
    if faults := list(value_faults(asked, "--")):
        raise OptionError("; ".join(faults))
    check_outputs(asked)
    return asked


def given_options(asked: object, arguments: Sequence[str]) -> Given:
    """Find which options of groups stand in ``arguments``, and their values in ``asked``.

    What is not given has its value from elsewhere: a recipe, or the model folder.
    """
    found: Given = {}
    groups = getattr(asked, "options", asked)
    for argument in lengthen(type(asked), arguments):
        group, dot, name = argument.partition("=")[0].removeprefix("--").partition(".")
        if argument.startswith("--") and dot:
            options, name = getattr(groups, group), name.replace("-", "_")
            name = name if hasattr(options, name) else name.removeprefix("no_")
            found.setdefault(group, {})[name] = getattr(options, name)
    return found


def with_recipe(recipe: Path | None, asked: object, arguments: Sequence[str]) -> Config:
    """The options of a recipe (or the defaults), overridden by those of the command line.

    Raises:
        OptionError: the recipe cannot be read, or options contradict each other.
    """
    config = from_toml(recipe) if recipe else Config()
    given = given_options(asked, arguments)
    config = replace(config, **{g: replace(getattr(config, g), **given[g]) for g in given})
    check_options(config)
    return config


def lengthen(command: type, arguments: Sequence[str]) -> list[str]:
    """Replace short option names by whole ones; what follows ``--`` stays as it is.

    Raises:
        OptionError: an unknown or ambiguous name, or a value that looks like an option.
    """
    spellings = _spellings(command)
    whole: list[str] = []
    for at, argument in enumerate(arguments):
        if argument == "--":
            return [*whole, *arguments[at:]]
        if not re.match(r"-[^\d.]", argument) or argument in ("-h", "--help"):
            whole.append(argument)
            continue
        name, equals, value = argument.partition("=")
        if not name.startswith("--"):
            raise OptionError(
                "there is no such option",
                place=argument,
                cure=f"./{argument} if it is a file; put -- before text that starts with a dash",
            )
        known = spellings.get(name[2:].replace("_", "-"), [])
        if len(known) != 1:
            raise OptionError(
                "several options end so" if known else "there is no such option",
                place=name,
                cure=" or ".join(f"--{one}" for one in known) or _nearest(name[2:], spellings),
            )
        whole.append(f"--{known[0]}{equals}{value}")
    return whole


def _nearest(wrong: str, names: dict[str, list[str]]) -> str:
    near = get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "see --help"


def _spellings(command: type) -> dict[str, list[str]]:
    """Every way to write an option, with the whole names that it may stand for.

    ``hidden`` stands for ``model.hidden``, ``level`` for ``source.level`` or ``target.level``,
    ``no-reverse`` for ``data.no-reverse``. An option of the verb itself hides options of groups
    that end so.
    """
    found: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for item in fields(command):
        group: Any = item.default_factory
        if group is not MISSING and is_dataclass(group):
            values |= flat(group(), "" if group is Config else f"{item.name}.")  # type: ignore[operator]
        else:
            values[item.name] = item.default
    for dotted, value in values.items():
        group_, dot, last = dotted.replace("_", "-").rpartition(".")
        for prefix in ("", "no-") if isinstance(value, bool) else ("",):
            name = f"{group_}{dot}{prefix}{last}"
            found.setdefault(name, []).append(name)
            if dot and last.replace("-", "_") not in values:
                found.setdefault(prefix + last, []).append(name)
    return found


def _decoded(asked: Any) -> Any:
    """Decode texts as UTF-8 where the locale is another, such as ``LC_ALL=C``.

    Python hands such arguments over with lone surrogates. A ``Path`` keeps them, because the
    system's calls turn them back into the bytes of the file's name.
    """
    changes: dict[str, Any] = {}
    for item in fields(asked):
        value = getattr(asked, item.name)
        if is_dataclass(value):
            changes[item.name] = _decoded(value)
        elif isinstance(value, str):
            changes[item.name] = _utf8(value)
        elif isinstance(value, tuple):
            changes[item.name] = tuple(_utf8(v) if isinstance(v, str) else v for v in value)
    return replace(asked, **changes)


def _utf8(text: str) -> str:
    try:
        return os.fsencode(text).decode()
    except UnicodeError:  # not UTF-8, or decoded before
        return text
