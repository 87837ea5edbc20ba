"""Streams lines of text out of files, plain or packed, and names the place of what is wrong.

Bytes are split at ``\\n`` (and the ``\\r`` before it) and each line is decoded by itself, so that a
wrong byte is named by file, line and position. Python's own text mode is not used: it ends a line
at a lone ``\\r`` too, and ``str.splitlines`` at U+2028, U+0085 and five more, which would put two
aligned files out of step.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import shorten
from typing import IO, Any, cast

from dragoman.data.pairs import Text, Unusable
from dragoman.errors import DataError

STDIN = Path("-")
"""The name that stands for standard input."""

BLOCK = 1 << 16
"""Bytes that are read at a time."""
_HARMLESS, _MOST_PACKED = 1 << 27, 200
"""A packed file may unpack to the first number of bytes, or to the second number times its size:
text packs to a quarter or a tenth of its size."""
LINE_END = re.compile("\r\n|[\t\n\v\f\r\x85\u2028\u2029]")
_MAGIC = (
    (b"\x1f\x8b", "gzip data", "end its name in .gz, or unpack it first"),
    (b"PK\x03\x04", "a zip archive or a workbook", "unpack it, or save its columns as text"),
    (b"PAR1", "a Parquet table", "export its two columns as tab-separated text"),
    (b"\xff\xfe", "UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
)
"""First bytes of a file, what it then is, and the cure; used when a file is not UTF-8 text."""


def place(file: Path, line: int | None = None) -> str:
    """``file:line`` as messages show it; standard input is called ``stdin``."""
    name = "stdin" if file == STDIN else str(file)
    return name if line is None else f"{name}:{line}"


def read_lines(file: Path, warn: Callable[[str], None]) -> Iterator[str]:
    """Stream every line of ``file``, however long, blank or damaged: text *n* is line *n*.

    A byte that is not UTF-8 reads as U+FFFD; ``warn`` is called for the first such line.

    Raises:
        DataError: the file is missing (at the call), binary or damaged as a whole.
    """
    require(file)
    return (LINE_END.sub(" ", cast(str, text)) for text in decoded_lines(file, warn=warn))


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 of the files' raw bytes, one after the other; standard input has none.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                hashlib.file_digest(stream, lambda: digest)
        except OSError as error:
            raise _unreadable(file, error) from error
    return digest.hexdigest()


def decoded_lines(
    file: Path,
    limit: int = sys.maxsize - 1,
    warn: Callable[[str], None] | None = None,
    *,
    tolerant: bool = False,
) -> Iterator[Text]:
    """Decode a file line by line; a line over ``limit`` bytes is unusable and never held.

    Args:
        file: plain or packed, or standard input.
        limit: most bytes of a line.
        warn: called for the first line that is not UTF-8; wrong bytes are read as U+FFFD.
        tolerant: a line that is not UTF-8 is unusable.

    Raises:
        DataError: the file is binary or damaged, or without ``warn`` and ``tolerant`` a line is not
            UTF-8.
    """
    with _opened(file) as stream:
        _refuse_binary(file, stream.peek(1))
        line, warned = 0, False
        while raw := stream.readline(limit + 1):
            line += 1
            if raw[-1:] != b"\n" and len(raw) > limit:
                size = len(raw) + _skip_line(stream)
                cure = "try --data.max_characters"
                yield Unusable("too long", f"{size:,} bytes in one line", cure)
                continue
            raw = raw.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield _decoded(raw, file, line)
            except DataError as error:
                if tolerant:
                    yield Unusable("encoding", error.cause, "convert the file to UTF-8")
                    continue
                if warn is None:
                    raise
                if not warned:
                    warn(f"{error}; such bytes are read as U+FFFD")
                warned = True
                yield raw.decode(errors="replace")


def _skip_line(stream: io.BufferedReader) -> int:
    """Read to the end of the line; returns the number of bytes."""
    size = 0
    while raw := stream.readline(BLOCK):
        size += len(raw)
        if raw[-1:] == b"\n":
            break
    return size


def _decoded(raw: bytes, file: Path, line: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        cause = f"byte {error.start + 1} (0x{raw[error.start]:02X}) is not UTF-8"
        cure = _encoding_cure(raw[max(0, error.start - 2000) : error.start + 2000])
        raise DataError(cause, place=place(file, line), cure=cure) from None
    return text.removeprefix("\ufeff") if line == 1 else text


def _encoding_cure(near: bytes) -> str:
    foreign = [byte for byte in near if byte > 0x7F]
    if not near.decode(errors="ignore").isascii():
        return "parts of the line are UTF-8: damaged? drop such bytes: iconv -c -f utf-8 -t utf-8"
    if len(foreign) > 2 and 2 * len(foreign) > len(re.findall(rb"[^\x00-@]", near)):
        return "which encoding is it? try for example: iconv -f cp1251 -t utf-8"
    if min(foreign) < 0xA0:
        return "it looks like windows-1252: iconv -f cp1252 -t utf-8"
    return "it looks like latin-1: iconv -f latin1 -t utf-8"


def _refuse_binary(file: Path, head: bytes) -> None:
    """Raise DataError when the first block of a file shows that it is no UTF-8 text."""
    try:
        # An incremental decoder forgives a character that the end of the block cuts in two.
        codecs.getincrementaldecoder("utf-8")().decode(head)
        decodable = True
    except UnicodeDecodeError:
        decodable = False
    if decodable and b"\0" not in head:
        return
    for magic, kind, cure in _MAGIC:
        if head.startswith(magic):
            raise DataError(f"{kind}, not UTF-8 text", place=place(file), cure=cure)
    # Half the bytes of Western text in UTF-16 are zero, all at even or all at odd places.
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) == 0 and max(even, odd) > max(3, len(head) // 4):
        cure = f"convert it: iconv -f utf-16{'le' if odd else 'be'} -t utf-8"
        raise DataError("it looks like UTF-16 text, not UTF-8", place=place(file), cure=cure)
    if 100 * head.count(0) > len(head) and not decodable:
        cure = "unpack it, or export it as UTF-8 text"
        raise DataError("binary data, not text", place=place(file), cure=cure)


class _Unpacked(io.RawIOBase):
    """Unpacks a file; refuses one that unpacks to far more than text does."""

    def __init__(self, raw: IO[bytes], file: Path) -> None:
        self._raw, self._file, self._read = raw, file, 0
        self._most = max(_HARMLESS, _MOST_PACKED * file.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._raw.read(len(buffer))
        buffer[: len(block)] = block
        self._read += len(block)
        if self._read > self._most:
            cause = f"unpacks to more than {_MOST_PACKED} times its size, unlike text"
            raise DataError(cause, place=place(self._file), cure="unpack it, if you trust it")
        return len(block)


@contextmanager
def _opened(file: Path) -> Iterator[io.BufferedReader]:
    """Context manager: the unpacked bytes of ``file``; damage in them raises DataError."""
    with ExitStack() as stack:
        try:
            yield _stream(file, stack)
        except DataError:
            raise
        except Exception as error:  # the libraries that unpack raise a dozen kinds
            if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                raise _unreadable(file, error) from error
            cause = f"damaged, cut short, or not packed at all: {str(error).rstrip('.')}"
            cure = "fetch it again, or correct the ending of its name"
            raise DataError(cause, place=place(file), cure=cure) from error


def _stream(file: Path, stack: ExitStack) -> io.BufferedReader:
    ending = file.suffix.lower()
    if file == STDIN:
        raw: IO[bytes] = sys.stdin.buffer
        if isinstance(raw, io.BufferedReader):
            return raw
    elif ending == ".gz":
        packed = stack.enter_context(cast(IO[bytes], gzip.GzipFile(file, "rb")))
        raw = cast(IO[bytes], _Unpacked(packed, file))
    elif ending == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(file))
        packed = stack.enter_context(archive.open(_member(file, archive)))
        raw = cast(IO[bytes], _Unpacked(packed, file))
    else:
        raw = stack.enter_context(file.open("rb", buffering=0))
    reader: io.BufferedReader = io.BufferedReader(cast(Any, raw), BLOCK)
    stack.callback(reader.detach)  # so that standard input is not closed with its reader
    return reader


def _member(file: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file inside; ``_about.txt``, ``__MACOSX/`` and ``.DS_Store`` do not count."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    for name in (member.filename.replace("\\", "/") for member in members):
        if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            cause = f"holds {name!r}, which leads out of the folder that it is unpacked in"
            raise DataError(cause, place=place(file), cure="do not unpack it; who sent it?")
    plain = [m for m in members if not re.search(r"(^|/)[._]", m.filename)] or members
    if len(plain) != 1:
        names = shorten(", ".join(member.filename for member in plain), 200)
        cause = f"{len(plain)} files inside, 1 expected: {names or 'none'}"
        raise DataError(cause, place=place(file), cure="unpack it and name the file of pairs")
    if stat.S_ISLNK(plain[0].external_attr >> 16):
        raise DataError("holds a link, not a file", place=place(file), cure="pack the file itself")
    if plain[0].flag_bits & 1 or plain[0].compress_type not in (0, 8):
        raise DataError("encrypted or packed in a rare way", place=place(file), cure="unpack it")
    return plain[0]


def require(file: Path) -> None:
    """Check that a file is there and no directory.

    Raises:
        DataError: it is not.
    """
    try:
        if file != STDIN and stat.S_ISDIR(file.stat().st_mode):
            raise DataError("is a directory", place=place(file), cure="name a file inside it")
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> DataError:
    cause = (error.strerror or str(error)).lower()
    return DataError(cause, place=place(file), cure=f"looked in {file.absolute().parent}")
