"""Opens a file as a stream of bytes: unpacked, UTF-16 as UTF-8, its lines ended by ``\\n``.

    file ─► unpacked, up to a bound ─► UTF-16 as UTF-8 ─► carriage returns as line feeds ─► stream

A packed file is known by its ending or its first bytes. What holds no pairs, such as an archive of
several files or a spreadsheet, is refused by its name.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import Any

from dragoman.errors import DataError, UsageError, naming_extras

STDIN = Path("-")
"""The name that stands for standard input."""
HEAD = 1 << 16
"""Bytes by which a file is recognised; also the size of the pieces in which it is read."""
HARMLESS, MOST_PACKED = 1 << 24, 200
"""Packed bytes may unpack to the first number of bytes, or to the second number times as many:
text packs to a quarter or a tenth of its size."""
PACKINGS = {
    ".gz": rb"\x1f\x8b",
    ".bz2": rb"BZh[1-9](1AY&SY|\x17rE8P)",
    ".xz": rb"\xfd7zXZ\0",
    ".zst": rb"\x28\xb5\x2f\xfd",
    ".zip": rb"PK(\x03\x04|\x05\x06)",
}
"""First bytes of packed files, by the ending of their names."""
_REFUSED = {
    "an old spreadsheet or document": rb"\xd0\xcf\x11\xe0",
    "a SQLite database": rb"SQLite format 3\0",
    "a PDF document": rb"%PDF-\d\.",
    "a 7z or RAR archive": rb"7z\xbc\xaf|Rar!\x1a\x07",
    "a tar archive": rb"(?s:.{257})ustar",
    "a page of the web": rb"(?i)\s*<(!doctype )?html",
    "packed twice": b"|".join(PACKINGS.values()),
}
"""First bytes of files that hold no pairs as text."""
_NO_ARCHIVE = re.compile(r"\[Content_Types\]\.xml|mimetype|collection\.anki2")
"""A member that every spreadsheet, document or package of Anki has; they are zip archives."""
_DAMAGED = "damaged, cut short, or not packed by gzip, zip ... at all"
_AGAIN = "fetch it again, or correct the ending of its name"
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open for reading."""

    path: Path
    stream: "io.BufferedReader[Pieces]"
    """Its unpacked bytes from the beginning; text is UTF-8."""
    text: str
    """The whole lines of its beginning."""
    name: str
    """What it is called, in lower case: the file without its packing, or the member of a zip."""
    change: str
    """What was changed in the bytes: ``UTF-16`` (they are UTF-8 now), ``lines end in carriage
    returns`` (line feeds now), or nothing."""
    on_disk: bool
    """Whether the bytes of the stream are those of a file that can be opened again."""


class Pieces(io.RawIOBase):
    """A stream over pieces of bytes; what is raised while one is made names ``file``.

    Attributes:
        line_ends: those in the bytes that were read so far.
    """

    def __init__(self, pieces: Iterable[bytes], file: Path) -> None:
        self._pieces, self._rest, self._file = iter(pieces), b"", file
        self.line_ends = self._size = 0

    def tell(self) -> int:
        """The number of bytes that were read so far."""
        return self._size

    def readable(self) -> bool:
        """True, for :class:`io.BufferedReader` asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with the next bytes; 0 at the end."""
        with naming(self._file):
            piece = self._rest or next(filter(None, self._pieces), b"")
        size = min(len(buffer), len(piece))
        buffer[:size], self._rest = piece[:size], piece[size:]
        self.line_ends += piece.count(b"\n", 0, size)
        self._size += size
        return size


def place(file: Path, line: int | None = None) -> str:
    """``file:line`` as messages show it; standard input is called ``stdin``."""
    name = "stdin" if file == STDIN else str(file)
    return name if line is None else f"{name}:{line}"


def require(file: Path) -> None:
    """Check that a file is there and no directory.

    Raises:
        DataError: it is not.
    """
    with naming(file):
        if file != STDIN and file.stat() and file.is_dir():
            raise DataError("is a directory", place=place(file), cure="name a file inside it")


