"""Notes of Anki as it exports them: head lines, quoted fields, HTML, sounds.

The manual of Anki, "Text Files", describes the format.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice, takewhile

from dragoman.config.options import DataOptions
from dragoman.data.formats.columns import SEPARATORS, Cells, records, two_columns
from dragoman.data.lines import decoded_lines, longest_line
from dragoman.data.pairs import Fault, Faults, Record
from dragoman.data.streams import Opened

_HEAD = re.compile("(?m)^#([a-z ]+):(.*)$")
_LINE_BREAKS = re.compile(r"(?i)<(?:br|/?div|/?p|/?li)\b[^>]*>")
_TAGS = re.compile(r"(?is)<(style|script)\b.*?</\1>|<!--.*?-->|<[/a-z][^>]*>")


def recognise(text: str, name: str) -> bool:
    """Whether head lines say how the notes are separated."""
    return bool(re.match("#(separator|html|notetype|deck|tags|columns|guid)[a-z ]*:", text))


def rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Two fields of each note as plain text; columns count the fields of the note alone."""
    begin = takewhile(_HEAD.match, source.text.splitlines())
    head = dict[str, str](_HEAD.findall("\n".join(begin)))
    asked = options.separator if options.separator != "auto" else head.get("separator", "tab")
    named = {name: separator for separator, name in SEPARATORS.items()}
    separator, is_html = named.get(asked.lower(), asked[:1]), head.get("html") == "true"
    separator = "\t" if separator in ("", '"') else separator  # a head line without a usable one
    # Head lines such as "tags column" give the number of a column that is no field of the note.
    left_out = {int(n) - 1 for key, n in head.items() if key.endswith("column") and n.isdecimal()}

    def fields(cells: list[str]) -> list[str]:
        return [_plain(cell, is_html) for at, cell in enumerate(cells) if at not in left_out]

    lines = islice(decoded_lines(source, longest_line(options)), len(head), None)
    cut = records(lines, separator, source, options, len(head))
    notes: Cells = ((n, cells if isinstance(cells, Fault) else fields(cells)) for n, cells in cut)
    if "columns" in head:
        notes = chain([(1, fields(head["columns"].split(separator)))], notes)
    options = replace(options, header="columns" in head)
    titles = ["Anki export", SEPARATORS.get(separator, repr(separator)), "HTML" * is_html]
    return two_columns(notes, separator, titles, options, faults)


def _plain(text: str, is_html: bool) -> str:
    """A field without HTML and names of sounds, its spaces joined where some were cut out."""
    plain = _TAGS.sub("", _LINE_BREAKS.sub("\n", text)) if is_html else text
    plain = re.sub(r"\[sound:[^\]]*\]", "", plain)
    if plain != text:
        plain = re.sub("[ \n]*\n[ \n]*|  +", " ", plain).strip(" ")
    return html.unescape(plain) if is_html else plain
