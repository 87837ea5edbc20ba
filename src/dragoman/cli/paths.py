"""The paths that a verb reads and writes, and the check that no output overwrites an input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from tyro.conf import Positional

from dragoman.errors import OptionError
from dragoman.layout import ENTRIES, members


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
Input = Annotated[Path, Positional]
"""A file or folder that a verb reads, given by its place on the command line."""
Inputs = Annotated[tuple[Path, ...], Positional]
OutputFile = Annotated[Path | None, Writes()]
OutputFolder = Annotated[Path, Writes("folder")]
Picture = Annotated[Path | None, Writes("picture")]


def check_outputs(asked: Any) -> None:
    """Check every path of a verb that is marked with :class:`Writes`, before the work is done.

    Every other path of the verb is an input. Files are compared by identity, so that symbolic and
    hard links are seen.

    Raises:
        OptionError: the file cannot be written, is an input, or is a file of a model folder that
            is read.
    """
    outputs: list[tuple[str, Path, str]] = []
    inputs: list[Path] = []
    for name, hint in get_type_hints(type(asked), include_extras=True).items():
        value = getattr(asked, name)
        values = value if isinstance(value, tuple) else (value,)
        paths = [path for path in values if isinstance(path, Path)]
        marks = [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Writes)]
        outputs += [(f"--{name}", path, mark.kind) for mark in marks for path in paths]
        inputs += [] if marks else [one for path in paths for one in members(path)]
    for option, path, kind in outputs:
        if str(path) == "-" and kind != "stream":
            raise OptionError(f"- is no {kind}", place=option, cure=f"name a {kind}")
        if kind == "folder" or str(path) == "-":
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
