"""Translates documents with a function in place of a model."""

from __future__ import annotations

import re
from collections.abc import Callable

from dragoman.documents.blocks import filled, read_blocks
from dragoman.documents.formats import FORMATS
from dragoman.search.tags import SPACES


def lines_of(text: str) -> list[str]:
    """The lines of a document, with their ends, as they are read from a file."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def sentences(name: str, text: str, language: str = "en") -> list[str]:
    """What a model would read of a document; marks but for white space are written as | ."""
    blocks = read_blocks(lines_of(text), FORMATS[name], language)
    found = (sentence for block in blocks for sentence in block.sentences)
    return [
        re.sub("[\U000f0000-\U000fbfff]", "|", re.sub(f"[{SPACES}]", "", sentence))
        for sentence in found
    ]


def translated(name: str, text: str, say: Callable[[str], str] = str, language: str = "en") -> str:
    """A document whose sentences this function translates, by default into themselves."""
    blocks = list(read_blocks(lines_of(text), FORMATS[name], language))
    answers = (say(sentence) for block in blocks for sentence in block.sentences)
    return "".join(filled(blocks, answers))
