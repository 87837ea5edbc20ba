"""``--requests``: JSON lines, each checked by itself."""

from __future__ import annotations

import pytest

from dragoman.cli.requests import read_request
from dragoman.errors import DataError
from dragoman.search.request import Request

EVERY = Request("", "so", ("a",), ("b",))


def test_constraints_of_a_line_are_added_to_those_of_all() -> None:
    line = '{"source": "x", "prefix": "p", "must": ["c d"], "never": ["e"]}'
    found = read_request(line, EVERY, "in.jsonl:1")
    assert found == Request("x", "p", ("a", "c d"), ("b", "e"), "in.jsonl:1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source": "x", "must": "dog"}', "field 'must' is 'dog', a list of texts is expected"),
        ('{"source": "x", "never": ["a", 3]}', "field 'never' is ['a', 3], a list of texts is"),
        ('{"source": ["x"]}', "field 'source' is ['x'], text is expected"),
        ('{"source": "x", "prefix": null}', "field 'prefix' is None, text is expected"),
        ('{"source": "x", "musst": ["y"]}', "unknown field 'musst' (did you mean 'must'?)"),
        ('{"sorce": "x"}', "unknown field 'sorce' (did you mean 'source'?)"),
        ('{"must": ["y"]}', "a JSON object with a source is expected"),
        ('["x"]', "a JSON object with a source is expected"),
        ("plain text", "not JSON: Expecting value"),
        ("[" * 100_000, "not JSON: nested too deep"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_request(line, EVERY, "in.jsonl:2")
    assert str(caught.value).startswith(f"in.jsonl:2: {message}")


def test_a_blank_line_asks_for_an_empty_source() -> None:
    assert read_request("  ", EVERY, "in.jsonl:1") == Request("", "so", ("a",), ("b",))
