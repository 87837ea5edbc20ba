"""Claims a folder for a run: refuses foreign ones, locks it, and clears up after a refusal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dragoman.errors import OptionError, UsageError
from dragoman.files import final_name, refuse_ways_out
from dragoman.layout import CONFIG, CORPUS, LOCK, METRICS, RECORD, SOURCE, TARGET
from dragoman.lock import locked

_BEGUN = {CORPUS, LOCK, RECORD, SOURCE, TARGET, CONFIG}
"""What a run that was killed while it prepared its data may have left."""


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Make the folder ``out`` if it is not there, and lock it.

    If the block refuses a new run before it has trained, all that was not there before is removed,
    so that the corrected command finds the place as the first one did.

    Raises:
        OptionError: ``out`` is a file, or holds what no training of ours has written.
        FolderError: another training writes there.
    """
    _refuse_foreign(out)
    made = [path for path in (out, *out.parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        before = {path.name for path in out.iterdir()} - {LOCK}
        is_new = not (out / CONFIG).exists()
        try:
            yield
        except BaseException as error:
            refused = isinstance(error, UsageError) and not (out / METRICS).exists()
            if is_new and (refused or not (out / CONFIG).exists()):
                _remove(out, before, made)
            raise


def _remove(out: Path, before: set[str], made: list[Path]) -> None:
    """Remove what is in ``out`` but not among the names ``before``, then the folders ``made``."""
    with suppress(OSError):  # something cannot be removed, or somebody else has put it there
        for path in out.iterdir():
            if path.name not in before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in made:
            path.rmdir()


def _refuse_foreign(out: Path) -> None:
    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise OptionError(
                "is a file, a folder is expected", place=str(path), cure="another --out"
            )
    if out.is_dir():
        refuse_ways_out(out)
    if out.is_dir() and not (out / CONFIG).exists():
        foreign = sorted({final_name(path.name) for path in out.iterdir()} - _BEGUN)
        if foreign:
            raise OptionError(
                f"is not empty and no model folder: it holds {foreign[0]!r}",
                place=str(out),
                cure="choose another --out",
            )
