"""``--requests``: JSON lines, each checked by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragoman.cli.requests import read_requests
from dragoman.errors import DataError, UsageError
from dragoman.search.request import Request

EVERY = Request("", "so", ("a",), ("b",))


def read(*lines: str) -> list[Request | UsageError]:
    return list(read_requests(lines, Path("in.jsonl"), EVERY))


def test_constraints_of_a_line_are_added_to_those_of_all() -> None:
    (found,) = read('{"source": "x", "prefix": "p", "must": ["c d"], "never": ["e"]}')
    assert found == Request("x", "p", ("a", "c d"), ("b", "e"), "in.jsonl:1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source": "x", "must": "dog"}', "field 'must' is 'dog', a list of texts is expected"),
        ('{"source": "x", "never": ["a", 3]}', "field 'never' is ['a', 3], a list of texts is"),
        ('{"source": ["x"]}', "field 'source' is ['x'], text is expected"),
        ('{"source": "x", "prefix": null}', "field 'prefix' is None, text is expected"),
        ('{"source": "x", "musst": ["y"]}', "unknown field 'musst' (did you mean 'must'?)"),
        ('{"must": ["y"]}', "field 'source' is missing"),
        ('["x"]', "a JSON object is expected"),
        ("plain text", "not JSON: Expecting value"),
        ("[" * 100_000, "not JSON: nested too deep"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_are_read(line: str, message: str) -> None:
    first, wrong, blank, last = read('{"source": "1"}', line, "  ", '{"source": "4"}')
    assert isinstance(wrong, DataError)
    assert str(wrong).startswith(f"in.jsonl:2: {message}")
    assert isinstance(first, Request) and first.source == "1"
    assert isinstance(blank, Request) and blank.source == ""
    assert isinstance(last, Request) and last.place == "in.jsonl:4"
