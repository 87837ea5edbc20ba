"""Fetches pairs and corpora of other file systems, such as ``s3://bucket/corpus``, by fsspec.

Each is kept in a local cache, under a digest of the address and of what the file system says of the
files (sizes, dates, tags), so that files that have changed are fetched anew.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from dragoman.errors import DataError
from dragoman.files import replacing, take
from dragoman.layout import LOCK

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}([^/].*)")


def url_of(path: Path) -> str:
    """The address that was made a path, which has one slash; empty if it is none."""
    found = _URL.fullmatch(path.as_posix())
    slashes = "///" if found and found[1] == "file" else "//"
    return f"{found[1]}:{slashes}{found[2]}" if found and not path.exists() else ""


def local_paths(paths: Iterable[Path], say: Callable[[str], None]) -> list[Path]:
    """Each path, or the local copy of what stands at its address; ``say`` is told of downloads.

    Raises:
        DataError: there is nothing at an address, it cannot be read or breaks off, or the package
            for such a file system is not installed.
    """
    return [_fetched(url, say) if (url := url_of(path)) else path for path in paths]


def _fetched(url: str, say: Callable[[str], None]) -> Path:
    import fsspec

    try:
        system, inside = fsspec.core.url_to_fs(url)
        info = system.info(inside)
        is_folder, slashed = info["type"] == "directory", f"{inside.rstrip('/')}/"
        files = system.find(inside, detail=True) if is_folder else {inside: info}
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "dragoman")
        place = home / fsspec.utils.tokenize(url, sorted(files.items()))
        copy: Path = place / slashed.split("/")[-2]
        place.mkdir(parents=True, exist_ok=True)
        with (place / LOCK).open("w", encoding="ascii") as lock:
            take(lock, wait=True)  # another process may fetch the same
            if not copy.exists():
                say(f"{url}: {len(files):,} files are fetched")
                with replacing(copy, folder=is_folder) as aside:
                    system.get(slashed if is_folder else inside, str(aside), recursive=is_folder)
        return copy
    except Exception as error:  # each file system has its own; a package may be missing
        cause = f"cannot be fetched: {type(error).__name__}: {error}"
        cure = "is the address right? s3:// needs pip install 'dragoman[remote]'"
        raise DataError(cause, place=url, cure=cure) from error
