"""Cuts a page into text, commands, Python, files and outputs, as its fences say.

    ```console            commands behind "$ ", and the lines that they print
    ```python             run in one namespace a page
    ```output             what the Python block before it prints
    ```LANGUAGE title="F" the contents of the file F, written before what follows runs
    ```diff title="F"     lines to add to F (+) and to take out (-); not run

A comment on the line before a fence says how its block is run:

    <!-- small: A => B -->     with B for A when the page is tested (a smaller budget)
    <!-- not run: REASON -->   not at all
    <!-- prints -->            the site shows what it prints when the site is built
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"```(\w*)(.*)")
_TITLE = re.compile(r'title="([^"]+)"')
_NOTE = re.compile(r"<!-- (small|not run|prints)(?:: (.*?))? -->\s*")


@dataclass
class Part:
    """A stretch of a page."""

    kind: str
    """``text``, or what a fence holds: ``console``, ``python``, ``output``, ``file``, ``other``."""
    body: str
    """The lines, without the fence."""
    language: str = ""
    title: str = ""
    """The file that the block is."""
    small: list[tuple[str, str]] = field(default_factory=list)
    """What is replaced, and by what, when the page is tested."""
    not_run: str = ""
    """Why the block is not run; empty if it is."""
    prints: bool = False

    @property
    def commands(self) -> str:
        """The commands of a console block, without their outputs."""
        return "\n".join(command for command, _ in self.session())

    @property
    def expected(self) -> str:
        """What a console block prints, as the page has it; empty if it has nothing."""
        return "\n".join(line for _, lines in self.session() for line in lines)

    def session(self) -> Iterator[tuple[str, list[str]]]:
        """Each command of a console block (with its continuation lines) and its output lines."""
        command, lines = "", list[str]()
        for line in self.body.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, lines
                command, lines = line[2:], []
            elif command.endswith("\\"):
                command += f"\n{line}"
            else:
                lines.append(line)
        if command:
            yield command, lines

    def markdown(self) -> str:
        """The part as it stands on a page, without its notes."""
        if self.kind == "text":
            return self.body
        title = f' title="{self.title}"' if self.title else ""
        language = {"output": "text"}.get(self.language, self.language)
        return f"```{language}{title}\n{self.body}\n```\n"


def parts_of(page: str) -> list[Part]:
    """The parts of a page in their order.

    Raises:
        ValueError: a fence is not closed.
    """
    found, text = list[Part](), list[str]()
    notes: dict[str, list[str]] = {}
    lines = iter(page.splitlines())
    for line in lines:
        if note := _NOTE.fullmatch(line):
            notes.setdefault(note[1], []).append(note[2] or "")
        elif fence := _FENCE.fullmatch(line):
            if text:
                found.append(Part("text", "\n".join(text) + "\n"))
            text, body = [], list[str]()
            for inside in lines:
                if inside == "```":
                    break
                body.append(inside)
            else:
                raise ValueError(f"a fence is not closed: {line}")
            found.append(_block(fence[1], fence[2], "\n".join(body), notes))
            notes = {}
        else:
            text.append(line)
    return [*found, Part("text", "\n".join(text) + "\n")] if text else found


def _block(language: str, more: str, body: str, notes: dict[str, list[str]]) -> Part:
    title = _TITLE.search(more)
    kind = language if language in ("console", "python", "output") else "other"
    small = [(a, b) for a, _, b in (one.partition(" => ") for one in notes.get("small", []))]
    return Part(
        "file" if title and language != "diff" else kind,
        body,
        language=language,
        title=title[1] if title else "",
        small=small,
        not_run=" ".join(notes.get("not run", [])),
        prints="prints" in notes,
    )
