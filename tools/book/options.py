"""The options as their dataclasses have them: name, type, default, help; and tables of them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from importlib import import_module
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin

from dragoman.cli import VERBS
from dragoman.config.options import Config


@dataclass(frozen=True)
class Option:
    """One option, or argument without a name, of a verb or of a group."""

    name: str
    kind: str
    """The type as it is written in the code."""
    default: Any
    about: str
    positional: bool = False

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return self.name.replace("_", "-")


def described(group: type) -> list[Option]:
    """The options of a dataclass, those that it inherits first."""
    about, kinds = dict[str, str](), dict[str, str]()
    named = set[str]()  # those without a dash on the command line
    for one in reversed(group.__mro__[:-1]):
        (tree,) = ast.parse(dedent(inspect.getsource(one))).body
        assert isinstance(tree, ast.ClassDef)
        for line, after in zip(tree.body, [*tree.body[1:], None], strict=True):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                annotation = ast.unparse(line.annotation)
                kinds[line.target.id] = _kind(annotation)
                if re.search(r"\bPositional\b|^Inputs?$", annotation):
                    named.add(line.target.id)
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    about[line.target.id] = inspect.cleandoc(str(after.value.value))
    found = []
    for one in fields(group):
        made = one.default_factory() if one.default_factory is not MISSING else one.default
        if is_dataclass(made):
            continue
        default = None if one.default is MISSING and made is MISSING else made
        text = about.get(one.name, "").replace("\n", " ")
        name = one.name.rstrip("_")  # of a name that is a word of Python
        found.append(Option(name, kinds[one.name], default, text, one.name in named))
    return found


def of_group(group: type) -> list[Option]:
    """The options of a group, then those of the groups within it, by dotted name."""
    found = described(group)
    for one in fields(group):
        if one.default_factory is not MISSING and is_dataclass(made := one.default_factory()):
            inner = of_group(type(made))
            found += [replace(each, name=f"{one.name}.{each.name}") for each in inner]
    return found


def command(verb: str) -> type:
    """The dataclass of a verb's options."""
    found = getattr(import_module(f"dragoman.cli.{verb}"), verb.capitalize())
    assert isinstance(found, type)
    return found


def groups_of(verb: str) -> dict[str, type]:
    """The groups of options that a verb takes beside its own: name and dataclass."""
    found = {}
    for one in fields(command(verb)):
        made = one.default_factory() if one.default_factory is not MISSING else one.default
        if is_dataclass(made):
            found[one.name] = type(made)
    return found


def verbs() -> str:
    """The reference of the command line: every verb with its own options."""
    pages = []
    for verb in VERBS:
        own, groups = described(command(verb)), groups_of(verb)
        words = [f"{one.name.upper()}" for one in own if one.positional]
        text = f"## dragoman {verb}\n\n{inspect.getdoc(command(verb))}\n\n"
        text += f"```text\ndragoman {' '.join([verb, *words])} [options]\n```\n\n"
        text += _table(own)
        links = [
            f"[{name}](options.md#{name})" if name != "serving" else "serving" for name in groups
        ]
        if links:
            text += f"\nIt also takes the options of these groups: {', '.join(links)}.\n"
        if "serving" in groups:
            text += "\n" + _table(of_group(groups["serving"]), "serving.")
        pages.append(text)
    return "\n".join(pages)


def groups() -> str:
    """The reference of the options of a training and of search, group by group."""
    config, pages = Config(), []
    for one in fields(Config):
        kind = type(getattr(config, one.name))
        about = inspect.getdoc(kind)
        pages.append(f"## {one.name}\n\n{about}\n\n{_table(of_group(kind), f'{one.name}.')}")
    return "\n".join(pages)


def _table(found: list[Option], prefix: str = "") -> str:
    rows = ["| option | values | default | meaning |", "| --- | --- | --- | --- |"]
    rows += ["| " + " | ".join(_row(one, prefix)) + " |" for one in found]
    return "\n".join(rows) + "\n"


def _row(one: Option, prefix: str) -> Iterator[str]:
    name = one.name.upper() if one.positional else f"--{prefix}{one.flag}"
    default = "" if one.default in (None, (), "") or one.positional else _shown(one.default)
    for cell in (f"`{name}`", one.kind, default, one.about):
        text = re.sub(r"<(\w+)>", r"&lt;\1&gt;", cell) if cell is one.about else cell
        yield text.replace("|", "\\|")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    return f"`{str(default)!r}`" if str(default).isspace() else f"`{default}`"


_KINDS = {
    "Count": "whole number from 0",
    "PositiveCount": "whole number from 1",
    "Amount": "number from 0",
    "Share": "0 to 1",
    "Seed": "whole number from 0",
    "Input": "path",
    "Inputs": "paths",
    "OutputFile": "file",
    "OutputFolder": "folder",
    "Picture": "file",
    "Path": "path",
    "bool": "on or off",
    "int": "whole number",
    "float": "number",
    "str": "text",
    "Auto": "auto",
}


def _kind(annotation: str) -> str:
    """A type of the code in words."""
    text = re.sub(r"(?:\w+\.)*Annotated\[(.*), [\w.]+(?:\(.*\))?\]", r"\1", annotation)
    text = re.sub(r"(?:\w+\.)*(?:Positional|UseAppendAction)\[(.*)\]", r"\1", text)
    text = re.sub(r"Literal\[(.*?)\]", lambda m: m[1].replace("'", "").replace(", ", " | "), text)
    if text == "tuple[tuple[int, int], ...]":
        return "pairs of whole numbers"
    several = r"tuple\[(?:Literal\[)?([^\[\]]+)\]?, \.\.\.\]"
    text = re.sub(several, r"list of \1", text).replace(" | None", "")
    text = re.sub(r"tuple\[([^\[\],]+), \1\]", r"two of \1", text)
    named = getattr(import_module("dragoman.config.options"), text, None)
    if get_origin(named) is Literal and text != "Auto":
        return ", ".join(get_args(named))
    text = re.sub(r"\b(\w+)\b", lambda m: _KINDS.get(m[1], m[1]), text)
    return text.replace(" | ", ", ")
