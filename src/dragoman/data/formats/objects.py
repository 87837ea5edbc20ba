"""JSON: one object a line, or one array of objects; fields may lie inside other objects."""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from textwrap import shorten
from typing import Any

from dragoman.config.options import DataOptions
from dragoman.data.lines import decoded_lines, longest_line
from dragoman.data.pairs import Fault, Faults, Record, Row
from dragoman.data.streams import HEAD, Opened, place
from dragoman.errors import DataError

_USUAL = DataOptions().fields
_NOT_LINES = "is there one JSON object a line? try --data.format tsv"
_BETWEEN = re.compile(r"[\s,]*")
"""What stands before a value of an array, or before its end."""
_ARRAY = re.compile(r'\s*\[\s*\{\s*"')


def recognise_lines(text: str, name: str) -> bool:
    """Whether the name says JSON lines, or the first line is an object."""
    if name.endswith((".jsonl", ".ndjson")):
        return _ARRAY.match(text) is None
    return text.lstrip()[:1] == "{" and isinstance(_value(text.lstrip().split("\n")[0]), dict)


def recognise_array(text: str, name: str) -> bool:
    """Whether the file begins with an array of objects, or is called JSON."""
    return name.endswith(".json") or _ARRAY.match(text) is not None


def line_rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two fields of the object in each line."""
    lines = enumerate(decoded_lines(source, longest_line(options)), 1)
    return fields_of(((line, _value(text)) for line, text in lines), "JSON lines", options, faults)


def array_rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two fields of each object; lines are its items."""
    return fields_of(_items(source, longest_line(options)), "JSON array", options, faults)


def fields_of(
    values: Iterable[tuple[int, Any]], kind: str, options: DataOptions, faults: Faults
) -> Iterator[Record]:
    """Two fields of each value that is an object; the first that has them as texts decides which.

    Those asked for are read. If an object has neither of the usual ones, these give way to its only
    two texts, or to the only two that lie in objects inside it; null may be a text that is missing.

    Args:
        values: the line, and a value of JSON, its fault, or None for a blank line.
        kind: what the file is called.
        options: names the fields; ``translation.en`` is ``en`` of the object ``translation``.
        faults: gains how the file is read, at its end.
    """
    fields, is_decided = options.fields, False
    for line, value in values:
        if value is None or isinstance(value, Fault):
            yield line, value
        elif not isinstance(value, dict):
            detail = f"a JSON {type(value).__name__}, an object expected"
            yield line, Fault("not JSON", detail, _NOT_LINES)
        else:
            flat = _flat(value)
            if not is_decided:
                fields = options.fields
                texts = [name for name, text in flat.items() if isinstance(text, str | None)]
                for some in (texts, [name for name in texts if "." in name]):
                    if fields == _USUAL and len(some) == 2 and not {*_USUAL} & {*texts}:
                        fields = some[0], some[1]
            row = _picked(flat, fields)
            is_decided |= isinstance(row, tuple)
            yield line, row
    faults.reads(kind, f"fields {' and '.join(fields)}")


def _picked(flat: dict[str, Any], fields: tuple[str, str]) -> Row:
    """The texts of two fields, or why there is none."""
    for name in fields:
        if not isinstance(text := flat.get(name), str):
            known = shorten(", ".join(map(repr, flat)), 80)
            what = f"of type {type(text).__name__}" if name in flat else "missing"
            detail = f"field {name!r} is {what}, a string expected (has {known})"
            cure = f"are the fields {' and '.join(fields)}? try --data.fields"
            return Fault("fields", detail, cure)
    return flat[fields[0]], flat[fields[1]]


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Its values by name; a field of an object inside it is called ``object.field``."""
    flat, rest = dict[str, Any](), list(record.items())[::-1]
    while rest:
        name, value = rest.pop()
        if value and isinstance(value, dict):
            rest += [(f"{name}.{inner}", value[inner]) for inner in reversed(value)]
        else:
            flat.setdefault(name, value)
    return flat


def _value(text: str | Fault) -> Any:
    """The value in one line, or its fault; None for a blank line."""
    if isinstance(text, Fault) or not text.strip():
        return text if isinstance(text, Fault) else None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        detail = f"not JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError):
        detail = "not JSON that can be read: nested too deep, or a huge number"
    return Fault("not JSON", detail, _NOT_LINES)


def _items(source: Opened, limit: int) -> Iterator[tuple[int, Any]]:
    """The values of an array and their numbers from 1 on; one piece of the file is held.

    Raises:
        DataError: it is no array of values of up to ``limit`` characters, or breaks off.
    """
    decode, parse = getincrementaldecoder("utf-8-sig")().decode, json.JSONDecoder()
    number, at = 1, 1
    try:
        text = decode(source.stream.read(HEAD)).lstrip()
        if text[:1] != "[":
            raise ValueError("it begins with no bracket")
        while gap := _BETWEEN.match(text, at):
            at = gap.end()
            if text.startswith("]", at):
                break
            try:
                value, at = parse.raw_decode(text, at)
            except json.JSONDecodeError as error:
                piece = source.stream.read(HEAD)
                if not piece or len(text) - at > limit:
                    raise ValueError(f"it breaks off here: {error.msg}") from error
                text, at = text[at:] + decode(piece), 0
            else:
                yield number, value
                number += 1
        if (text[at + 1 :] + decode(source.stream.read(HEAD))).strip():
            raise ValueError("something stands behind its end")
    except (ValueError, RecursionError) as error:
        where, cure = place(source.path, number), "one object a line is --data.format jsonl"
        cause = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"no JSON array: {cause}", place=where, cure=cure) from error
