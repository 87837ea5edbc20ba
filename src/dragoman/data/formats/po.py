"""PO: the messages of a program and their translations, as GNU gettext keeps them.

The manual of gettext, section "The Format of PO Files", describes the format.
"""

import re
from collections.abc import Iterator
from itertools import chain

from dragoman.config.options import DataOptions
from dragoman.data.lines import decoded_lines, longest_line
from dragoman.data.pairs import Fault, Faults, Record, Row
from dragoman.data.streams import Opened

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_PART = re.compile(r'\s*(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s*)?"(.*)"\s*')


def recognise(text: str, name: str) -> bool:
    """Whether the name says PO, or a message and its translation follow each other."""
    message = r'(?m)^msgid "[^\n]*"\r?\n(?:(?:msgid_plural )?"[^\n]*"\r?\n)*msgstr'
    return name.endswith((".po", ".pot")) or re.search(message, text) is not None


def rows(source: Opened, options: DataOptions, faults: Faults) -> Iterator[Record]:
    """Each message and its translation; with plural forms, the first and the last of them."""
    faults.reads("PO")
    limit, entry, start, key, is_fuzzy = longest_line(options), dict[str, str](), 0, "", False
    lines = enumerate(decoded_lines(source, limit), 1)
    for line, text in chain(lines, [(0, 'msgid ""')]):  # one more, at which the last entry ends
        part = None if isinstance(text, Fault) else _PART.fullmatch(text)
        if isinstance(text, Fault):
            yield line, text
            entry = {}
        elif part is None:
            # Said of a message that is gone (#~), it is not said of the next one.
            is_fuzzy = text[:2] != "#~" and (is_fuzzy or re.match("#,.*fuzzy", text) is not None)
            if text.strip() and not text.startswith("#"):
                yield line, Fault("not PO", "neither a keyword nor text in quotes", "is it PO?")
        else:
            if part[1] in ("msgctxt", "msgid") and "msgstr" in "".join(entry):
                yield from ((start, row) for row in _pairs(entry))
                entry = {}
            if not entry:
                entry, start, is_fuzzy = {"fuzzy": "yes"} if is_fuzzy else {}, line, False
            key = part[1] or key
            if len(so_far := entry.get(key, "")) <= limit:  # longer ones are faults anyway
                plain = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), part[2])
                entry[key] = so_far + plain


def _pairs(entry: dict[str, str]) -> Iterator[Row]:
    """The pairs of one entry, its texts by keyword; that of the empty message is about the file."""
    forms = [text for name, text in entry.items() if name.startswith("msgstr")]
    message, plural = entry.get("msgid", ""), entry.get("msgid_plural")
    if message and "fuzzy" in entry:
        yield Fault("fuzzy", "the translation is marked as fuzzy", "look at it, unmark it")
    elif message:
        if plural is None or len(forms) > 1:
            yield message, forms[0]
        if plural is not None:
            yield plural, forms[-1]
