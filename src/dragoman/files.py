"""Replaces files and folders atomically; checks and locks folders.

A lock lets one training at a time write into a folder; the system drops it when the process ends.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dragoman.errors import FolderError, UsageError
from dragoman.layout import ENTRIES, LOCK

ASIDE = ".partial"
"""Ending of a file or folder while it is written. Only a crash leaves one behind; the next training
in a model folder removes those in it."""
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
    is_stream = path.parent in (Path("/dev"), Path("/dev/fd"))  # such as /dev/stdout
    is_stream |= path.exists() and not path.is_file() and not path.is_dir()
    final = Path(os.path.realpath(path))
    aside = final.with_name(f"{final.name}.{os.getpid()}{ASIDE}")
    try:
        if is_stream:
            yield path
            return
        _remove(aside)  # a link would be written through
        if folder:
            aside.mkdir()
        yield aside
        for written in (*aside.rglob("*"), aside):
            sync(written)
        if folder:
            shutil.rmtree(final, ignore_errors=True)
        os.replace(aside, final)
        sync(final.parent)
    except BaseException as error:
        with suppress(OSError):
            _remove(aside)
        # The system's own errors have no file name (a full disk) or the aside one's (read-only).
        if isinstance(error, OSError) and error.errno:
            error.filename = str(error.filename or path).replace(aside.name, final.name)
        raise


def final_name(name: str) -> str:
    """Turn the name that a file or folder has while it is written into its final name."""
    return re.sub(rf"(\.\d+)?{re.escape(ASIDE)}$", "", name)


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
    # Windows syncs no file that is open for reading alone.
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
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


def require_format(found: Any, known: str, place: Path) -> None:
    """Check the version of the format of files that a program wrote.

    Raises:
        FolderError: it is not the one that this version reads.
    """
    if found != known:
        cause = f"has format {found!r}, this version reads {known!r}"
        raise FolderError(cause, place=place, cure="use the version of Dragoman that wrote it")


@contextmanager
def reading(path: Path, cause: str, cure: str = "copy the folder again") -> Iterator[None]:
    """Context manager; what is raised while ``path`` is read becomes a FolderError with ``cause``.

    Errors of use, and packages that are missing, pass as they are.
    """
    try:
        yield
    except (UsageError, ImportError):
        raise
    except Exception as error:  # libraries raise a dozen kinds
        of_structure = isinstance(error, KeyError | TypeError | AttributeError)
        said = "it has another structure" if of_structure else error
        raise FolderError(f"{cause}: {said}", place=path, cure=cure) from error


def refuse_ways_out(folder: Path) -> None:
    """Check that every file under ``folder`` lies in it.

    Raises:
        FolderError: it holds a link that leads out of it, something that is neither a file nor a
            folder (reading a pipe might never end), or more files than a model folder ever has.
    """
    home, what = folder.resolve(), ""
    for number, path in enumerate(folder.rglob("*")):
        if number == _MOST_FILES:
            what = f"is one of more than {_MOST_FILES:,} files: no model folder has so many"
        elif home not in Path(os.path.realpath(path)).parents:
            what = "is a link that leads out of the model folder"
        elif not path.is_file() and not path.is_dir():
            what = "is neither a file nor a folder"
        if what:
            raise FolderError(what, place=path, cure="remove it, if you know what it is")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context manager; holds the lock of ``folder``, so that no other training writes there.

    What a killed training has left half-written is removed first.

    Raises:
        FolderError: another process holds it.
    """
    with open(folder / LOCK, "w", encoding="ascii") as file:
        if not take(file):
            cure = "wait for it, or choose another --out"
            raise FolderError("another training is writing here", place=folder, cure=cure)
        for left in folder.glob(f"*{ASIDE}"):
            if final_name(left.name) in ENTRIES:
                _remove(left)
        yield


def is_locked(folder: Path) -> bool:
    """Whether a training writes into ``folder`` now."""
    with suppress(OSError), open(folder / LOCK, encoding="ascii") as file:
        return not take(file, "LOCK_SH")  # several may ask at the same time
    return False  # never locked, or not ours to read


def take(file: IO[Any], kind: str = "LOCK_EX", *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; true where the system has no such lock.

    Args:
        file: open for writing, or for reading where ``kind`` is not the default.
        kind: ``LOCK_EX``, or ``LOCK_SH`` where several may hold it.
        wait: wait until it is free, else return false where another process holds it.
    """
    with suppress(ModuleNotFoundError):
        import fcntl  # not on Windows

        try:
            fcntl.flock(file, getattr(fcntl, kind) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
    return True
