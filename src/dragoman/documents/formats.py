"""The formats of documents by their names, and a reader for each.

Plain text, subtitles and Markdown are read line by line; lines that belong together become one
block of text. HTML and JSON are read by position: no tree is built, so that a document stays as it
is, well-formed or not.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from dragoman.data.tokenizer import without_surrogates
from dragoman.documents.blocks import Format, Part
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
_LONGEST = 1 << 13
"""Characters after which a block ends at the next line, so that memory stays bounded."""
_CUE = re.compile(r"[\W\d_]*\Z|.*-->.*|[-–—]\s*", re.DOTALL)
"""What is copied at the beginning of a line of subtitles: a number, a time or an empty line as a
whole; the dash before what a speaker says."""
_MARKDOWN = (
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


def _read_text(lines: Iterable[str]) -> Iterator[Part]:
    """Read plain text: paragraphs with blank lines between."""
    return _paragraphs(lines, lambda line, begun: None if line.strip() else len(line))


def _read_subtitles(lines: Iterable[str]) -> Iterator[Part]:
    """Read subtitles (SubRip): the lines of a cue, or of what one speaker says, are one block."""
    return _paragraphs(lines, lambda line, begun: (cue := _CUE.match(line)) and cue.end())


def _read_markdown(lines: Iterable[str]) -> Iterator[Part]:
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
        if (not (begun or self.listed) and line.startswith(("    ", "\t"))) or _COPIED.match(line):
            return len(line)
        marks = _MARKS.match(line)
        assert marks is not None, "it fits every line"
        single = "#" in marks[1] or marks[2] is not None
        alone, self.alone = self.alone, single
        self.listed |= bool(marks[1]) and not single
        return None if begun and not (alone or single or marks[1]) else marks.end(1)


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
    "text": Format(_read_text),
    "html": Format(_read_html, _HTML, html.unescape, partial(html.escape, quote=False), _elements),
    "markdown": Format(_read_markdown, _MARKDOWN),
    "srt": Format(_read_subtitles),
    "json": Format(_read_json),
}
"""By the names that ``translate --format`` and the server's field ``format`` take."""
ENDINGS = {".txt": "text", ".html": "html", ".md": "markdown", ".srt": "srt", ".json": "json"}
"""The names of formats by the endings of files."""
