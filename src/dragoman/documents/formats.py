"""The formats of documents by their names; HTML and JSON, which are read by position.

No tree is built, so that a document stays as it is, well-formed or not.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial

from dragoman.data.tokenizer import without_surrogates
from dragoman.documents.blocks import Format, Part
from dragoman.documents.by_line import MARKDOWN, read_markdown, read_subtitles, read_text

_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)(?:"\s*:|("))?')
"""A string of JSON: the key of an object if a colon follows; else a value, with a second group; or
the beginning of a string that does not end."""
_HTML = (
    r"<!--.*?(?:-->|\Z)|<[!?][^>]*+(?:>|\Z)"
    r"|<(?P<untouched>code|kbd|math|pre|samp|script|style|svg|textarea|var)(?=[\s/>])"
    r".*?(?:</(?P=untouched)\s*>|\Z)"
    r"|</?(?P<name>[a-z][^\s/>]*+)"
    r"""(?:[^>=]++|=(?:\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)))?+)*+(?:>|\Z)"""
)
"""A comment; a declaration; an element whose text is not translated; or a tag, whose quoted values
may contain ">". As in browsers, what nothing closes goes on to the end."""
_MARKUP = re.compile(_HTML, re.DOTALL | re.IGNORECASE)
_INLINE = re.compile(
    r"a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|math"
    r"|nobr|q|rb|rp|rt|ruby|s|samp|small|span|strike|strong|sub|sup|svg|time|tt|u|var|wbr",
    re.IGNORECASE,
)
"""Elements inside of sentences; all others end them."""


def _read_html(lines: Iterable[str]) -> Iterator[Part]:
    """Read a whole page."""
    page, end = "".join(lines), 0
    for found in _MARKUP.finditer(page):
        name = found["untouched"] or found["name"] or ""
        if not (_INLINE.fullmatch(name) or found[0].startswith("<!--")):
            yield page[end : found.start()], str
            yield found[0], None
            end = found.end()
    yield page[end:], str


def _read_json(lines: Iterable[str]) -> Iterator[Part]:
    """Read JSON, or JSON lines: the text of every string that is no key."""
    for line in lines:
        end = 0
        for found in _STRING.finditer(line):
            if found[2]:
                yield line[end : found.start(1)], None
                yield without_surrogates(json.loads(f'"{found[1]}"')), _encode
                end = found.end(1)
        yield line[end:], None


def _encode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


FORMATS = {
    "text": Format(read_text),
    "html": Format(_read_html, _HTML, html.unescape, partial(html.escape, quote=False)),
    "markdown": Format(read_markdown, MARKDOWN),
    "srt": Format(read_subtitles),
    "json": Format(_read_json),
}
"""By the names that ``translate --format`` and the server's field ``format`` take."""
ENDINGS = {".txt": "text", ".html": "html", ".md": "markdown", ".srt": "srt", ".json": "json"}
"""The names of formats by the endings of files."""
