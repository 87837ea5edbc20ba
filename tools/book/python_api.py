"""The reference of the Python API, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from dataclasses import is_dataclass
from typing import Any

import dragoman

_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):\n((?:    .*\n?|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\S[^:\n]*): ((?:.*\n?)(?:     +.*\n?)*)", re.MULTILINE)


def reference() -> str:
    """Every public name, in alphabetical order; classes with their public methods."""
    names = [name for name in dragoman.__all__ if not name.startswith("__")]
    return "\n".join(_described(name, getattr(dragoman, name)) for name in sorted(names))


def _described(name: str, what: Any) -> str:
    if not inspect.isclass(what):
        return f"## dragoman.{name}\n\n{_signature(name, what)}\n\n{_text(what)}\n"
    text = f"## dragoman.{name}\n\n{_text(what)}\n"
    if is_dataclass(what) and what.__module__.endswith("options"):
        return text + "\nIts fields are the options of [Options](options.md).\n"
    for method, member in vars(what).items():
        if not method.startswith("_") and inspect.isfunction(member):
            title = f"{name}.{method}"
            text += f"\n### {title}\n\n{_signature(title, member)}\n\n{_text(member)}\n"
    return text


def _signature(name: str, what: Any) -> str:
    signature = inspect.signature(what)
    kept = [one for one in signature.parameters.values() if one.name != "self"]
    lines = ",\n    ".join(
        str(one)
        for one in signature.replace(
            parameters=[one.replace(annotation=inspect.Parameter.empty) for one in kept],
            return_annotation=inspect.Signature.empty,
        ).parameters.values()
    )
    stars = [one for one in kept if one.kind is inspect.Parameter.KEYWORD_ONLY]
    if stars and not any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in kept):
        first = re.compile(rf"(^|    ){stars[0].name}\b", re.MULTILINE)
        lines = first.sub(rf"\1*,\n    {stars[0].name}", lines, count=1)
    inside = f"\n    {lines},\n" if kept else ""
    return f"```text\n{name}({inside})\n```"


def _text(what: Any) -> str:
    """A docstring as Markdown: its sections become lists."""
    text = inspect.getdoc(what) or ""
    text = re.sub(r":(?:class|meth|func|mod|data):`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return _SECTION.sub(_section, text.replace("``", "`") + "\n").strip()


def _section(found: re.Match[str]) -> str:
    body = found[2].rstrip() + "\n"
    entries = _ENTRY.findall(body)
    title = {"Args": "Arguments", "Returns": "Returns", "Raises": "Errors", "Yields": "Yields"}
    if found[1] in ("Args", "Raises") and entries:
        lines = [f"- `{name}`: {' '.join(about.split())}" for name, about in entries]
        return f"**{title[found[1]]}**\n\n" + "\n".join(lines) + "\n\n"
    return f"**{title[found[1]]}**: {' '.join(body.split())}\n\n"
