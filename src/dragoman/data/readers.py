"""Reads pairs of text out of files, in one of the formats of ``data/formats``.

A format is a file there with ``sides`` and ``read``, and its name in ``_FORMATS`` here.
Unusable lines are counted by kind with their places and left out. Characters inside a line that
some programs take for its end (U+2028, a lone ``\\r`` ...) become spaces: a pair stays on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from dragoman.config.options import DataOptions
from dragoman.data.formats import aligned, jsonl, tsv
from dragoman.data.invisible import BLANK
from dragoman.data.lines import BLOCK, LINE_END, STDIN, decoded_lines, place, require
from dragoman.data.pairs import Fault, Faults, Pair, Row, Stream, Unusable
from dragoman.errors import DataError, OptionError

_FORMATS: dict[str, ModuleType] = {"tsv": tsv, "aligned": aligned, "jsonl": jsonl}

_EARLY = 1000
"""Lines after which too many faults end the reading at once, not only at the end."""

_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")


def read_pairs(
    files: Sequence[Path], options: DataOptions, faults: Faults, *, as_is: bool = False
) -> Iterator[Pair]:
    """Stream the pairs of one file of columns or JSON lines, or of two aligned files.

    A file is plain, ``.gz``, ``.zip`` with one member, or ``-`` for standard input. A last line
    that is blank is no fault.

    Args:
        files: one file, or two aligned ones.
        options: how they are read.
        faults: counts the unusable lines, which are left out.
        as_is: for ``dragoman check``: line ends inside a text stay, and a line that is not UTF-8
            is counted, not refused.

    Raises:
        OptionError: the number of files or an option does not fit (at the call).
        DataError: a file is missing (at the call); while reading: it is empty, binary, damaged or
            not UTF-8, aligned files differ in length, no pair is usable, or the share of unusable
            lines is above ``options.tolerance``.
    """
    files = list(files)
    form = _FORMATS[_format(files, options)]
    # Room for a JSON line whose every character is two \\u escapes, and for columns not wanted.
    limit = BLOCK + 24 * options.max_characters
    streams = [Stream(file, decoded_lines(file, limit, tolerant=as_is)) for file in files]
    rows = form.read(streams, options, faults)
    for file in files:
        require(file)
    return _pairs(files, rows, form.sides(options), options, faults, as_is=as_is)


def _format(files: Sequence[Path], options: DataOptions) -> str:
    """The name of the format; a number of files that does not fit it is refused."""
    form: str = options.format
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
    return form


def _pairs(
    files: Sequence[Path],
    rows: Iterator[Row],
    names: tuple[str, str],
    options: DataOptions,
    faults: Faults,
    *,
    as_is: bool,
) -> Iterator[Pair]:
    for line, sides in rows:
        faults.lines += 1
        found = sides if isinstance(sides, Unusable) else _cleaned(sides, names, options, as_is)
        if isinstance(found, Unusable):
            file = files[min(found.file, len(files) - 1)]
            faults.add(Fault(found.kind, place(file), line, found.detail, found.cure))
            if faults.lines >= _EARLY and faults.total > options.tolerance * faults.lines:
                raise _too_many(files, faults)
        else:
            first, second = found
            yield Pair(second, first, line) if options.reverse else Pair(first, second, line)
    if not faults.lines:
        raise DataError("is empty", place=place(files[0]), cure="one pair a line is expected")
    if faults.total > min(options.tolerance * faults.lines, faults.lines - 1):
        raise _too_many(files, faults)


def _cleaned(
    sides: tuple[str, str], names: tuple[str, str], options: DataOptions, as_is: bool
) -> tuple[str, str] | Unusable:
    """Both sides without line ends, or what is wrong with the first that cannot be used."""
    cleaned = []
    for file, (side, name) in enumerate(zip(sides, names, strict=True)):
        text = side
        if not side.isprintable():  # a quick look suffices for plain text, the usual case
            text = side if as_is else LINE_END.sub(" ", side)
            if found := _CONTROL.search(text):
                detail = f"{name} has U+{ord(found[0]):04X} at character {found.start() + 1}"
                cure = "delete these characters from the file"
                return Unusable("control characters", detail, cure, file)
        if len(text) > (longest := options.max_characters):
            detail = f"{name} has {len(text):,} characters, {longest:,} are read at most"
            return Unusable("too long", detail, "try --data.max_characters", file)
        if not text.strip(BLANK):
            return Unusable("empty", f"{name} is empty", file=file)
        cleaned.append(text)
    return cleaned[0], cleaned[1]


def _too_many(files: Sequence[Path], faults: Faults) -> DataError:
    kind = faults.counts.most_common(1)[0][0]
    cure = faults.cures[kind]
    return DataError(
        f"{faults.total:,} of {faults.lines:,} lines cannot be used: {'; '.join(faults.summary())}",
        place=" and ".join(place(file) for file in files),
        cure=f"{cure}; or raise --data.tolerance" if faults.total < faults.lines else cure,
    )
