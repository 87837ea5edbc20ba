"""Checks the files of a bundle: that they are those that were written, and no others.

ONNX Runtime would run any graph. Only our own are run: :mod:`dragoman.runtime.folder` builds the
graphs from the options and weights, and those of the bundle must be the same, byte for byte.
"""

import hashlib
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dragoman.errors import FolderError
from dragoman.files import parse_json
from dragoman.layout import (
    BUNDLE,
    BUNDLE_FORMAT,
    BUNDLE_MAY_HAVE,
    BUNDLE_NEEDS,
    SHORT_DECODER,
    SHORTLIST,
)

AGAIN = "copy the bundle again, or make it again with dragoman export"
_LARGEST = 1 << 32
"""Bytes that a zipped bundle may unpack to."""


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_facts(path: Path) -> dict[str, Any]:
    """Read ``bundle.json``: first the format, then the digests of all files."""
    place = path / BUNDLE
    try:
        facts = parse_json(place.read_text("utf-8"))
        version = facts["format"]
        if version != BUNDLE_FORMAT:
            cause = f"has format {version!r}, this version reads {BUNDLE_FORMAT!r}"
            cure = "use the version of Dragoman that wrote it"
            raise FolderError(cause, place=str(place), cure=cure)
        files = dict(facts["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError("is missing or damaged", place=str(place), cure=AGAIN) from error
    wanted = {*BUNDLE_NEEDS, *((SHORT_DECODER, SHORTLIST) if SHORT_DECODER in files else ())}
    foreign = files.keys() - wanted - {*BUNDLE_MAY_HAVE}
    for name in sorted(foreign | (wanted - files.keys())):
        what = "tells of" if name in foreign else "does not tell"
        raise FolderError(f"{what} {name!r}", place=str(place), cure=AGAIN)
    for name, expected in files.items():
        file = path / name
        if not file.is_file() or file.is_symlink():
            raise FolderError("is missing", place=str(file), cure=AGAIN)
        if digest(file) != expected:
            raise FolderError("is damaged, or of another bundle", place=str(file), cure=AGAIN)
    return dict(facts)


def unpacked(path: Path) -> TemporaryDirectory[str]:
    """A folder with the files of a zipped bundle, which goes when this is no longer used.

    Raises:
        FolderError: the file is damaged, or holds what a bundle does not have.
    """
    folder, place = TemporaryDirectory(prefix="dragoman-"), str(path)
    try:
        with zipfile.ZipFile(path) as file:
            for name in {*file.namelist()} - {BUNDLE, *BUNDLE_NEEDS, *BUNDLE_MAY_HAVE}:
                raise FolderError(f"holds {name!r}, which is no file of a bundle", place=place)
            if sum(info.file_size for info in file.infolist()) > _LARGEST:
                raise FolderError("is too large when it is unpacked", place=place)
            file.extractall(folder.name)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise FolderError(f"is a damaged zip file: {error}", place=place, cure=AGAIN) from error
    return folder
