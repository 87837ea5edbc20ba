"""The formats of documents by their names; HTML and JSON, which are read by position.

No tree is built, so that a document stays as it is, well-formed or not.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from dragoman.data.tokenizer import without_surrogates
from dragoman.documents.blocks import Format, Part
from dragoman.documents.by_line import MARKDOWN, read_markdown, read_subtitles, read_text
from dragoman.search.keep import TEMPLATE

_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)(?:"\s*:|("))?')
"""A string of JSON: the key of an object if a colon follows; else a value, with a second group; or
the beginning of a string that does not end."""
_HTML = (
    rf"{TEMPLATE}|<!--.*?(?:-->|\Z)|<[!?][^>]*+(?:>|\Z)"
    r"|<(?P<untouched>code|kbd|math|pre|samp|script|style|svg|textarea|var)(?=[\s/>])"
    r".*?(?:</(?P=untouched)\s*>|\Z)"
    r"|</?(?P<name>[a-z][^\s/>]*+)"
    rf"(?:{TEMPLATE}|[^<>={{]++|[<{{]"
    rf"""|=(?:\s*+(?:"(?:{TEMPLATE}|[^"])*+(?:"|\Z)|'(?:{TEMPLATE}|[^'])*+(?:'|\Z)))?+)*+(?:>|\Z)"""
)
"""Code in a template; a comment; a declaration; an element whose text is not translated; or a tag,
whose quoted values may contain ">". As in browsers, what nothing closes goes on to the end."""
_MARKUP = re.compile(_HTML, re.DOTALL | re.IGNORECASE)
_INLINE = re.compile(
    r"a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|math"
    r"|nobr|q|rb|rp|rt|ruby|s|samp|small|span|strike|strong|sub|sup|svg|time|tt|u|var|wbr",
    re.IGNORECASE,
)
"""Elements inside of sentences; all others end them."""
_ALONE = re.compile(r"(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)?")
"""Elements without text, which have no closing tag; and what is no element."""
_UNTIL_NEXT = re.compile("d[dt]|li|option|p|t[dhr]")
"""Elements that may end where the next of their name begins."""
_TRANSLATE = re.compile(
    r"""(?is)<[^\s>]+(?>[^=]|=(?:\s*(?:"[^"]*"|'[^']*'))?)*?\s"""
    r"""(?:translate\s*=\s*["']?(?:no|(?P<yes>yes|))(?=["'\s/>])"""
    r"""|class\s*=\s*["']?(?:[^"'>]*\s)?notranslate(?=["'\s/>]))"""
)
"""An opening tag that says whether the text of its element is translated."""
_WHOLE = re.compile(r"</?(?P<untouched>(?P<name>[^\s/>]+)).*", re.DOTALL)
"""An element that stays as it is, from its opening tag on."""


def _read_html(lines: Iterable[str]) -> Iterator[Part]:
    """Read a whole page."""
    page, end = "".join(lines), 0
    for found in _elements(_MARKUP.finditer(page)):
        name = found["untouched"] or found["name"] or ""
        if not (_INLINE.fullmatch(name) or found[0].startswith(("<!--", "<?", "<%", "{"))):
            yield from ((page[end : found.start()], str), (found[0], None))
            end = found.end()
    yield page[end:], str


def _elements(tags: Iterable[re.Match[str]]) -> Iterator[re.Match[str]]:
    """Join the tags around text that is not to be translated: those of an element with
    ``translate="no"`` or the class ``notranslate``, up to one with ``translate="yes"``."""
    begun, counts = [("", True)], Counter[str]()  # names, and whether their text is translated
    first: re.Match[str] | None = None
    for tag in tags:
        name, closes = (tag["name"] or "").lower(), tag[0].startswith("</")
        if counts[name] if closes else _UNTIL_NEXT.fullmatch(name) and begun[-1][0] == name:
            while (last := begun.pop()[0]) != name:
                counts[last] -= 1
            counts[name] -= 1
        if not (closes or _ALONE.fullmatch(name) or tag[0].endswith("/>")):
            said = _TRANSLATE.match(tag[0])
            begun.append((name, said["yes"] is not None if said else begun[-1][1]))
            counts[name] += 1
        if first is None:
            first, depth = tag, len(begun) - 1
        elif begun[-1][1] and len(begun) < depth:  # it closes an element around these
            yield _WHOLE.match(tag.string, first.start(), tag.start()) or first
            first = tag
        if begun[-1][1]:
            yield tag if first is tag else _WHOLE.match(tag.string, first.start(), tag.end()) or tag
            first = None
    if first:
        yield _WHOLE.match(first.string, first.start()) or first


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
    "html": Format(_read_html, _HTML, html.unescape, partial(html.escape, quote=False), _elements),
    "markdown": Format(read_markdown, MARKDOWN),
    "srt": Format(read_subtitles),
    "json": Format(_read_json),
}
"""By the names that ``translate --format`` and the server's field ``format`` take."""
ENDINGS = {".txt": "text", ".html": "html", ".md": "markdown", ".srt": "srt", ".json": "json"}
"""The names of formats by the endings of files."""
