"""Pairs and lines of text out of files: streamed, bounded in memory, every fault with its place.

Bytes are split at ``\\n`` (and the ``\\r`` before it) and each line is decoded by itself, so that a
wrong byte is named by file, line and position. Python's own text mode is not used: it ends a line
at a lone ``\\r`` too, and ``str.splitlines`` at U+2028, U+0085 and five more, which would put two
aligned files out of step. Such characters inside a line become spaces: a pair stays on one line.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import shorten
from typing import IO, Any, Literal, cast

from dragoman.config import DataOptions
from dragoman.data.pairs import Fault, FaultKind, Faults, Pair
from dragoman.errors import DataError, OptionError

Format = Literal["tsv", "aligned", "jsonl"]

STDIN = Path("-")
"""The name that stands for standard input."""

Text = str | int
"""A decoded line, or the number of bytes of one that was too long to be held."""

_BLOCK = 1 << 16
_EARLY = 1000
"""Lines after which too many faults end the reading at once, not only at the end."""

_LINE_END = re.compile("\r\n|[\t\n\v\f\r\x85\u2028\u2029]")
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_BLANK = "".join(filter(str.isspace, map(chr, range(0x3001)))) + (
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
)
"""White space and characters without ink: a side of nothing else is empty."""

_MAGIC = (
    (b"\x1f\x8b", "gzip data", "end its name in .gz, or unpack it first"),
    (b"PK\x03\x04", "a zip archive or a workbook", "unpack it, or save its columns as text"),
    (b"PAR1", "a Parquet table", "export its two columns as tab-separated text"),
    (b"\xff\xfe", "UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
    (b"\xfe\xff", "UTF-16 text", "convert it: iconv -f utf-16 -t utf-8"),
)
"""First bytes, what they tell, and the cure; asked only when the file is not clean UTF-8."""

_CURES: dict[FaultKind, str] = {
    "columns": "is the separator {separator}? try --data.separator",
    "fields": "are the fields {fields}? try --data.fields",
    "not JSON": "is there one JSON object a line? try --data.format tsv",
    "too long": "try --data.max_characters",
    "empty": "fill these lines or delete them",
    "control characters": "delete these characters from the file",
}


def place(file: Path, line: int | None = None) -> str:
    """``file:line`` as messages show it; standard input is called ``stdin``."""
    name = "stdin" if file == STDIN else str(file)
    return name if line is None else f"{name}:{line}"


def read_pairs(files: Sequence[Path], options: DataOptions, faults: Faults) -> Iterator[Pair]:
    """Stream the pairs of one file of columns or JSON lines, or of two aligned files.

    A file is plain, ``.gz``, ``.zip`` with one member, or ``-`` for standard input. Unusable lines
    are counted in ``faults`` and left out; a last line that is blank is no fault.

    Raises:
        OptionError: the number of files or an option does not fit (at the call).
        DataError: a file is missing (at the call); while reading: it is empty, binary, damaged or
            not UTF-8, aligned files differ in length, no pair is usable, or the share of unusable
            lines is above ``options.tolerance``.
    """
    files = list(files)
    form = _format(files, options)
    for file in files:
        _require(file)
    return _pairs(files, form, options, faults)


def read_lines(file: Path) -> Iterator[str]:
    """Stream every line of ``file``, however long or blank: line *n* of the input is text *n*.

    Raises:
        DataError: the file is missing (at the call), binary, damaged or not UTF-8.
    """
    _require(file)
    return (_LINE_END.sub(" ", cast(str, text)) for text in _texts(file))


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 of the files' raw bytes, one after the other; standard input has none.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise _unreadable(file, error) from error
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Why a line is no pair; ``file`` tells which of two aligned files is at fault."""

    kind: FaultKind
    detail: str
    file: int = 0


def _format(files: Sequence[Path], options: DataOptions) -> Format:
    """How the pairs are stored; files and options that contradict it are refused."""
    form: Literal["auto"] | Format = options.format
    if form == "auto" and len(files) == 1:
        name = files[0].name.lower().removesuffix(".gz").removesuffix(".zip")
        form = "jsonl" if name.endswith((".jsonl", ".ndjson")) else "tsv"
    elif form == "auto":
        form = "aligned"
    if len(files) != (2 if form == "aligned" else 1):
        cause = f"{len(files)} files of pairs given for the format {form}"
        raise OptionError(cause, cure="give one file, or two aligned ones")
    if form == "aligned" and files[0] == STDIN == files[1]:
        raise OptionError("standard input can be read only once", cure="save one side to a file")
    one, two = options.fields if form == "jsonl" else options.columns
    if form != "aligned" and one == two:
        what = "data.fields" if form == "jsonl" else "data.columns"
        raise OptionError(f"both sides are {one!r}", place=what, cure="name two different ones")
    if form == "tsv" and min(options.columns) < 1:
        cause = f"there is no column {min(options.columns)}"
        raise OptionError(cause, place="data.columns", cure="columns are counted from 1")
    if form == "tsv" and (not options.separator or "\n" in options.separator):
        cause = f"{options.separator!r} cannot separate columns"
        raise OptionError(cause, place="data.separator", cure="the default is a tab")
    return form


