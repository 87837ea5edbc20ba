"""Reads pairs of text out of files, in one of the formats of ``data/formats``.

Unusable lines are counted by kind with their places and left out. Characters inside a line that
some programs take for its end (U+2028, a lone ``\\r`` ...) become spaces: a pair stays on one line.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from dragoman.config.options import DataOptions
from dragoman.data.formats import rows_of
from dragoman.data.invisible import BLANK
from dragoman.data.lines import LINE_END
from dragoman.data.pairs import Fault, Faults, Pair, Record
from dragoman.data.streams import STDIN, opened, place, require
from dragoman.errors import DataError, OptionError

_EARLY = 1000
"""Lines after which too many faults end the reading at once, not only at the end."""

_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff]")


def read_pairs(
    files: Sequence[Path], options: DataOptions, faults: Faults, *, as_is: bool = False
) -> Iterator[Pair]:
    """Stream the pairs of one file of columns or JSON lines, or of two aligned files.

    A file is plain or packed (.gz, .bz2, .xz, .zst, .zip with one member), or ``-`` for standard
    input. How it is read is the first of the notes of ``faults``. A last line that is blank is no
    fault.

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
    files, form, separator = list(files), options.format, options.separator
    if form == "auto" and len(files) == 2:
        form = "aligned"
    if len(files) != (2 if form == "aligned" else 1):
        cause = f"{len(files)} files of pairs given for the format {form}"
        raise OptionError(cause, cure="give one file, or two aligned ones")
    if form == "aligned" and files[0] == STDIN == files[1]:
        raise OptionError("standard input can be read only once", cure="save one side to a file")
    if not separator or "\n" in separator:
        cause = f"{separator!r} cannot separate columns"
        raise OptionError(cause, place="data.separator", cure="the default is a tab")
    for file in files:
        require(file)
    return _pairs(files, options, faults, as_is)


def _pairs(files: list[Path], options: DataOptions, faults: Faults, as_is: bool) -> Iterator[Pair]:
    places = [place(file) for file in files]
    names = ["the target", "the source"] if options.reverse else ["the source", "the target"]
    names += [f"column {number}" for number in options.features_column]
    sides = list(zip(names, cycle(places)))  # two files have a side each; one file has all
    with ExitStack() as stack:
        streams = [opened(file, stack) for file in files]
        faults.notes += [f"{place(each.path)}: {each.change}" for each in streams if each.change]
        for line, row in _without_last_blank(rows_of(streams, options, faults)):
            faults.lines += 1
            found = usable(row, sides, options, as_is=as_is) if isinstance(row, tuple) else row
            if isinstance(found, tuple):
                first, second, *features = found
                source, target = (second, first) if options.reverse else (first, second)
                if options.features and not as_is:  # check looks at the words alone
                    source = "\t".join((source, *features, *filter(None, [options.target_tag])))
                yield Pair(source, target, line, faults.lines)
                continue
            fault = replace(found, file=found.file or places[0], line=line)
            if fault.kind == "encoding" and not as_is:
                raise DataError(fault.detail, place=f"{fault.file}:{line}", cure=fault.cure)
            faults.add(fault)
            if faults.lines >= _EARLY and faults.total > options.tolerance * faults.lines:
                raise _too_many(places, faults)
    if not faults.lines:
        raise DataError("is empty", place=places[0], cure="one pair a line is expected")
    if faults.total > min(options.tolerance * faults.lines, faults.lines - 1):
        raise _too_many(places, faults)


def _without_last_blank(records: Iterator[Record]) -> Iterator[tuple[int, tuple[str, ...] | Fault]]:
    """``records`` with a fault for every blank line but the last, which editors leave there."""
    blank = 0
    for line, row in records:
        if blank:
            yield blank, Fault("empty", "the line is blank")
        blank = line if row is None else 0
        if row is not None:
            yield line, row


def usable(
    texts: tuple[str, ...], sides: Sequence[tuple[str, str]], options: DataOptions, *, as_is: bool
) -> tuple[str, ...] | Fault:
    """The texts without line ends, or what is wrong with the first that cannot be used.

    Args:
        texts: source, target and features as they stand in the file.
        sides: the name and the file of each, for messages.
        options: how pairs are read.
        as_is: line ends inside a text stay.
    """
    cleaned = []
    for raw, (name, file) in zip(texts, sides, strict=True):
        # A quick look suffices for plain text, the usual case.
        text = raw if as_is or raw.isprintable() else LINE_END.sub(" ", raw)
        if not text.isprintable() and (found := _CONTROL.search(text)):
            detail = f"{name} has U+{ord(found[0]):04X} at character {found.start() + 1}"
            cure = "delete these characters from the file"
            return Fault("control characters", detail, cure, file)
        if len(text) > (longest := options.max_characters):
            detail = f"{name} has {len(text):,} characters, {longest:,} are read at most"
            return Fault("too long", detail, "try --data.max_characters", file)
        if not text.strip(BLANK + ";" * name.startswith("column")):  # ; stands between tags
            return Fault("empty", f"{name} is empty", file=file)
        cleaned.append(text)
    return tuple(cleaned)


def _too_many(places: Sequence[str], faults: Faults) -> DataError:
    most = faults.counts.most_common(1)[0][0]
    more = "; or raise --data.tolerance" if faults.total < faults.lines else ""
    cure = faults.first[most][0].cure + more
    kinds, lines = "; ".join(faults.summary()), f"{faults.total:,} of {faults.lines:,} lines"
    return DataError(f"{lines} cannot be used: {kinds}", place=" and ".join(places), cure=cure)
