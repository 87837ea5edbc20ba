"""Two files: line n of one belongs to line n of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest

from dragoman.config.options import DataOptions
from dragoman.data.lines import place
from dragoman.data.pairs import Faults, Row, Stream, Text, Unusable, numbered
from dragoman.errors import DataError

_PEEK = 20
"""Lines that tell whether a file holds pairs by itself."""


def sides(options: DataOptions) -> tuple[str, str]:
    """What messages call the two sides of a pair."""
    return "the line", "the line"


def read(streams: Sequence[Stream], options: DataOptions, faults: Faults) -> Iterator[Row]:
    """The lines of both files side by side; a last line that is blank in both is no pair.

    Raises:
        DataError: one file is longer; or both look like files of pairs while no format was asked
            for.
    """
    one, other = streams
    pairs = zip_longest(one.lines, other.lines)
    first_rows = list(islice(pairs, _PEEK))
    if options.format == "auto":
        _refuse_columns(streams, first_rows, options.separator)
    rows = numbered(chain(first_rows, pairs), lambda row: not any(row))
    for line, (first, second) in rows:
        if first is None or second is None:
            raise _unequal(streams, line, first is None, rest=sum(1 for _ in rows))
        if isinstance(first, Unusable):
            yield line, first
        elif isinstance(second, Unusable):
            yield line, replace(second, file=1)
        else:
            yield line, (first, second)


def _refuse_columns(
    streams: Sequence[Stream], rows: Sequence[Sequence[Text | None]], separator: str
) -> None:
    """Refuse two files that each hold pairs, such as ``train.tsv dev.tsv``."""
    texts = [text for row in rows for text in row if text is not None]
    if texts and all(isinstance(text, str) and separator in text for text in texts):
        raise DataError(
            "both look like files of pairs, for every line has columns",
            place=" and ".join(place(stream.file) for stream in streams),
            cure=f"--validation-pairs {streams[1].file} to validate on it; "
            "--format aligned if line n of one belongs to line n of the other",
        )


def _unequal(streams: Sequence[Stream], line: int, first_ended: bool, rest: int) -> DataError:
    files = [stream.file for stream in streams]
    longer, shorter = (files[1], files[0]) if first_ended else (files[0], files[1])
    lines = "1 line" if rest == 0 else f"{rest + 1:,} lines"
    cure = "line n of one file must belong to line n of the other"
    cause = f"{lines} more than {place(shorter)}, which has {line - 1:,}"
    return DataError(cause, place=place(longer, line), cure=cure)
