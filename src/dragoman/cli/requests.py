"""Reads ``--requests``: one JSON object a line, with a source and constraints on its output."""

from dataclasses import dataclass, replace

from dragoman.config.toml import merge
from dragoman.errors import DataError
from dragoman.files import parse_json
from dragoman.search.request import Request, Wanted

EXAMPLE = 'such as {"source": "ein Hund", "must": ["dog"]}'


@dataclass(frozen=True)
class Line:
    """The fields of a line."""

    source: str = ""
    features: str = ""
    prefix: str = ""
    must: tuple[Wanted, ...] = ()
    never: tuple[str, ...] = ()


def read_request(line: str, every: Request, where: str) -> Request:
    """Turn a line into a request.

    Args:
        line: a JSON object; a blank line is a request for an empty source.
        every: constraints that hold for all lines; those of the line are added to them.
        where: the file and the number of the line, for messages.

    Raises:
        DataError: it is not a JSON object with a source.
        OptionError: it has unknown fields, or values of other types than :class:`Line` says.
    """
    if not line.strip():
        return replace(every, source="")
    try:
        fields = parse_json(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", place=where, cure=EXAMPLE) from None
    fields = fields if isinstance(fields, dict) else {}
    asked = merge(Line(prefix=every.prefix), fields, place=where)
    if "source" not in fields:
        raise DataError("a JSON object with a source is expected", place=where, cure=EXAMPLE)
    source = f"{asked.source}\t{asked.features}" if "features" in fields else asked.source
    must, never = (*every.must, *asked.must), (*every.never, *asked.never)
    return Request(source, asked.prefix, must, never, where)
