"""Reads ``--requests``: one JSON object a line, with a source and constraints on its output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dragoman.data.lines import place
from dragoman.errors import DataError, UsageError, did_you_mean
from dragoman.files import parse_json
from dragoman.search.request import Request

FIELDS = {"source": "text", "prefix": "text", "must": "a list of texts", "never": "a list of texts"}


def read_requests(
    lines: Iterable[str],
    path: Path,
    every: Request,
    check: Callable[[Request], None] = lambda request: None,
) -> Iterator[Request | UsageError]:
    """Turn each line into a request, or into the error that says what is wrong with it.

    Args:
        lines: JSON objects; a blank line is a request for an empty source.
        path: the file of the lines, for messages.
        every: constraints that hold for all lines; those of a line are added to them.
        check: raises a UsageError when the constraints of a request cannot be met.
    """
    for number, line in enumerate(lines, 1):
        found: Request | UsageError = replace(every, source="")
        try:
            if line.strip():
                found = _request(line, every, place(path, number))
                check(found)
        except UsageError as error:
            found = error
        yield found


def _request(line: str, every: Request, where: str) -> Request:
    try:
        fields = parse_json(line)
    except ValueError as error:
        raise _wrong(f"not JSON: {error}", where) from None
    if not isinstance(fields, dict):
        raise _wrong("a JSON object is expected", where)
    for name, value in fields.items():
        if name not in FIELDS:
            raise DataError(f"unknown field {name!r}", place=where, cure=did_you_mean(name, FIELDS))
        if not (isinstance(value, str) if FIELDS[name] == "text" else _is_texts(value)):
            raise _wrong(f"field {name!r} is {value!r}, {FIELDS[name]} is expected", where)
    if "source" not in fields:
        raise _wrong("field 'source' is missing", where)
    return Request(
        fields["source"],
        fields.get("prefix", every.prefix),
        (*every.must, *fields.get("must", ())),
        (*every.never, *fields.get("never", ())),
        where,
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _wrong(cause: str, where: str) -> DataError:
    return DataError(cause, place=where, cure='such as {"source": "ein Hund", "must": ["dog"]}')
