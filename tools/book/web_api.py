"""The reference of the HTTP interface, from the OpenAPI document of the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

Tree = dict[str, Any]


def document() -> Tree:
    """The OpenAPI document of a server of one model."""
    from dragoman.config.options import ServingOptions
    from dragoman.serving.app import build_app
    from dragoman.serving.languages import Models, Served

    none: Any = None  # a model is asked for nothing but its languages
    facts = {"source": "fr", "target": "en", "name": "fra-eng", "card": ""}
    rest = {one.name: none for one in fields(Served) if one.name not in facts}
    return build_app(Models([Served(**facts, **rest)]), ServingOptions()).openapi()


def reference() -> str:
    """Every route: what it does, the fields that it takes, and the answers."""
    whole = document()
    return "\n".join(
        text
        for path, methods in whole["paths"].items()
        for method, route in methods.items()
        for text in _route(method.upper(), path, route, whole)
    )


def _route(method: str, path: str, route: Tree, whole: Tree) -> Iterator[str]:
    yield f"## {method} {path}\n\n{route.get('description', '')}\n"
    content = route.get("requestBody", {}).get("content", {})
    if content:
        yield f"The body is {' or '.join(f'`{kind}`' for kind in content)}.\n"
        schema = _resolved(next(iter(content.values()))["schema"], whole)
        required = schema.get("required", [])
        yield "| field | type | default | meaning |\n| --- | --- | --- | --- |"
        for name, facts in schema.get("properties", {}).items():
            default = "required" if name in required else _default(facts)
            about = str(facts.get("description", "")).replace("\n", " ").replace("|", "\\|")
            yield f"| `{name}` | {_type(facts, whole)} | {default} | {about} |"
        yield ""
    yield f"Statuses: {', '.join(route['responses']).replace('default', 'those of errors')}.\n"


def _resolved(schema: Tree, whole: Tree) -> Tree:
    for name in str(schema.get("$ref", "")).removeprefix("#/").split("/"):
        if name:
            whole = whole[name]
            schema = whole
    return schema


def _default(facts: Tree) -> str:
    return "" if facts.get("default") in (None, "", []) else f"`{facts['default']}`"


def _type(facts: Tree, whole: Tree) -> str:
    facts = _resolved(facts, whole)
    if "enum" in facts:
        return ", ".join(f"`{value}`" for value in facts["enum"])
    several = facts.get("anyOf") or facts.get("oneOf")
    if several:
        kinds = [_type(one, whole) for one in several if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if facts.get("type") == "array":
        return f"list of {_type(facts.get('items', {}), whole)}"
    return str(facts.get("type", "any"))
