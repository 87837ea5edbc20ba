"""Reads plain text and subtitles: lines that belong together become one block of text."""

import re
from collections.abc import Callable, Iterable, Iterator

from dragoman.documents.blocks import Part

_LONGEST = 1 << 16
"""Characters after which a block ends at the next line, so that memory stays bounded."""
_CUE = re.compile(r"[\W\d_]*\Z|.*-->.*|[-–—]\s*", re.DOTALL)
"""Numbers, times, empty lines; or the dash before what a speaker says."""


def paragraphs(lines: Iterable[str], begins: Callable[[str, bool], int | None]) -> Iterator[Part]:
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
            yield block, str
            yield line[: copied or 0], None
            block = ""
        block += line[copied or 0 :]
    yield block, str


def read_text(lines: Iterable[str]) -> Iterator[Part]:
    """Read plain text: paragraphs with blank lines between."""
    return paragraphs(lines, lambda line, begun: None if line.strip() else len(line))


def read_subtitles(lines: Iterable[str]) -> Iterator[Part]:
    """Read subtitles (SubRip): the lines of a cue, or of what one speaker says, are one block."""
    return paragraphs(lines, lambda line, begun: (cue := _CUE.match(line)) and cue.end())
