"""Streams lines of text out of files, plain or packed, and names the place of what is wrong.

Bytes are split at ``\\n`` (and the ``\\r`` before it) and each line is decoded by itself, so that a
wrong byte is named by file, line and position. Python's own text mode is not used: it ends a line
at a lone ``\\r`` too, and ``str.splitlines`` at U+2028, U+0085 and five more, which would put two
aligned files out of step.
"""

import gzip
import hashlib
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import shorten
from typing import IO, cast

from dragoman.data.pairs import Fault, Text
from dragoman.errors import DataError

STDIN = Path("-")
"""The name that stands for standard input."""
BLOCK = 1 << 16
"""Bytes that are read at a time of a line that is too long."""
LINE_END = re.compile("\r\n|[\t\n\v\f\r\x85\u2028\u2029]")
"""What ends a line or a column in some program."""
_NO_LIMIT = sys.maxsize - 1
_HARMLESS, _MOST_PACKED = 1 << 27, 200
"""A packed file may unpack to the first number of bytes, or to the second number times its size:
text packs to a quarter or a tenth of its size."""
_MAGIC = {
    b"\x1f\x8b": ("gzip data", "end its name in .gz, or unpack it first"),
    b"PK\x03\x04": ("a zip archive or a workbook", "unpack it, or save its columns as text"),
    b"PAR1\x15": ("a Parquet table", "export its two columns as tab-separated text"),
    b"\xff\xfe": ("UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
    b"\xfe\xff": ("UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
}
"""First bytes that no UTF-8 text has: what the file then is, and the cure."""


def place(file: Path, line: int | None = None) -> str:
    """``file:line`` as messages show it; standard input is called ``stdin``."""
    name = "stdin" if file == STDIN else str(file)
    return name if line is None else f"{name}:{line}"


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


def read_lines(file: Path, warn: Callable[[str], None], *, tabs: bool = False) -> Iterator[str]:
    """Stream every line of ``file``, however long, blank or damaged: text *n* is line *n*.

    A byte that is not UTF-8 reads as U+FFFD; ``warn`` is called for the first such line. Tabs stay
    where ``tabs`` is true: they stand before features.

    Raises:
        DataError: the file is missing (at the call), binary or damaged as a whole.
    """
    require(file)
    return _mended(file, warn, tabs)


def _mended(file: Path, warn: Callable[[str], None], tabs: bool) -> Iterator[str]:
    warned = False
    for line, (raw, _) in enumerate(_raw_lines(file, _NO_LIMIT), 1):
        text = _decoded(raw, file, line)
        if isinstance(text, Fault):
            if not warned:
                warn(f"{text} ({text.cure}); such bytes are read as U+FFFD")
            warned, text = True, raw.decode(errors="replace")
        yield LINE_END.sub(lambda end: "\t" if tabs and end[0] == "\t" else " ", text)


def decoded_lines(file: Path, limit: int) -> Iterator[Text]:
    """Decode a file line by line.

    Args:
        file: plain or packed, or standard input.
        limit: most bytes of a line; a longer one is a fault and never held in memory.

    Yields:
        Each line without its end, or why it cannot be used: it is too long or not UTF-8.

    Raises:
        DataError: the file cannot be read, is binary or damaged.
    """
    for line, (raw, size) in enumerate(_raw_lines(file, limit), 1):
        if size > limit:
            cure = "try --data.max_characters"
            yield Fault("too long", f"{size:,} bytes in one line", cure, place(file), line)
        else:
            yield _decoded(raw, file, line)


def _decoded(raw: bytes, file: Path, line: int) -> Text:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1} (0x{raw[error.start]:02X}) is not UTF-8"
        cure = "which encoding is it? convert it, for example: iconv -f cp1252 -t utf-8"
        if not raw.decode(errors="ignore").isascii():
            cure = "parts of the line are UTF-8: drop damaged bytes: iconv -c -f utf-8 -t utf-8"
        return Fault("encoding", detail, cure, place(file), line)
    return text.removeprefix("\ufeff") if line == 1 else text


def _raw_lines(file: Path, limit: int) -> Iterator[tuple[bytes, int]]:
    """Each line without its end, cut off after ``limit`` + 1 bytes, and its whole size in bytes."""
    packed = file.suffix.lower() in (".gz", ".zip")
    read, line = 0, 0
    try:
        with ExitStack() as stack:
            stream = _opened(file, stack)
            most = max(_HARMLESS, _MOST_PACKED * file.stat().st_size) if packed else _NO_LIMIT
            while raw := stream.readline(limit + 1):
                line += 1
                if line == 1:
                    _refuse_binary(file, raw)
                size, part = len(raw), raw
                while size > limit and part and part[-1:] != b"\n":
                    part = stream.readline(BLOCK)
                    size += len(part)
                read += size
                if read > most:
                    cause = f"unpacks to more than {_MOST_PACKED} times its size, unlike text"
                    raise DataError(cause, place=place(file), cure="unpack it, if you trust it")
                yield raw.removesuffix(b"\n").removesuffix(b"\r"), size
    except DataError:
        raise
    except Exception as error:  # the libraries that unpack raise a dozen kinds
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise _unreadable(file, error) from error
        cause = f"damaged, cut short, or not packed at all: {str(error).rstrip('.')}"
        cure = "fetch it again, or correct the ending of its name"
        raise DataError(cause, place=place(file), cure=cure) from error


def _opened(file: Path, stack: ExitStack) -> IO[bytes]:
    """The unpacked bytes of ``file``, to be closed with ``stack``; standard input stays open."""
    if file == STDIN:
        return sys.stdin.buffer
    if file.suffix.lower() == ".gz":
        return cast(IO[bytes], stack.enter_context(gzip.open(file)))
    if file.suffix.lower() != ".zip":
        return stack.enter_context(file.open("rb"))
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = [member for member in archive.infolist() if not member.is_dir()]
    # _about.txt, __MACOSX/ and .DS_Store come with an archive.
    plain = [m for m in members if not re.search(r"(^|/)[._]", m.filename)] or members
    if len(plain) != 1:
        names = shorten(", ".join(member.filename for member in plain), 200)
        cause = f"{len(plain)} files inside, 1 expected: {names or 'none'}"
        raise DataError(cause, place=place(file), cure="unpack it and name the file of pairs")
    return stack.enter_context(archive.open(plain[0]))


def _refuse_binary(file: Path, first: bytes) -> None:
    """Raise DataError when the first line of a file shows that it is no UTF-8 text."""
    for magic, (kind, cure) in _MAGIC.items():
        if first.startswith(magic):
            raise DataError(f"{kind}, not UTF-8 text", place=place(file), cure=cure)
    if first.count(0) > max(1, len(first) // 5):
        cure = "export it as text, or if it is UTF-16: iconv -f utf-16 -t utf-8"
        raise DataError("binary data or UTF-16, not UTF-8 text", place=place(file), cure=cure)


def require(file: Path) -> None:
    """Check that a file is there and no directory.

    Raises:
        DataError: it is not.
    """
    try:
        if file != STDIN and file.stat() and file.is_dir():
            raise DataError("is a directory", place=place(file), cure="name a file inside it")
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> DataError:
    cause = (error.strerror or str(error)).lower()
    return DataError(cause, place=place(file), cure=f"looked in {file.absolute().parent}")