def _pairs(
    files: Sequence[Path], form: Format, options: DataOptions, faults: Faults
) -> Iterator[Pair]:
    # Room for a JSON line whose every character is two \u escapes, and for columns not wanted.
    rows = _rows(files, _BLOCK + 24 * options.max_characters)
    for line, row in rows:
        if None in row:
            raise _unequal(files, line, row, rest=sum(1 for _ in rows))
        faults.lines += 1
        sides = _sides(cast(Sequence[Text], row), form, options)
        if isinstance(sides, _Wrong):
            faults.add(Fault(sides.kind, place(files[sides.file]), line, sides.detail))
            if faults.lines >= _EARLY and faults.total > options.tolerance * faults.lines:
                raise _too_many(files, options, faults)
        else:
            first, second = sides
            yield Pair(second, first, line) if options.reverse else Pair(first, second, line)
    if not faults.lines:
        raise DataError("is empty", place=place(files[0]), cure="one pair a line is expected")
    if faults.total > min(options.tolerance * faults.lines, faults.lines - 1):
        raise _too_many(files, options, faults)


def _sides(row: Sequence[Text], form: Format, options: DataOptions) -> tuple[str, str] | _Wrong:
    """The sides of a row, cleaned of line ends, or what is wrong with it."""
    for at, text in enumerate(row):
        if isinstance(text, int):
            return _Wrong("too long", f"{text:,} bytes in one line", at)
    texts = cast(Sequence[str], row)
    if form == "aligned":
        sides: tuple[str, str] | _Wrong = (texts[0], texts[1])
    elif not texts[0].strip():
        return _Wrong("empty", "the line is blank")
    else:
        sides = (_fields if form == "jsonl" else _columns)(texts[0], options)
    if isinstance(sides, _Wrong):
        return sides
    first = _side(sides[0], options.max_characters)
    second = _side(sides[1], options.max_characters)
    for at, side in enumerate((first, second)):
        if isinstance(side, _Wrong):
            column, name = options.columns[at], options.fields[at]
            names = {"tsv": f"column {column}", "jsonl": f"field {name!r}", "aligned": "the line"}
            return _Wrong(side.kind, f"{names[form]} {side.detail}", at if len(row) == 2 else 0)
    return cast(tuple[str, str], (first, second))


def _columns(text: str, options: DataOptions) -> tuple[str, str] | _Wrong:
    one, two = options.columns
    wanted = max(one, two)
    cells = text.split(options.separator, wanted)
    if len(cells) < wanted:
        columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        return _Wrong("columns", f"{columns}, {wanted} expected")
    return cells[one - 1], cells[two - 1]


def _fields(text: str, options: DataOptions) -> tuple[str, str] | _Wrong:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return _Wrong("not JSON", f"not JSON: {error.msg} at character {error.pos + 1}")
    except (ValueError, RecursionError):
        return _Wrong("not JSON", "not JSON that can be read: nested too deep, or a huge number")
    if not isinstance(value, dict):
        return _Wrong("not JSON", f"a JSON {type(value).__name__}, an object expected")
    for name in options.fields:
        if not isinstance(value.get(name), str):
            what = f"of type {type(value[name]).__name__}" if name in value else "missing"
            known = shorten(", ".join(map(repr, value)), 80)
            return _Wrong("fields", f"field {name!r} is {what}, a string expected (has {known})")
    return value[options.fields[0]], value[options.fields[1]]


def _side(text: str, longest: int) -> str | _Wrong:
    if not text.isprintable():  # plain text, the usual case, is done with one quick look
        text = _LINE_END.sub(" ", text)
        if found := _CONTROL.search(text):
            detail = f"has U+{ord(found[0]):04X} at character {found.start() + 1}"
            return _Wrong("control characters", detail)
    if len(text) > longest:
        return _Wrong("too long", f"has {len(text):,} characters, {longest:,} are read at most")
    return text if text.strip(_BLANK) else _Wrong("empty", "is empty")


