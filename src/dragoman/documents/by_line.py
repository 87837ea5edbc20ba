"""Reads documents line by line: plain text, subtitles and Markdown.

Lines that belong together become one block of text.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from dragoman.documents.blocks import Part

_LONGEST = 1 << 13
"""Characters after which a block ends at the next line, so that memory stays bounded."""
_CUE = re.compile(r"[\W\d_]*\Z|.*-->.*|[-–—]\s*", re.DOTALL)
"""What is copied at the beginning of a line of subtitles: a number, a time or an empty line as a
whole; the dash before what a speaker says."""
MARKDOWN = (
    r"(?P<code>`+)(?!`).*?(?<!`)(?P=code)(?!`)"
    r"|\$\$[^$]+\$\$|\$(?=\S)(?:[^$\n\\]|\\.)+?(?<=\S)\$(?!\d)|\[!\[[^\[\]]*\]\([^()]*\)\]\([^()]*\)"
    r"|\[\^[^\[\]]+\]|<!--.*?-->|\\[!-/:-@\[-`{-~]| \||&(?!nbsp)#?\w+;"
    r"|(?P<closing>\]\((?:[^()]|\([^()]*\))*+\)|\]\[[^\[\]]*\]"
    r"|(?<=\S)(?:\*+|~~|_+)(?![^\W_]))"
    r"|(?P<opening>!?\[(?=[^\[\]]*\][(\[])|(?:\*+|~~|(?<![^\W_])_+)(?=\S))"
)
"""Code, formulas, a picture that is a link; notes, comments, escapes, bars, entities; the end of a
link or of emphasis; the beginning of one."""
_MARKS = re.compile(
    r"[ \t>]*((?:(?:[-*+]|\d+[.)]|#{1,6}|\[\^[^\]]+\]:)[ \t]+(?:\[[ xX]\][ \t]+)?)*)(\|)?"
)
"""What stands before the text of a line; the bar before a row of a table."""
_COPIED = re.compile(r"[\W_]*\Z| {0,3}\[[^\]^][^\]]*\]:|[ \t>]*:::")
"""A line that is no text: without letters and digits, the address of a link, or a fence."""
_REGIONS = [
    (re.compile(r"(---|\+\+\+)\s*$"), r"(?:{}|\.\.\.)\s*$"),
    (re.compile(r"[ \t>]*(?:[-*+][ \t]+)?(```+(?!.*`)|~~~+)"), r"[ \t>]*{}"),
    (re.compile(r"[ \t>]*(\$\$)(?!.*\$\$)"), r".*{}"),
    (re.compile(r" {0,3}<!--(?!.*-->)"), r".*-->"),
    (re.compile(r" {0,3}</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>\s*$"), r"\s*$"),
]
"""What the first line and the last line of a region match that is copied: metadata, with which a
page may begin; code; a formula; a comment; HTML."""


def _paragraphs(lines: Iterable[str], begins: Callable[[str, bool], int | None]) -> Iterator[Part]:
    """Join lines to blocks of text.

    Args:
        lines: with their ends.
        begins: for a line, and whether there is a block that it could go on with: None where it
            does; else how many characters at its beginning are copied, before a block begins.
    """
    block = ""
    for line in lines:
        copied = begins(line, block != "")
        if copied is not None or len(block) > _LONGEST:
            yield from ((block, str), (line[: copied or 0], None))
            block = ""
        block += line[copied or 0 :]
    yield block, str


def read_text(lines: Iterable[str]) -> Iterator[Part]:
    """Read plain text: paragraphs with blank lines between."""
    return _paragraphs(lines, lambda line, begun: None if line.strip() else len(line))


def read_subtitles(lines: Iterable[str]) -> Iterator[Part]:
    """Read subtitles (SubRip): the lines of a cue, or of what one speaker says, are one block."""
    return _paragraphs(lines, lambda line, begun: (cue := _CUE.match(line)) and cue.end())


def read_markdown(lines: Iterable[str]) -> Iterator[Part]:
    """Read paragraphs, titles, items of lists, and cells of tables."""
    for text, write in _paragraphs(lines, _Lines().begins):
        cells = re.split(r"(?<!\\)(\|)", text) if text.lstrip().startswith("|") else [text]
        yield from ((cell, write) for cell in cells)


class _Lines:
    """Says where blocks begin in a Markdown page; it remembers what the lines so far mean."""

    def __init__(self) -> None:
        self.regions, self.alone, self.listed = _REGIONS, False, False
        """The regions that the next line may begin; whether the line before it is a title or a row
        of a table; whether it belongs to a list."""
        self.last: re.Pattern[str] | None = None
        """What the last line of the region matches that is copied now; None outside of regions."""

    def begins(self, line: str, begun: bool) -> int | None:
        """The argument ``begins`` of :func:`_paragraphs`, for the lines of a page in order."""
        regions, self.regions = self.regions, _REGIONS[1:]
        self.listed &= line[0].isspace()
        if self.last is not None:
            self.last = None if self.last.match(line) else self.last
            return len(line)
        for first, last in regions:
            if found := first.match(line):
                self.last = re.compile(last.format(*map(re.escape, found.groups())))
                return len(line)
        code = not (begun or self.listed) and line.startswith(("    ", "\t"))
        if code or _COPIED.match(line):
            return len(line)
        marks = _MARKS.match(line)
        assert marks is not None, "it fits every line"
        single = "#" in marks[1] or marks[2] is not None
        alone, self.alone = self.alone, single
        self.listed |= bool(marks[1]) and not single
        return None if begun and not (alone or single or marks[1]) else marks.end(1)
