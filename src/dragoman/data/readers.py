"""Pairs of text out of files: columns of one file, JSON lines, or two aligned files.

Unusable lines are counted by kind with their places and left out. Characters inside a line that
some programs take for its end (U+2028, a lone ``\\r`` ...) become spaces: a pair stays on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from textwrap import shorten
from typing import Literal, cast

from dragoman.config.options import DataOptions
from dragoman.data.invisible import BLANK
from dragoman.data.lines import BLOCK, LINE_END, STDIN, Text, decoded_lines, place, require
from dragoman.data.pairs import Fault, FaultKind, Faults, Pair
from dragoman.errors import DataError, OptionError

Format = Literal["tsv", "aligned", "jsonl"]

_EARLY = 1000
"""Lines after which too many faults end the reading at once, not only at the end."""

_PEEK = 20
"""Lines that are looked at for what kind of file it is."""

_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")

_CURES: dict[FaultKind, str] = {
    "columns": "is the separator {separator}? try --data.separator",
    "fields": "are the fields {fields}? try --data.fields",
    "not JSON": "is there one JSON object a line? try --data.format tsv",
    "too long": "try --data.max_characters",
    "empty": "fill these lines or delete them",
    "control characters": "delete these characters from the file",
    "encoding": "convert the file to UTF-8",
}


def read_pairs(
    files: Sequence[Path], options: DataOptions, faults: Faults, *, as_is: bool = False
) -> Iterator[Pair]:
    """Stream the pairs of one file of columns or JSON lines, or of two aligned files.

    A file is plain, ``.gz``, ``.zip`` with one member, or ``-`` for standard input. Unusable lines
    are counted in ``faults`` and left out; a last line that is blank is no fault. With ``as_is``,
    for those who look for faults, line ends inside a text stay and a line that is not UTF-8 is
    counted, not refused.

    Raises:
        OptionError: the number of files or an option does not fit (at the call).
        DataError: a file is missing (at the call); while reading: it is empty, binary, damaged or
            not UTF-8, aligned files differ in length, no pair is usable, or the share of unusable
            lines is above ``options.tolerance``.
    """
    files = list(files)
    form = _format(files, options)
    for file in files:
        require(file)
    return _pairs(files, form, options, faults, as_is)


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
    if form == "tsv" and min(options.columns) < 1:
        cause = f"there is no column {min(options.columns)}"
        raise OptionError(cause, place="data.columns", cure="columns are counted from 1")
    if form == "tsv" and (not options.separator or "\n" in options.separator):
        cause = f"{options.separator!r} cannot separate columns"
        raise OptionError(cause, place="data.separator", cure="the default is a tab")
    return form


def _pairs(
    files: Sequence[Path], form: Format, options: DataOptions, faults: Faults, as_is: bool
) -> Iterator[Pair]:
    # Room for a JSON line whose every character is two \u escapes, and for columns not wanted.
    rows = _rows(files, BLOCK + 24 * options.max_characters, tolerant=as_is)
    first = list(islice(rows, _PEEK))
    if form == "aligned" and options.format == "auto":
        _refuse_two_files_of_pairs(files, [row for _, row in first], options.separator)
    if form == "tsv" and options.columns == (1, 2) and first and isinstance(first[0][1][0], str):
        faults.columns = first[0][1][0].count(options.separator) + 1
    rows = chain(first, rows)
    for line, row in rows:
        if None in row:
            raise _unequal(files, line, row, rest=sum(1 for _ in rows))
        faults.lines += 1
        sides = _sides(cast(Sequence[Text], row), form, options, as_is)
        if isinstance(sides, _Wrong):
            faults.add(Fault(sides.kind, place(files[sides.file]), line, sides.detail))
            if faults.lines >= _EARLY and faults.total > options.tolerance * faults.lines:
                raise _too_many(files, options, faults)
        else:
            one, two = sides
            yield Pair(two, one, line) if options.reverse else Pair(one, two, line)
    if not faults.lines:
        raise DataError("is empty", place=place(files[0]), cure="one pair a line is expected")
    if faults.total > min(options.tolerance * faults.lines, faults.lines - 1):
        raise _too_many(files, options, faults)


def _refuse_two_files_of_pairs(
    files: Sequence[Path], rows: Sequence[Sequence[Text | None]], separator: str
) -> None:
    texts = [text for row in rows for text in row if text is not None]
    if texts and all(isinstance(text, str) and separator in text for text in texts):
        raise DataError(
            "both look like files of pairs, for every line has columns",
            place=" and ".join(place(file) for file in files),
            cure=f"--validation-pairs {files[1]} to validate on it; "
            "--format aligned if line n of one belongs to line n of the other",
        )


def _sides(
    row: Sequence[Text], form: Format, options: DataOptions, as_is: bool
) -> tuple[str, str] | _Wrong:
    """The sides of a row, cleaned of line ends, or what is wrong with it."""
    for at, text in enumerate(row):
        if isinstance(text, DataError):
            return _Wrong("encoding", text.cause, at)
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
    first = _side(sides[0], options.max_characters, as_is)
    second = _side(sides[1], options.max_characters, as_is)
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


def _side(text: str, longest: int, as_is: bool) -> str | _Wrong:
    if not text.isprintable():  # plain text, the usual case, is done with one quick look
        text = text if as_is else LINE_END.sub(" ", text)
        if found := _CONTROL.search(text):
            detail = f"has U+{ord(found[0]):04X} at character {found.start() + 1}"
            return _Wrong("control characters", detail)
    if len(text) > longest:
        return _Wrong("too long", f"has {len(text):,} characters, {longest:,} are read at most")
    return text if text.strip(BLANK) else _Wrong("empty", "is empty")


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


def _rows(
    files: Sequence[Path], limit: int, *, tolerant: bool
) -> Iterator[tuple[int, tuple[Text | None, ...]]]:
    """Number the lines and put those of aligned files side by side; None: a file has ended.

    A last row without any text is not given: editors leave it behind.
    """
    held: tuple[int, tuple[Text | None, ...]] | None = None
    streams = [decoded_lines(file, limit, tolerant=tolerant) for file in files]
    for line, row in enumerate(zip_longest(*streams), 1):
        if held:
            yield held
        held = None if any(row) else (line, row)
        if not held:
            yield line, row
