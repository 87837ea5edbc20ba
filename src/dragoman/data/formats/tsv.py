"""Columns of one file, separated by a tab or by another text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults, Row, Stream, Unusable, numbered
from dragoman.errors import OptionError


def read(streams: Sequence[Stream], options: DataOptions, faults: Faults) -> Iterator[Row]:
    """The two columns of each line; ``faults`` notes how many columns the first line has.

    Raises:
        OptionError: a column below 1, or a separator that cannot separate columns (at the call).
    """
    if (least := min(options.columns)) < 1:
        cause = f"there is no column {least}"
        raise OptionError(cause, place="data.columns", cure="columns are counted from 1")
    if not options.separator or "\n" in options.separator:
        cause = f"{options.separator!r} cannot separate columns"
        raise OptionError(cause, place="data.separator", cure="the default is a tab")
    return _rows(streams[0], options, faults)


def sides(options: DataOptions) -> tuple[str, str]:
    """What messages call the two sides of a pair."""
    first, second = options.columns
    return f"column {first}", f"column {second}"


def _rows(stream: Stream, options: DataOptions, faults: Faults) -> Iterator[Row]:
    first, second = options.columns
    wanted = max(first, second)
    for line, text in numbered(stream.lines):
        if isinstance(text, Unusable):
            yield line, text
            continue
        if line == 1 and options.columns == (1, 2):
            faults.columns = text.count(options.separator) + 1
        cells = text.split(options.separator, wanted)
        if len(cells) >= wanted:
            yield line, (cells[first - 1], cells[second - 1])
        else:
            yield line, _too_few(text, len(cells), wanted, options.separator)


def _too_few(text: str, columns: int, wanted: int, separator: str) -> Unusable:
    if not text.strip():
        return Unusable("empty", "the line is blank")
    name = "a tab" if separator == "\t" else repr(separator)
    counted = "1 column" if columns == 1 else f"{columns} columns"
    cure = f"is the separator {name}? try --data.separator"
    return Unusable("columns", f"{counted}, {wanted} expected", cure)