def opened(file: Path, stack: ExitStack, *, as_lines: bool = False) -> Opened:
    """Open ``file``; it is closed with ``stack``, standard input stays open.

    Args:
        file: plain or packed, or standard input.
        stack: closes what is opened.
        as_lines: it holds lines of any text. None is refused for what it says, and the first bytes
            that come are passed on: a program that asks line by line waits for its first answer.

    Raises:
        DataError: it cannot be read, is damaged, or is no text; while it is read as well.
    """
    with naming(file):
        raw: Any = sys.stdin.buffer if file == STDIN else stack.enter_context(file.open("rb"))
        start, pieces = _begin(_pieces(raw, None, file), as_lines=as_lines)
        kind, change = file.suffix.lower(), ""
        if kind not in PACKINGS:
            kind = next((k for k, magic in PACKINGS.items() if re.match(magic, start)), "")
        name = file.name.lower().removesuffix(kind)
        if kind:
            # The libraries that unpack close what they are given, and standard input stays open.
            packed = raw if kind == ".zip" else io.BufferedReader(Pieces(pieces, file))
            unpacked = _unpacked(kind, packed, file, stack)
            if kind == ".zip" and Path(unpacked.name).suffix:
                name = unpacked.name.lower()
            start, pieces = _begin(_pieces(unpacked, packed, file), as_lines=as_lines)
        _refuse(file, start, as_lines=as_lines)
        if start.startswith(_MARKS):
            start, change = start.decode("utf-16", errors="ignore").encode(), "UTF-16"
            # Half a pair of surrogates becomes bytes that are no UTF-8.
            texts = codecs.iterdecode(pieces, "utf-16", errors="surrogatepass")
            pieces = (text.encode(errors="surrogatepass") for text in texts)
        lines_come = as_lines and file == STDIN  # the first of them may be all that is there
        if b"\r" in start[:-1] and not lines_come and not re.search(rb"[\n\0]", start):
            start, change = start.replace(b"\r", b"\n"), "lines end in carriage returns"
            pieces = (piece.replace(b"\r", b"\n") for piece in pieces)
    whole = start.rpartition(b"\n")[0] if len(start) >= HEAD else b""
    text = (whole or start).decode("utf-8-sig", errors="ignore")
    stream = io.BufferedReader(Pieces(pieces, file), HEAD)
    return Opened(file, stream, text, name, change, on_disk=not kind and file.is_file())


def _pieces(stream: Any, packed: Any, file: Path) -> Iterator[bytes]:
    """The bytes of ``stream`` in pieces; it unpacks what was read of ``packed`` so far, if any.

    Raises:
        DataError: they are far more than those of ``packed``.
    """
    size = 0
    while piece := stream.read1(HEAD):
        size += len(piece)
        if packed and size > max(HARMLESS, MOST_PACKED * packed.tell()):
            cause = f"unpacks to more than {MOST_PACKED} times its size, unlike text"
            raise DataError(cause, place=place(file), cure="unpack it, if you trust it")
        yield piece


def _begin(pieces: Iterator[bytes], *, as_lines: bool) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes of ``pieces``, and all of them again."""
    start = next(pieces, b"")
    while not as_lines and len(start) < HEAD and (more := next(pieces, b"")):
        start += more
    return start, chain([start], pieces)


def _unpacked(kind: str, packed: Any, file: Path, stack: ExitStack) -> Any:
    """The stream of what a packed stream holds."""
    if kind == ".zst":
        with naming_extras():
            import pyarrow as pa
        return stack.enter_context(pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd"))
    if kind != ".zip":
        ways: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        return stack.enter_context(ways[kind](packed))
    if not packed.seekable():
        raise DataError("a zip archive in a pipe", place=place(file), cure="name the file")
    archive = stack.enter_context(zipfile.ZipFile(packed))
    members = [member for member in archive.infolist() if not member.is_dir()]
    if any(_NO_ARCHIVE.fullmatch(member.filename) for member in members):
        raise _no_pairs(file, "a spreadsheet, document or package of Anki")
    # _about.txt, __MACOSX/ and .DS_Store come with an archive.
    plain = [m for m in members if not re.search(r"(^|/)[._]", m.filename)] or members
    if len(plain) != 1:
        names = shorten(", ".join(member.filename for member in plain), 200)
        cause = f"{len(plain)} files inside, 1 expected: {names or 'none'}"
        raise DataError(cause, place=place(file), cure="unpack it and name the file of pairs")
    return stack.enter_context(archive.open(plain[0]))


@contextmanager
def naming(file: Path, cause: str = _DAMAGED, cure: str = _AGAIN) -> Iterator[None]:
    """Context manager; what is raised while ``file`` is read or unpacked becomes a DataError.

    Where the system refuses the file, its own words are the cause, and the cure tells where it was
    looked for.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # the libraries that unpack raise a dozen kinds
        cause = f"{cause}: {error}"
        if isinstance(error, OSError) and error.errno:
            cause = (error.strerror or str(error)).lower()
            looked = f"looked in {file.absolute().parent}"
            cure = "name a file inside it" if file.is_dir() else looked
        raise DataError(cause, place=place(file), cure=cure) from error


def _no_pairs(file: Path, kind: str) -> DataError:
    cure = "unpack it, or save its pairs as CSV or text, and name that file"
    return DataError(f"{kind}, no file of pairs", place=place(file), cure=cure)


def _refuse(file: Path, start: bytes, *, as_lines: bool) -> None:
    """Raise DataError when the first bytes of a file show that it is neither text nor a table."""
    for kind, magic in _REFUSED.items():
        if not as_lines and re.match(magic, start):
            raise _no_pairs(file, kind)
    first = start.partition(b"\n")[0]
    known = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", *_MARKS)
    if first.count(0) > max(1, len(first) // 5) and not start.startswith(known):
        cure = "export it as text, or if it is UTF-16: iconv -f utf-16 -t utf-8"
        raise DataError("binary data or UTF-16, not UTF-8 text", place=place(file), cure=cure)
