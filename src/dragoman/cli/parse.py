"""Reads the command line of every verb into its dataclass, and checks the paths that it names.

No output of a verb overwrites what it reads.
"""

import inspect
import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import tyro

from dragoman.cli import say
from dragoman.config.options import Config, SearchOptions
from dragoman.config.rules import check_options, value_faults
from dragoman.config.toml import flat, from_toml, merge
from dragoman.data.remote import url_of
from dragoman.errors import OptionError, did_you_mean
from dragoman.layout import ENTRIES, members

Command = TypeVar("Command")
Given = dict[str, dict[str, Any]]
"""Options that stand on the command line: group, name, value. A group may hold groups."""


@dataclass(frozen=True)
class Writes:
    """Marks a field of a verb as a path that the verb writes.

    Args:
        kind: a file, a folder, a picture (a file with one of :data:`ENDINGS`), or a stream: a file
            for which ``-`` stands for standard output.
    """

    kind: Literal["file", "folder", "picture", "stream"] = "file"


ENDINGS = (".png", ".svg", ".pdf")
"""Endings of a picture's name, each of which is a format."""
Input = Annotated[Path, tyro.conf.Positional]
"""A file or folder that a verb reads, given by its place on the command line."""
Inputs = Annotated[tuple[Path, ...], tyro.conf.Positional]
OutputFile = Annotated[Path | None, Writes()]
OutputFolder = Annotated[Path, Writes("folder")]
Picture = Annotated[Path | None, Writes("picture")]


class Verb:
    """What the dataclasses of verbs have in common."""

    def say(self, text: str) -> None:
        """Print a line on stderr, behind the name of the verb."""
        say(type(self).__name__.lower(), text)


@dataclass(frozen=True, kw_only=True)
class UsesModel(Verb):
    """The options of every verb that uses a trained model."""

    folder: Input
    """The model folder."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, cuda:1 or mps."""
    search: SearchOptions = field(default_factory=SearchOptions)
    """How an output is searched for. Options that are not given are those of
    the model folder, whatever default stands here."""


def parse(command: type[Command], arguments: Sequence[str]) -> tuple[Command, Given]:
    """Read ``arguments`` as the dataclass ``command`` of a verb and check them.

    An option of a group may be given without the group's name when no other option shares its
    last name: ``--hidden 512`` for ``--model.hidden 512``.

    Returns:
        The dataclass; and those options of its groups that stand in ``arguments``. The others have
        their values from elsewhere: a recipe, or the model folder.

    Raises:
        OptionError: an unknown option, a value of the wrong type or out of range, or an output
            that would overwrite an input.
    """
    program, whole = f"dragoman {command.__name__.lower()}", lengthen(command, arguments)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            asked = tyro.cli(command, prog=program, description=inspect.getdoc(command), args=whole)
    except SystemExit as end:
        if not end.code:  # help was asked for
            raise
        # Tyro draws boxes: the message is what stands above the first line across.
        inside = (line.strip("│ ") for line in said.getvalue().splitlines()[1:])
        message = " ".join(takewhile(lambda line: line.strip("─╯╰"), inside))
        raise OptionError(message, cure=f"see {program} --help") from None
    if faults := list(value_faults(asked, "--")):
        raise OptionError("; ".join(faults))
    check_outputs(asked)
    given: Given = {}
    for argument in takewhile(lambda one: one != "--", whole):
        if dotted := re.match(r"--([\w.]+)\.([\w-]+)", argument):
            options, place, name = asked, given, dotted[2].replace("-", "_")
            for group in dotted[1].split("."):
                options, place = getattr(options, group), place.setdefault(group, {})
            name = name if hasattr(options, name) else name.removeprefix("no_")
            value = getattr(options, name)
            if isinstance(value, tuple) and name in place:
                cause, cure = "is given twice", "put all values after the first"
                raise OptionError(cause, place=dotted[0], cure=cure)
            place[name] = value
    return asked, given


def training_options(recipe: Path | None, given: Given, default: Config | None = None) -> Config:
    """The options of a recipe (or ``default``), with those of the command line in their places.

    Raises:
        OptionError: the recipe cannot be read, or options contradict each other.
    """
    known = from_toml(recipe, default) if recipe else default or Config()
    return check_options(merge(known, given, place=""))


