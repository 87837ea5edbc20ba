"""One training a folder: a lock that the system drops when its owner dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dragoman.errors import FolderError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the time of the block.

    Raises:
        FolderError: another process holds it.
    """
    try:
        import fcntl  # not on Windows
    except ModuleNotFoundError:
        yield
        return
    with open(folder / LOCK, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderError(
                "another training is writing here",
                place=str(folder),
                cure="wait for it, or choose another --out",
            ) from error
        yield
