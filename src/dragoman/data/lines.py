"""Streams lines of text out of files, plain or packed, and names the place of what is wrong.

Bytes are split at ``\\n`` (and the ``\\r`` before it) and each line is decoded by itself, so that a
wrong byte is named by file, line and position. Python's own text mode is not used: it ends a line
at a lone ``\\r`` too, and ``str.splitlines`` at U+2028, U+0085 and five more, which would put two
aligned files out of step.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from dragoman.config.options import ReadingOptions
from dragoman.data.pairs import Fault, Text
from dragoman.data.streams import STDIN, Opened, naming, opened, place
from dragoman.errors import DataError

Item = TypeVar("Item")
Say = Callable[[str], None]
"""Receives each line that the user should read."""
LINE, LINES_AT_A_TIME = 128, 2048
"""Characters of a line that counts as one; lines that are read, sorted by length and translated
before the first of them is given back."""
BLOCK = 1 << 16
"""Bytes that are read at a time of a line that is too long."""
NO_LINE = 1 << 24
"""A line of more bytes, and of more than are asked for, is no fault of a line but one of the file:
it has lost its line ends, or another format."""
LINE_END = re.compile("\r\n|[\t\n\v\f\r\x85\u2028\u2029]")
"""What ends a line or a column in some program."""


def longest_line(options: ReadingOptions) -> int:
    """Most bytes of a line that is read.

    There is room for JSON whose every character is two ``\\u`` escapes and for columns that are
    not read.
    """
    return BLOCK + 24 * options.max_characters


def fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 of the files' raw bytes, one after the other; standard input has none.

    Raises:
        DataError: a file is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        with naming(file), file.open("rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


def blocks(
    items: Iterable[Item],
    size: int,
    characters: Callable[[Item], int] = lambda item: 0,
    ends: Callable[[int], bool] = lambda count: False,
) -> Iterator[list[Item]]:
    """Yield ``items`` in lists of ``size``; the last may be shorter.

    An item with more than ``LINE`` characters counts as several, so that memory stays bounded. A
    list ends sooner where ``ends`` of the number of items so far is true.
    """
    block, room = list[Item](), size
    for count, item in enumerate(items, 1):
        block.append(item)
        room -= max(1, characters(item) // LINE)
        if room <= 0 or ends(count):
            yield block
            block, room = [], size
    if block:
        yield block


def read_lines(
    file: Path, warn: Say, size: int = LINES_AT_A_TIME, *, tabs: bool = False
) -> Iterator[list[str]]:
    """Stream every line of ``file``, however long, blank or damaged: text *n* is line *n*.

    Lines come in blocks of ``size``, as :func:`blocks` counts them. A block of a pipe or a terminal
    ends sooner, with the lines that are there: a program that asks line by line waits for the
    answer. A byte that is not UTF-8 reads as U+FFFD; ``warn`` is called for the first such line.
    Tabs stay where ``tabs`` is true: they stand before features.

    Raises:
        DataError: the file is missing, binary or damaged as a whole.
    """

    def texts() -> Iterator[str]:
        warned = False
        for line, raw in enumerate(stream, 1):
            text, fault = _decoded(raw, file, line)
            if fault and not warned:
                warn(f"{fault} ({fault.cure}); such bytes are read as U+FFFD")
                warned = True
            yield LINE_END.sub(lambda end: end[0] if tabs and end[0] == "\t" else " ", text)

    comes = file == STDIN and not Path("/dev/stdin").is_file()
    with ExitStack() as stack:
        stream = opened(file, stack, as_lines=True).stream
        yield from blocks(texts(), size, len, lambda line: comes and line == stream.raw.line_ends)


def decoded_lines(source: Opened, limit: int) -> Iterator[Text]:
    """Decode a file line by line.

    Args:
        source: the file.
        limit: most bytes of a line; a longer one is a fault and never held in memory.

    Yields:
        Each line without its end, or why it cannot be used: it is too long or not UTF-8.

    Raises:
        DataError: the file is damaged, or a line has more than ``NO_LINE`` bytes.
    """
    readline, line = source.stream.readline, 0
    while raw := readline(limit + 1):
        line += 1
        if len(raw) <= limit:
            text, fault = _decoded(raw, source.path, line)
            yield fault or text
            continue
        size = len(raw)
        while raw and raw[-1:] != b"\n":
            if size > NO_LINE:
                cause = f"more than {NO_LINE:,} bytes without a line end, unlike text"
                cure = "delete this line, or name the format: --data.format"
                raise DataError(cause, place=place(source.path, line), cure=cure)
            raw = readline(BLOCK)
            size += len(raw)
        detail, cure = f"{size:,} bytes in one line", "try --data.max_characters"
        yield Fault("too long", detail, cure, place(source.path), line)


def _decoded(raw: bytes, file: Path, line: int) -> tuple[str, Fault | None]:
    """A line without its end, wrong bytes as U+FFFD, and which of them is the first."""
    fault = None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {error.start + 1} (0x{raw[error.start]:02X}) is not UTF-8"
        cure = "convert it: iconv -f cp1252 -t utf-8; or drop such bytes: iconv -c -t utf-8"
        fault = Fault("encoding", detail, cure, place(file), line)
        text = raw.decode(errors="replace")
    text = text.removeprefix("\ufeff") if line == 1 else text
    return text.removesuffix("\n").removesuffix("\r"), fault
