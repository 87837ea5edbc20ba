"""Reads ``--requests``: one JSON object a line, with a source and constraints on its output."""

from dataclasses import replace

from dragoman.errors import DataError, did_you_mean
from dragoman.files import parse_json
from dragoman.search.request import Request

FIELDS = {
    **dict.fromkeys(("source", "features", "prefix"), "text"),
    **dict.fromkeys(("must", "never"), "a list of texts"),
}
"""The fields of a line, and the kind of value that each of them takes."""
EXAMPLE = 'such as {"source": "ein Hund", "must": ["dog"]}'


def read_request(line: str, every: Request, where: str) -> Request:
    """Turn a line into a request.

    Args:
        line: a JSON object; a blank line is a request for an empty source.
        every: constraints that hold for all lines; those of the line are added to them.
        where: the file and the number of the line, for messages.

    Raises:
        DataError: it is not a JSON object with a source, has unknown fields, or other values than
            :data:`FIELDS` says.
    """
    if not line.strip():
        return replace(every, source="")
    try:
        fields = parse_json(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", place=where, cure=EXAMPLE) from None
    for name, value in fields.items() if isinstance(fields, dict) else ():
        if name not in FIELDS:
            raise DataError(f"unknown field {name!r}", place=where, cure=did_you_mean(name, FIELDS))
        texts = [value] if FIELDS[name] == "text" else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            cause = f"field {name!r} is {value!r}, {FIELDS[name]} is expected"
            raise DataError(cause, place=where, cure=EXAMPLE)
    if not isinstance(fields, dict) or "source" not in fields:
        raise DataError("a JSON object with a source is expected", place=where, cure=EXAMPLE)
    source, features = fields["source"], fields.get("features")
    return Request(
        source if features is None else f"{source}\t{features}",
        fields.get("prefix", every.prefix),
        (*every.must, *fields.get("must", ())),
        (*every.never, *fields.get("never", ())),
        where,
    )
