"""Writing so that a file is at every instant the old one or the new one, never half of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ASIDE = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to; on success it takes the place of ``path``.

    What was written is forced to disk before it is renamed, and the rename after it. When the
    block raises, the new file is removed and the old one stays.
    """
    aside = path.with_name(f"{path.name}{_ASIDE}")
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a folder of files: give an empty one beside, which takes its place whole.

    An old folder at ``path`` is removed first, so give a new name where it must not be missed.
    """
    aside = path.with_name(f"{path.name}{_ASIDE}")
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