def _too_many(files: Sequence[Path], options: DataOptions, faults: Faults) -> DataError:
    kind = cast(FaultKind, faults.counts.most_common(1)[0][0])
    separator = "a tab" if options.separator == "\t" else repr(options.separator)
    cure = _CURES[kind].format(separator=separator, fields=" and ".join(options.fields))
    return DataError(
        f"{faults.total:,} of {faults.lines:,} lines cannot be used: {'; '.join(faults.summary())}",
        place=" and ".join(place(file) for file in files),
        cure=f"{cure}; or raise --data.tolerance" if faults.total < faults.lines else cure,
    )


def _unequal(files: Sequence[Path], line: int, row: Sequence[Text | None], rest: int) -> DataError:
    longer, shorter = (files[1], files[0]) if row[0] is None else (files[0], files[1])
    lines = "1 line" if rest == 0 else f"{rest + 1:,} lines"
    cure = "line n of one file must belong to line n of the other"
    cause = f"{lines} more than {place(shorter)}, which has {line - 1:,}"
    return DataError(cause, place=place(longer, line), cure=cure)


def _rows(files: Sequence[Path], limit: int) -> Iterator[tuple[int, tuple[Text | None, ...]]]:
    """Number the lines and put those of aligned files side by side; None: a file has ended.

    A last row without any text is not given: editors leave it behind.
    """
    held: tuple[int, tuple[Text | None, ...]] | None = None
    streams = [_texts(file, limit) for file in files]
    for line, row in enumerate(zip_longest(*streams), 1):
        if held:
            yield held
        held = None if any(row) else (line, row)
        if not held:
            yield line, row


def _texts(file: Path, limit: int = sys.maxsize - 1) -> Iterator[Text]:
    """Decode line by line; of a line over ``limit`` bytes only the size is kept."""
    with _opened(file) as stream:
        _refuse_binary(file, stream.peek(1))
        line = 0
        while raw := stream.readline(limit + 1):
            line += 1
            if raw[-1:] == b"\n" or len(raw) <= limit:
                yield _decoded(raw.removesuffix(b"\n").removesuffix(b"\r"), file, line)
                continue
            size = len(raw)
            while raw and raw[-1:] != b"\n":
                raw = stream.readline(_BLOCK)
                size += len(raw)
            yield size


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
    if b"\0" in head and not decodable:
        cure = "unpack it, or export it as UTF-8 text"
        raise DataError("binary data, not text", place=place(file), cure=cure)


@contextmanager
def _opened(file: Path) -> Iterator[io.BufferedReader]:
    """The unpacked bytes of ``file``; damage found while they are read becomes a DataError."""
    with ExitStack() as stack:
        try:
            yield _stream(file, stack)
        except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            cause = f"damaged, cut short, or not packed at all: {str(error).rstrip('.')}"
            cure = "fetch it again, or correct the ending of its name"
            raise DataError(cause, place=place(file), cure=cure) from error
        except OSError as error:
            raise _unreadable(file, error) from error


def _stream(file: Path, stack: ExitStack) -> io.BufferedReader:
    ending = file.suffix.lower()
    if file == STDIN:
        raw: IO[bytes] = sys.stdin.buffer
        if isinstance(raw, io.BufferedReader):
            return raw
    elif ending == ".gz":
        raw = stack.enter_context(cast(IO[bytes], gzip.GzipFile(file, "rb")))
    elif ending == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(file))
        raw = stack.enter_context(archive.open(_member(file, archive)))
    else:
        raw = stack.enter_context(file.open("rb", buffering=0))
    reader: io.BufferedReader = io.BufferedReader(cast(Any, raw), _BLOCK)
    stack.callback(reader.detach)  # else standard input would be closed with its reader
    return reader


def _member(file: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file inside; ``_about.txt``, ``__MACOSX/`` and ``.DS_Store`` do not count."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    plain = [m for m in members if not re.search(r"(^|/)[._]", m.filename)] or members
    if len(plain) != 1:
        names = shorten(", ".join(member.filename for member in plain), 200)
        cause = f"{len(plain)} files inside, 1 expected: {names or 'none'}"
        raise DataError(cause, place=place(file), cure="unpack it and name the file of pairs")
    if plain[0].flag_bits & 1 or plain[0].compress_type not in (0, 8):
        raise DataError("encrypted or packed in a rare way", place=place(file), cure="unpack it")
    return plain[0]


def _require(file: Path) -> None:
    """Raise DataError at once for a file that is not there, before anything else is done."""
    try:
        if file != STDIN and stat.S_ISDIR(file.stat().st_mode):
            raise DataError("is a directory", place=place(file), cure="name a file inside it")
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> DataError:
    cause = (error.strerror or str(error)).lower()
    return DataError(cause, place=place(file), cure=f"looked in {file.absolute().parent}")
