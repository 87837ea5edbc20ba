"""Replaces files and folders atomically; checks folders that others made."""

from __future__ import annotations

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
def replacing(path: Path) -> Iterator[Path]:
    """Context manager; yields a path to write to, whose file replaces ``path`` at the end.

    The new file is written beside the old one, forced to disk and renamed, so that ``path`` is at
    every instant the whole old file or the whole new one. When the block raises, the new file is
    removed and the old one stays. A symbolic link stays: the file that it points to is replaced. A
    device or a pipe cannot be replaced: then the path yielded is ``path`` itself.
    """
    if _is_stream(path):
        with _naming(path):
            yield path
        return
    path = Path(os.path.realpath(path))
    aside = _beside(path)
    with _naming(path):
        aside.unlink(missing_ok=True)  # a link would be written through
        try:
            yield aside
            with open(aside, "rb") as file:
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Context manager; yields an empty folder, which replaces the folder ``path`` at the end.

    It is written beside ``path``, forced to disk and renamed. An old folder at ``path`` is removed
    just before the renaming: for an instant there is none.
    """
    aside = _beside(path)
    with _naming(path):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            yield aside
            for file in aside.iterdir():
                with open(file, "rb") as written:
                    os.fsync(written.fileno())
            sync_folder(aside)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(aside, path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder; it is whole until it is gone. A folder that cannot be removed stays."""
    aside = path.with_name(f"{path.name}{ASIDE}")
    with suppress(OSError):
        os.replace(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


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
                    is_folder = left.is_dir() and not left.is_symlink()
                    shutil.rmtree(left) if is_folder else left.unlink(missing_ok=True)
    return path.with_name(f"{path.name}.{os.getpid()}{ASIDE}")


def _is_running(process: str) -> bool:
    if os.name == "nt":  # os.kill would end the process there
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):  # no system counts so far
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Context manager; adds the file's name to an error of the system, such as a full disk."""
    try:
        yield
    except OSError as error:
        if not error.filename:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace the text of ``path``, as UTF-8."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def sync_folder(folder: Path) -> None:
    """Force the names in ``folder`` to disk, where the system can do that."""
    if os.name == "nt":  # a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
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
    home, seen = folder.resolve(), 0
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            seen += 1
            what = ""
            if path.is_symlink() and home not in Path(os.path.realpath(path)).parents:
                what = "is a link that leads out of the model folder"
            elif not path.is_symlink() and stat.S_IFMT(path.lstat().st_mode) not in (
                stat.S_IFREG,
                stat.S_IFDIR,
            ):
                what = "is neither a file nor a folder"
            elif seen > _MOST_FILES:
                what = f"is one of more than {_MOST_FILES:,} files: no model folder has so many"
            if what:
                raise FolderError(what, place=str(path), cure="remove it, if you know what it is")
