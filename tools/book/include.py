"""Puts code and what is made from it into a page, in the place of lines that name it.

    {{ source model/attention.py Attention.over }}   a class or function, as it stands in the code
    {{ doc layout.py }}                              the docstring of a module
    {{ recipe question-answer }}                     a recipe without its comments
    {{ NAME ... }}                                   what another function here gives

A path is one of ``src/dragoman``, or of the project.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from tools.book import options, python_api, rooms, web_api

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"^\{\{ (\w+) ?(.*?) \}\}$", re.MULTILINE)


def expand(page: str) -> str:
    """The page with everything that it names.

    Raises:
        LookupError: there is no such file, function or recipe.
    """
    return _LINE.sub(lambda found: MADE[found[1]](*found[2].split()), page)


def source(path: str, name: str) -> str:
    """A class or function as it stands in a file, in a block that says where."""
    file = _file(path)
    text = file.read_text("utf-8")
    body: list[ast.stmt] = ast.parse(text).body
    for part in name.split("."):
        named = [one for one in body if getattr(one, "name", "") == part]
        if not named:
            raise LookupError(f"{path} has no {name}")
        (found,) = named
        body = getattr(found, "body", [])
    start = min([found.lineno, *(one.lineno for one in getattr(found, "decorator_list", []))])
    lines = text.splitlines()[start - 1 : found.end_lineno]
    where = file.relative_to(ROOT).as_posix()
    return f"```python\n# {where}\n{dedent(chr(10).join(lines))}\n```".replace(
        "```python", "```py", 1
    )


def doc(path: str) -> str:
    """The docstring of a module, as text."""
    return f"```text\n{ast.get_docstring(ast.parse(_file(path).read_text('utf-8')))}\n```"


def recipe(name: str) -> str:
    """The options of a recipe, as a file that the page writes."""
    lines = (ROOT / "recipes" / f"{name}.toml").read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).strip()
    return f'```toml title="recipes/{name}.toml"\n{text}\n```'


def _file(path: str) -> Path:
    for file in (ROOT / "src" / "dragoman" / path, ROOT / path):
        if file.is_file():
            return file
    raise LookupError(f"there is no file {path}")


MADE: dict[str, Callable[..., str]] = {
    "source": source,
    "doc": doc,
    "recipe": recipe,
    "verbs": options.verbs,
    "options": options.groups,
    "python": python_api.reference,
    "http": web_api.reference,
    "rooms": rooms.picture,
}
"""What a page may name."""
