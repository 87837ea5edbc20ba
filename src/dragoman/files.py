"""Replaces files and folders atomically; checks folders that others made."""

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dragoman.errors import FolderError

ASIDE = ".partial"
"""Ending of a file or folder while it is written. Only a crash leaves one behind."""
_MOST_FILES = 10_000
"""Largest number of files in a model folder."""


@contextmanager
def replacing(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Context manager; yields a path to write to, which replaces ``path`` at the end.

    The new file is written beside the old one, forced to disk and renamed, so that ``path`` is at
    every instant the whole old file or the whole new one. When the block raises, the new file is
    removed and the old one stays. A symbolic link stays: the file that it points to is replaced. A
    device or a pipe cannot be replaced: then the path yielded is ``path`` itself.

    Args:
        path: the file or folder to replace.
        folder: the path yielded is an empty folder. The old folder is removed just before the
            renaming: for an instant there is none.
    """
    try:
        if not folder and _is_stream(path):
            yield path
            return
        path = Path(os.path.realpath(path))
        aside = _beside(path)
        _remove(aside)  # a link would be written through
        try:
            if folder:
                aside.mkdir()
            yield aside
            for written in (*aside.iterdir(), aside) if folder else (aside,):
                sync(written)
            if folder:
                shutil.rmtree(path, ignore_errors=True)
            os.replace(aside, path)
        except BaseException:
            with suppress(OSError):
                _remove(aside)
            raise
        sync(path.parent)
    except OSError as error:  # a full disk does not say the file's name
        error.filename = error.filename or str(path)
        raise


def final_name(name: str) -> str:
    """Turn the name that a file or folder has while it is written into its final name."""
    return re.sub(rf"(\.\d+)?{re.escape(ASIDE)}$", "", name)


def _is_stream(path: Path) -> bool:
    """Whether ``path`` is a device, a pipe, or a name of an open stream such as /dev/stdout."""
    if path.parent in (Path("/dev"), Path("/dev/fd")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _beside(path: Path) -> Path:
    """The path at which this process writes ``path``. Removes what dead processes left there."""
    with suppress(OSError):
        for left in path.parent.iterdir():
            if left.name.endswith(ASIDE) and final_name(left.name) == path.name:
                owner = left.name[len(path.name) + 1 : -len(ASIDE)]
                if not owner or not _is_running(owner):
                    _remove(left)
    return path.with_name(f"{path.name}.{os.getpid()}{ASIDE}")


def _is_running(process: str) -> bool:
    """Whether a process with this number exists. On Windows, where asking would end it: true."""
    try:
        if os.name != "nt":
            os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):  # no system counts so far
        return False
    except PermissionError:  # another user's
        pass
    return True


def _remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the text of ``path``, as UTF-8."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to disk, where the system can do that."""
    if os.name == "nt" and path.is_dir():  # a folder cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def parse_json(text: str) -> Any:
    """Parse JSON that others wrote.

    Raises:
        ValueError: it is not JSON, holds a number of too many digits, or is nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def refuse_ways_out(folder: Path) -> None:
    """Check that every file under ``folder`` lies in it.

    Raises:
        FolderError: it holds a link that leads out of it, something that is neither a file nor a
            folder (reading a pipe might never end), or more files than a model folder ever has.
    """
    home, seen, what = folder.resolve(), 0, ""
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            seen, mode = seen + 1, path.lstat().st_mode
            if seen > _MOST_FILES:
                what = f"is one of more than {_MOST_FILES:,} files: no model folder has so many"
            elif stat.S_ISLNK(mode):
                if home not in Path(os.path.realpath(path)).parents:
                    what = "is a link that leads out of the model folder"
            elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                what = "is neither a file nor a folder"
            if what:
                raise FolderError(what, place=str(path), cure="remove it, if you know what it is")
