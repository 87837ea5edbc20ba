"""Locks a model folder for one training; the system drops the lock when the process ends."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dragoman.errors import FolderError
from dragoman.layout import LOCK


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context manager; holds the lock of ``folder``.

    Raises:
        FolderError: another process holds it.
    """
    with open(folder / LOCK, "w", encoding="ascii") as file:
        if not take(file):
            cure = "wait for it, or choose another --out"
            raise FolderError("another training is writing here", place=folder, cure=cure)
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
