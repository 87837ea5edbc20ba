"""The OpenAPI document, and requests that follow it or break it: no answer is a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from served import Running, served, serving

schemathesis = pytest.importorskip("schemathesis", reason="needs the package schemathesis")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(served(), max_lines=20, max_characters=2000) as running:
        yield running


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_makes_the_server_fail(server: Running, mode: str) -> None:
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = (
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    )
    document = server.get("/openapi.json").json
    for body in document["components"]["schemas"].values():  # so that many requests are answered
        for name, codes in (("source", ["de", "auto"]), ("target", ["en"])):
            if name in body.get("properties", {}):
                body["properties"][name]["enum"] = codes
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    paths = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode == "negative" and operation.method == "get":
            continue  # there is nothing to get wrong
        cases = operation.as_strategy(generation_mode=GenerationMode(mode))
        hold(cases, checks)
        paths.add(operation.path)
    assert {"/translate", "/detect", "/explain", "/translate_file"} <= paths


def hold(cases: Any, checks: Any) -> None:
    """Send many cases of one operation, and check every answer."""

    @given(case=cases)
    @settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def check(case: Any) -> None:
        case.call_and_validate(checks=checks)

    check()
