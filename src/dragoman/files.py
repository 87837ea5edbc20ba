"""Files: each is at every instant the old one or the new one; what strangers sent is distrusted."""

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
"""Ending of what is being written; left behind only by a crash."""
_MOST_FILES = 10_000


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to; on success it takes the place of ``path``.

    What was written is forced to disk before it is renamed, and the rename after it. When the
    block raises, the new file is removed and the old one stays.
    """
    aside = _beside(path)
    with _naming(path):
        aside.unlink(missing_ok=True)  # whatever it was, a link to elsewhere included
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
    """The same for a folder of files: give an empty one beside, which takes its place whole.

    An old folder at ``path`` is removed first, so give a new name where it must not be missed.
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
    """Remove a folder so that it is whole until it is gone; one that cannot be removed stays."""
    aside = path.with_name(f"{path.name}{ASIDE}")
    with suppress(OSError):
        os.replace(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


def final_name(name: str) -> str:
    """The name that a file or folder will get, from the one it has while it is written."""
    return re.sub(rf"(\.\d+)?{re.escape(ASIDE)}$", "", name)


def _beside(path: Path) -> Path:
    """Where this process writes what becomes ``path``; removes what others left half-written."""
    with suppress(OSError):
        for left in path.parent.iterdir():
            if left.name.endswith(ASIDE) and final_name(left.name) == path.name:
                owner = left.name[len(path.name) + 1 : -len(ASIDE)]
                if not owner or not _is_running(owner):
                    is_folder = left.is_dir() and not left.is_symlink()
                    shutil.rmtree(left) if is_folder else left.unlink(missing_ok=True)
    return path.with_name(f"{path.name}.{os.getpid()}{ASIDE}")


def _is_running(process: str) -> bool:
    import psutil

    with suppress(OverflowError):  # no system counts so far
        return bool(psutil.pid_exists(int(process)))
    return False


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error of the system, such as a full disk, say what could not be written."""
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
    """JSON of unknown origin.

    Raises:
        ValueError: it is not JSON, holds a number beyond all measure, or is nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def refuse_ways_out(folder: Path) -> None:
    """Make sure that all that is read and written under ``folder`` lies in it.

    Raises:
        FolderError: it holds a link that leads elsewhere, something that is neither a file nor a
            folder (a pipe would never end), or more files than a model folder ever has.
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
