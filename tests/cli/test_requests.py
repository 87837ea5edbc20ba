"""``--requests``: JSON lines, each checked by itself."""

from __future__ import annotations

import pytest

from dragoman.errors import UsageError
from dragoman.search.request import Request, read_request

EVERY = Request("", "so", ("a",), ("b",))


def test_constraints_of_a_line_are_added_to_those_of_all() -> None:
    line = '{"source": "x", "prefix": "p", "must": ["c d"], "never": ["e"]}'
    found = read_request(line, EVERY, "in.jsonl:1")
    assert found == Request("x", "p", ("a", "c d"), ("b", "e"), "in.jsonl:1")
    found = read_request('{"source": "x", "must": ["c", ["d", "ds"]]}', EVERY, "in.jsonl:1")
    assert found == Request("x", "so", ("a", "c", ("d", "ds")), ("b",), "in.jsonl:1")
    found = read_request('{"source": "x", "features": "V"}', EVERY, "in.jsonl:1", tagged=True)
    assert found.source == "x\tV"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"source": "x", "must": "dog"}', "must cannot be 'dog' (it takes a list: "),
        ('{"source": "x", "never": ["a", 3]}', "never cannot be ['a', 3] (it takes a list of"),
        ('{"source": ["x"]}', "source cannot be ['x'] (it takes text in quotes)"),
        ('{"source": "x", "prefix": null}', "prefix cannot be None (it takes text in quotes)"),
        ('{"source": "x", "musst": ["y"]}', "unknown option 'musst' (did you mean 'must'?)"),
        ('{"sorce": "x"}', "unknown option 'sorce' (did you mean 'source'?)"),
        ('{"source": "x", "features": "V"}', "this model reads no features (leave them out)"),
        ('{"must": ["y"]}', "a JSON object with a source is expected"),
        ('["x"]', "a JSON object with a source is expected"),
        ("plain text", "not JSON: Expecting value"),
        ("[" * 100_000, "not JSON: nested too deep"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_request(line, EVERY, "in.jsonl:2")
    assert str(caught.value).startswith(f"in.jsonl:2: {message}")


def test_a_blank_line_asks_for_an_empty_source() -> None:
    assert read_request("  ", EVERY, "in.jsonl:1") == Request("", "so", ("a",), ("b",))
