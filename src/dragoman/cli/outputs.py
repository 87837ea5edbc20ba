"""Refuses outputs that cannot be written or that would overwrite what a verb reads."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from dragoman.errors import OptionError
from dragoman.layout import ENTRIES


@dataclass(frozen=True)
class Writes:
    """Marks a field of a verb as a path that the verb writes.

    Args:
        endings: the endings that its name may have; empty: any.
        folder: it is a folder.
        dash: ``-`` stands for standard output.
    """

    endings: tuple[str, ...] = ()
    folder: bool = False
    dash: bool = False


OutputFile = Annotated[Path | None, Writes()]
OutputFolder = Annotated[Path, Writes(folder=True)]
Picture = Annotated[Path | None, Writes(endings=(".png", ".svg", ".pdf"))]


def check_outputs(asked: Any) -> None:
    """Check every path of a verb that is marked with :class:`Writes`, before the work is done.

    Every other path of the verb is an input. Files are compared by identity, so that symbolic and
    hard links are seen.

    Raises:
        OptionError: the file cannot be written, is an input, is a file of a model folder that is
            read, or is the file of another output.
    """
    hints = get_type_hints(type(asked), include_extras=True)
    outputs: dict[str, tuple[Path, Writes]] = {}
    inputs: list[Path] = []
    for item in fields(asked):
        value = getattr(asked, item.name)
        paths = [
            p for p in (value if isinstance(value, tuple) else (value,)) if isinstance(p, Path)
        ]
        marks = [m for m in getattr(hints[item.name], "__metadata__", ()) if isinstance(m, Writes)]
        if not marks:
            inputs += paths
        elif paths:
            outputs[f"--{item.name.replace('_', '-')}"] = (paths[0], marks[0])
    options: dict[Path, str] = {}
    for option, (path, kind) in outputs.items():
        _require_writable(path, option, kind)
        if kind.folder or str(path) == "-":
            continue
        for read in inputs:
            if _overwrites(path, read):
                raise OptionError(
                    f"{path} would overwrite {read}, which is read",
                    place=option,
                    cure="another file",
                )
        if (other := options.setdefault(path.resolve(), option)) != option:
            raise OptionError(f"{path} is the file of {other} as well", place=option)


def _require_writable(path: Path, option: str, kind: Writes) -> None:
    if str(path) == "-":
        if kind.dash:
            return
        what = "folder" if kind.folder else "file"
        raise OptionError(
            f"- is no {what}: standard output is taken", place=option, cure=f"name a {what}"
        )
    if kind.folder:
        return
    if kind.endings and path.suffix.lower() not in kind.endings:
        raise OptionError(
            f"{path.name!r} has no ending of a picture",
            place=option,
            cure=f"one of {', '.join(kind.endings)}",
        )
    if path.is_dir():
        raise OptionError(f"{path} is a folder", place=option)
    if not path.parent.is_dir():
        raise OptionError(f"no such folder: {path.parent}", place=option)


def _overwrites(path: Path, read: Path) -> bool:
    """Whether ``path`` is the file ``read``, or a file of the model folder ``read``."""
    target, home = path.resolve(), read.resolve()
    if target == home:
        return True
    if home in target.parents and target.relative_to(home).parts[0] in ENTRIES:
        return True
    entries = [home / name for name in ENTRIES] if home.is_dir() else [home]
    files = (file for entry in entries for file in (entry, *entry.rglob("*")))
    return path.is_file() and any(path.samefile(file) for file in files if file.is_file())
