"""Command lines made from dataclasses, with short names where they are unique."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import tyro

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import flat, from_toml
from dragoman.errors import OptionError

PICTURES = (".png", ".svg", ".pdf")
Command = TypeVar("Command")
AllOptions = Annotated[Config, tyro.conf.arg(name="")]
"""Every option of a training, each under its group's name."""


def parse(
    command: type[Command], arguments: Sequence[str], *, verb: str, default: Command | None = None
) -> Command:
    """Read ``arguments`` as the dataclass ``command``.

    An option of a group may be given without the group's name when no other option shares its
    last name: ``--hidden 512`` for ``--model.hidden 512``.

    Raises:
        OptionError: they do not fit.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parsed: Command = tyro.cli(
                command,
                prog=f"dragoman {verb}",
                description=command.__doc__,
                args=lengthen(command, arguments),
                default=tyro.MISSING_NONPROP if default is None else default,
            )
    except SystemExit as end:
        if not end.code:  # help was asked for
            raise
        # Tyro draws boxes: the message is what stands above the first line across.
        inside = (line.strip("│ ") for line in said.getvalue().splitlines()[1:])
        message = " ".join(takewhile(lambda line: line.strip("─╯╰"), inside))
        raise OptionError(message, cure=f"see dragoman {verb} --help") from None
    return parsed


def parse_search(command: type[Command], arguments: Sequence[str], *, verb: str) -> Command:
    """Read a command with options of search: those not given are as in its model folder."""
    asked: Any = parse(command, arguments, verb=verb)
    from dragoman.model.folder import load_config  # torch only now: --help answers at once

    fields = dataclasses.fields(asked)
    needed = [f.name for f in fields if f.default is MISSING and f.default_factory is MISSING]
    given = {name: getattr(asked, name) for name in needed}
    make: Any = command
    default = make(**given, search=load_config(asked.folder).search)
    found: Any = parse(command, arguments, verb=verb, default=default)
    check_options(Config(search=found.search))
    return cast(Command, found)


def recipe(arguments: Sequence[str]) -> Config:
    """The options of ``--recipe``, read first: they are the defaults that help shows."""
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--recipe" and (equals or at + 1 < len(arguments)):
            return from_toml(Path(value if equals else arguments[at + 1]))
    return Config()


def given(command: object, names: Sequence[str]) -> dict[str, Any]:
    """The options among ``names`` that the user set; None stands for what was left alone."""
    values = {name: getattr(command, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def check_output(path: Path | None, option: str, endings: Sequence[str] = ()) -> None:
    """Refuse a file that could not be written, before the work is done."""
    if path is None:
        return
    if str(path) == "-":
        raise OptionError(
            "- is no file: standard output is taken", place=option, cure="name a file"
        )
    if endings and path.suffix.lower() not in endings:
        raise OptionError(
            f"{path.name!r} has no ending of a picture",
            place=option,
            cure=f"one of {', '.join(endings)}",
        )
    if path.is_dir():
        raise OptionError(f"{path} is a folder", place=option)
    if not path.parent.is_dir():
        raise OptionError(f"no such folder: {path.parent}", place=option)


def lengthen(command: type, arguments: Sequence[str]) -> list[str]:
    """``arguments`` with short option names made whole."""
    names, known = _names(command), option_names(command)
    everything = {name for whole in names.values() for name in whole}
    whole = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name.startswith("--") and len(name) > 2:
            bare = name[2:].replace("_", "-")
            negated = bare.startswith("no-") and bare[3:] in known
            full = known.get(bare[3:] if negated else bare)
            whole_name = bare.replace(".no-", ".")
            if full is None and whole_name not in everything and bare not in ("help", "no-help"):
                several = names.get(bare, [])
                raise OptionError(
                    "several options end so" if several else "there is no such option",
                    place=name,
                    cure=" or ".join(f"--{one}" for one in several)
                    or _nearest(bare, {*known, *everything}),
                )
            if full is not None and full != bare:
                group, _, last = full.rpartition(".")
                name = f"--{group}.{'no-' if negated else ''}{last}"
        whole.append(name + equals + value)
    return whole


def _nearest(wrong: str, names: set[str]) -> str:
    near = get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "see --help"


def option_names(command: type) -> dict[str, str]:
    """Every short name with the whole name it stands for."""
    return {short: full[0] for short, full in _names(command).items() if len(full) == 1}


def _names(command: type) -> dict[str, list[str]]:
    """Every last name with the whole names that end in it."""
    names: dict[str, list[str]] = {}
    for item in dataclasses.fields(command):
        nested: Any = item.default_factory
        if isinstance(nested, type) and hasattr(nested, "__dataclass_fields__"):
            for dotted in flat(nested(), "" if nested is Config else f"{item.name}."):
                full = dotted.replace("_", "-")
                names.setdefault(full.rpartition(".")[2], []).append(full)
        else:
            bare = item.name.replace("_", "-")
            names[bare] = [bare, bare]  # the command's own option: never a short form
    return names
