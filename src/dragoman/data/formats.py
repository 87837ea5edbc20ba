"""The formats of files of pairs.

A format is a function here that gives one row for every line, and its name in ``FORMATS``.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from textwrap import shorten

from dragoman.config.options import DataOptions
from dragoman.data.lines import place
from dragoman.data.pairs import Fault, Faults, Row, Text
from dragoman.errors import DataError

Streams = Sequence[tuple[Path, Iterator[Text]]]
"""Each file with its decoded lines."""

_PEEK = 20
"""Lines that tell whether a file holds pairs by itself."""
_NOT_JSON = "is there one JSON object a line? try --data.format tsv"


def columns(streams: Streams, options: DataOptions, faults: Faults) -> Iterator[Row]:
    """Two columns of each line of one file; ``faults`` notes further ones that nobody chose."""
    separator, (first, second) = options.separator, options.columns
    wanted = max(first, second, *options.features_column)
    name = "a tab" if separator == "\t" else repr(separator)
    cure = f"is the separator {name}? try --data.separator"
    for line, text in enumerate(streams[0][1], 1):
        if isinstance(text, Fault):
            yield text
            continue
        if line == 1 and options.columns == (1, 2) and not options.features_column:
            last = text.count(separator) + 1
            unread = "column 3 is" if last == 3 else f"columns 3 to {last} are"
            note = f"{unread} not read: source and target are columns 1 and 2 (--columns to choose)"
            faults.notes += [note] if last > 2 else []
        cells = text.split(separator, wanted)
        if len(cells) >= wanted:
            yield tuple(cells[at - 1] for at in (first, second, *options.features_column))
        elif not text.strip():
            yield None
        else:
            counted = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
            yield Fault("columns", f"{counted}, {wanted} expected", cure)


def json_lines(streams: Streams, options: DataOptions, faults: Faults) -> Iterator[Row]:
    """Two fields of the JSON object in each line of one file."""
    for text in streams[0][1]:
        if isinstance(text, Fault):
            yield text
        else:
            yield _fields(text, options.fields) if text.strip() else None


def _fields(text: str, names: tuple[str, str]) -> Row:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        detail = f"not JSON: {error.msg} at character {error.pos + 1}"
        return Fault("not JSON", detail, _NOT_JSON)
    except (ValueError, RecursionError):
        detail = "not JSON that can be read: nested too deep, or a huge number"
        return Fault("not JSON", detail, _NOT_JSON)
    if not isinstance(value, dict):
        detail = f"a JSON {type(value).__name__}, an object expected"
        return Fault("not JSON", detail, _NOT_JSON)
    for name in names:
        if not isinstance(value.get(name), str):
            what = f"of type {type(value[name]).__name__}" if name in value else "missing"
            known = shorten(", ".join(map(repr, value)), 80)
            detail = f"field {name!r} is {what}, a string expected (has {known})"
            cure = f"are the fields {' and '.join(names)}? try --data.fields"
            return Fault("fields", detail, cure)
    return value[names[0]], value[names[1]]


def aligned(streams: Streams, options: DataOptions, faults: Faults) -> Iterator[Row]:
    """Line n of one file with line n of the other.

    Raises:
        DataError: one file is longer; or both look like files of pairs, such as ``train.tsv
            dev.tsv``, while no format was asked for.
    """
    (one, sources), (other, targets) = streams
    rows = zip_longest(sources, targets)
    first_rows = list(islice(rows, _PEEK))
    texts = [text for row in first_rows for text in row if text is not None]
    is_pair = [isinstance(text, str) and options.separator in text for text in texts]
    if options.format == "auto" and texts and all(is_pair):
        raise DataError(
            "both look like files of pairs, for every line has columns",
            place=f"{place(one)} and {place(other)}",
            cure=f"--validation-pairs {other} to validate on it; "
            "--format aligned if line n of one belongs to line n of the other",
        )
    every = chain(first_rows, rows)
    for line, (first, second) in enumerate(every, 1):
        if first is None or second is None:
            longer, shorter = (one, other) if second is None else (other, one)
            more = 1 + sum(1 for _ in every)
            if more == 1 and not first and not second:
                return  # editors leave a blank line at the end
            cause = f"{more:,} {'line' if more == 1 else 'lines'} more than {place(shorter)}"
            cure = "line n of one file must belong to line n of the other"
            cause = f"{cause}, which has {line - 1:,}"
            raise DataError(cause, place=place(longer, line), cure=cure)
        if isinstance(first, Fault):
            yield first
        elif isinstance(second, Fault):
            yield second
        else:
            yield (first, second) if first or second else None


FORMATS: dict[str, Callable[[Streams, DataOptions, Faults], Iterator[Row]]] = {
    "tsv": columns,
    "jsonl": json_lines,
    "aligned": aligned,
}
