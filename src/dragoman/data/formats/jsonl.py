"""One JSON object a line; two of its fields are the pair."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from textwrap import shorten

from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults, Row, Stream, Unusable, numbered

_NOT_JSON = "is there one JSON object a line? try --data.format tsv"


def sides(options: DataOptions) -> tuple[str, str]:
    """What messages call the two sides of a pair."""
    first, second = options.fields
    return f"field {first!r}", f"field {second!r}"


def read(streams: Sequence[Stream], options: DataOptions, faults: Faults) -> Iterator[Row]:
    """The two fields of each line."""
    for line, text in numbered(streams[0].lines):
        yield line, text if isinstance(text, Unusable) else _fields(text, options.fields)


def _fields(text: str, names: tuple[str, str]) -> tuple[str, str] | Unusable:
    if not text.strip():
        return Unusable("empty", "the line is blank")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        detail = f"not JSON: {error.msg} at character {error.pos + 1}"
        return Unusable("not JSON", detail, _NOT_JSON)
    except (ValueError, RecursionError):
        detail = "not JSON that can be read: nested too deep, or a huge number"
        return Unusable("not JSON", detail, _NOT_JSON)
    if not isinstance(value, dict):
        detail = f"a JSON {type(value).__name__}, an object expected"
        return Unusable("not JSON", detail, _NOT_JSON)
    for name in names:
        if not isinstance(value.get(name), str):
            what = f"of type {type(value[name]).__name__}" if name in value else "missing"
            known = shorten(", ".join(map(repr, value)), 80)
            detail = f"field {name!r} is {what}, a string expected (has {known})"
            cure = f"are the fields {' and '.join(names)}? try --data.fields"
            return Unusable("fields", detail, cure)
    return value[names[0]], value[names[1]]
