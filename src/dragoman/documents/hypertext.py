"""Reads HTML as it is, well-formed or not: finds its tags, and builds no tree."""

import re
from collections.abc import Iterable, Iterator

from dragoman.documents.blocks import Part

HTML = (
    r"<!--.*?(?:-->|\Z)|<[!?][^>]*+(?:>|\Z)"
    r"|<(?P<untouched>code|kbd|math|pre|samp|script|style|svg|textarea|var)(?=[\s/>])"
    r".*?(?:</(?P=untouched)\s*>|\Z)"
    r"|</?(?P<name>[a-z][^\s/>]*+)"
    r"""(?:[^>=]++|=(?:\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)))?+)*+(?:>|\Z)"""
)
"""A comment; a declaration; an element whose text is not translated; or a tag, whose quoted values
may contain ">". As in browsers, what nothing closes goes on to the end."""
_MARKUP = re.compile(HTML, re.DOTALL | re.IGNORECASE)
_INLINE = re.compile(
    r"a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|math"
    r"|nobr|q|rb|rp|rt|ruby|s|samp|small|span|strike|strong|sub|sup|svg|time|tt|u|var|wbr",
    re.IGNORECASE,
)
"""Elements inside of sentences; all others end them."""


def read_html(lines: Iterable[str]) -> Iterator[Part]:
    """Read a whole page."""
    page, end = "".join(lines), 0
    for found in _MARKUP.finditer(page):
        name = found["untouched"] or found["name"] or ""
        if not (_INLINE.fullmatch(name) or found[0].startswith("<!--")):
            yield page[end : found.start()], str
            yield found[0], None
            end = found.end()
    yield page[end:], str
