"""The formats of documents by their names; and the simplest of them, JSON."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from dragoman.data.tokenizer import without_surrogates
from dragoman.documents.blocks import Format, Part
from dragoman.documents.hypertext import HTML, read_html
from dragoman.documents.markdown import MARKDOWN, read_markdown
from dragoman.documents.plain import read_subtitles, read_text
from dragoman.errors import DataError

_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+)"(?P<key>\s*:)?')
_OTHERS = re.compile(r"(?:[\s{}\[\],:]|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|\ufeff)*+")
_ENTITY_LIKE = re.compile(r"&(?=#?\w+;)|<(?=[A-Za-z/!?])")


def _read_json(lines: Iterable[str]) -> Iterator[Part]:
    """Read JSON line by line: the text of every string that is no key.

    Raises:
        DataError: a line has something that JSON has not.
    """
    text = ""
    for number, line in enumerate(chain(lines, [""]), 1):
        text += line
        if line.rstrip().endswith('"'):  # the colon behind a key may be in the next line
            continue
        if not _OTHERS.fullmatch(_STRING.sub("", text)):
            cure = "one value, or one a line (JSON lines)"
            raise DataError("this is not JSON", place=f"line {number}", cure=cure)
        end = 0
        for found in _STRING.finditer(text):
            if not found["key"]:
                yield text[end : found.start(1)], None
                yield without_surrogates(json.loads(f'"{found[1]}"')), _encode
                end = found.end(1)
        yield text[end:], None
        text = ""


def _encode(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escape_markdown(text: str) -> str:
    """Escape what would become an entity or a tag."""
    return _ENTITY_LIKE.sub(lambda found: html.escape(found[0]), text)


FORMATS = {
    "text": Format(read_text),
    "html": Format(read_html, HTML, html.unescape, partial(html.escape, quote=False)),
    "markdown": Format(read_markdown, MARKDOWN, html.unescape, _escape_markdown),
    "srt": Format(read_subtitles),
    "json": Format(_read_json),
}
ENDINGS = {".txt": "text", ".html": "html", ".md": "markdown", ".srt": "srt", ".json": "json"}
"""The formats of files by the endings of their names."""