def lengthen(command: type, arguments: Sequence[str]) -> list[str]:
    """Replace short option names by whole ones; what follows ``--`` stays as it is.

    Raises:
        OptionError: an unknown or ambiguous name, or a value that looks like an option.
    """
    known_as = spellings(command)
    whole: list[str] = []
    for at, argument in enumerate(arguments):
        if argument == "--":
            return [*whole, *arguments[at:]]
        name, equals, value = argument.partition("=")
        if not re.match(r"-[^\d.]", argument) or argument in ("-h", "--help"):
            whole.append(argument)
        elif not name.startswith("--"):
            cure = f"./{argument} if it is a file; put -- before text that starts with a dash"
            raise OptionError("there is no such option", place=argument, cure=cure)
        else:
            known = known_as.get(name[2:].replace("_", "-"), [])
            if len(known) != 1:
                cause = "several options end so" if known else "there is no such option"
                near = did_you_mean(name[2:], known_as, otherwise="see --help")
                cure = " or ".join(f"--{one}" for one in known) or near
                raise OptionError(cause, place=name, cure=cure)
            whole.append(f"--{known[0]}{equals}{value}")
    return whole


def spellings(command: type) -> dict[str, list[str]]:
    """Every way to write an option, with the whole names that it may stand for.

    ``hidden`` stands for ``model.hidden``, ``level`` for ``source.level`` or ``target.level``,
    ``no-reverse`` for ``data.no-reverse``. An option of the verb itself hides options of groups
    that end so, and an option of a group those of its inner groups.
    """
    values: dict[str, Any] = {}
    for item in fields(command):
        default = item.default if item.default_factory is MISSING else item.default_factory()
        values |= flat(default, f"{item.name}.") if is_dataclass(default) else {item.name: default}
    found: dict[str, list[str]] = {}
    for dotted, value in values.items():
        group, dot, last = dotted.rstrip("_").replace("_", "-").rpartition(".")
        for no in ("", "no-") if isinstance(value, bool) else ("",):
            name = f"{group}{dot}{no}{last}"
            found.setdefault(name, []).append(name)
            outer = f"{group.rpartition('.')[0]}.{no}{last}"  # of the group around this one
            if dot and last.replace("-", "_") not in values and outer not in found:
                found.setdefault(no + last, []).append(name)
    return found


def check_outputs(asked: Any) -> None:
    """Check every path of a verb that is marked with :class:`Writes`, before the work is done.

    Every other path of the verb is an input. Files are compared by identity, so that symbolic and
    hard links are seen.

    Raises:
        OptionError: the file cannot be written, is an input, or is a file of a model folder that
            is read.
    """
    outputs, inputs = list[tuple[str, Path, str]](), list[Path]()
    for name, hint in get_type_hints(type(asked), include_extras=True).items():
        value = getattr(asked, name)
        values = value if isinstance(value, tuple) else (value,)
        paths = [path for path in values if isinstance(path, Path)]
        marks = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Writes)]
        outputs += [(f"--{name}", path, mark.kind) for mark in marks for path in paths]
        inputs += [] if marks else [one for path in paths for one in members(path)]
    for option, path, kind in outputs:
        if url_of(path) or (str(path) == "-" and kind != "stream"):
            cause = f"{url_of(path) or path} is no {kind} of this machine"
            raise OptionError(cause, place=option, cure=f"name a {kind}")
        if str(path) == "-" or (kind == "folder" and not path.is_file()):  # a zip file is one
            continue
        if kind == "picture" and path.suffix.lower() not in ENDINGS:
            cause = f"{path.name!r} has no ending of a picture"
            raise OptionError(cause, place=option, cure=f"one of {', '.join(ENDINGS)}")
        if path.is_dir():
            raise OptionError(f"{path} is a folder", place=option)
        if not path.parent.is_dir():
            raise OptionError(f"no such folder: {path.parent}", place=option)
        if read := next((one for one in inputs if _overwrites(path, one)), None):
            cause = f"{path} would overwrite {read}, which is read"
            raise OptionError(cause, place=option, cure="another file")


def _overwrites(path: Path, read: Path) -> bool:
    """Whether ``path`` is the file ``read``, or a file of the model folder ``read``."""
    target, home = path.resolve(), read.resolve()
    if target == home or any(home / name in (target, *target.parents) for name in ENTRIES):
        return True
    entries = [home / name for name in ENTRIES] if home.is_dir() else [home]
    files = (file for entry in entries for file in (entry, *entry.rglob("*")))
    return path.is_file() and any(path.samefile(file) for file in files if file.is_file())
