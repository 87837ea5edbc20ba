"""Text that is not what it seems: decoded wrongly, unseen, or in the letters of another script.

Every function gives back the text put right, and the same text where nothing is wrong. The
constants are regular expressions that both RE2 and Python read, for finding what they work on.
"""

from __future__ import annotations

import html
import re
import unicodedata

from dragoman.data.invisible import INVISIBLE
from dragoman.data.lines import LINE_END

LATIN = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]"
_GREEK, _CYRILLIC = "[\u0370-\u03ff]", "[\u0400-\u052f]"
_DRAWN = "[\ufb00-\ufb06\U0001d400-\U0001d7ff]"  # ligatures, letters drawn for mathematics
FOREIGN = f"(?s){LATIN}.*[\u0370-\u052f]|[\u0370-\u052f].*{LATIN}|{_DRAWN}"
"""Latin letters beside Greek or Cyrillic ones somewhere in a text."""
DECOMPOSED = "\\pM|[\u0374\u037e\u0387\u2126\u212a\u212b\uf900-\ufaff]"
"""What NFC may change (for RE2 only)."""
UNSEEN = f"[{INVISIBLE}]|{LATIN}[\u200c\u200d]{LATIN}"
SPACES = "[\u00a0\u1680\u2000-\u200a\u202f\u205f]"
LOOSE = "^ |  | $"
LINE_ENDS = "[\t\n\x0b\x0c\r\u0085\u2028\u2029]"
ENTITY = "&#?[A-Za-z0-9]{2,8};"
LOST = "[\ufffd\ue000-\uf8ff\u0080-\u0084\u0086-\u009f]"
"""Characters that no text has that was decoded rightly: U+FFFD, private use, C1 controls."""

_BYTES = {chr(b): b for b in range(0x80, 0x100)} | {
    bytes([b]).decode("cp1252"): b for b in range(0x80, 0xA0) if b not in b"\x81\x8d\x8f\x90\x9d"
}
_NEXT = "".join(re.escape(c) for c, b in _BYTES.items() if b < 0xC0)
_NEXT_LOW = "".join(re.escape(c) for c, b in _BYTES.items() if b < 0xA0)
# Not all first bytes of UTF-8: what they would read as (é, Ü) often stands before a quote or space.
MANGLED = f"[ÂÃÄÅÎÏÐÑ][{_NEXT}]|â[{_NEXT_LOW}][{_NEXT}]|ï[{_NEXT}]{{2}}|ð[{_NEXT}]{{3}}"
"""UTF-8 that was read as windows-1252 or Latin-1."""

_TWINS = dict(
    zip(
        "АВСЕНІЈКМОРЅТХаеорсухіјѕԁԛԝ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
        "ABCEHIJKMOPSTXaeopcyxijsdqw" + "ABEZHIKMNOPTYXo",
        strict=True,
    )
)
"""Cyrillic and Greek letters that look like Latin ones."""
_WORD = re.compile("[^\\W\\d_]+(?:['\u2019][^\\W\\d_]+)*")
# A single Greek letter at the edge of a Latin word is a symbol: kΩ, Δt, μm.
_MIXED = re.compile(
    f"{LATIN}['\u2019]?{_CYRILLIC}|{_CYRILLIC}['\u2019]?{LATIN}"
    f"|{LATIN}{_GREEK}{{2}}|{_GREEK}{{2}}{LATIN}|{LATIN}{_GREEK}{LATIN}"
)


def decoded_again(text: str) -> str:
    """Read UTF-8 that was taken for windows-1252 as what it is: ``cafÃ©`` becomes ``café``."""

    def decoded(found: re.Match[str]) -> str:
        after = text[found.end() : found.end() + 1]
        if len(found[0]) == 2 and found[0][1] in "…–—‘’“”‹›»" and not after.isalpha():
            return found[0]  # a capital before a closing mark: "MANHÃ…"
        try:
            return bytes(_BYTES[c] for c in found[0]).decode()
        except UnicodeDecodeError:
            return found[0]

    return re.sub(MANGLED, decoded, text)


def one_script(text: str) -> str:
    """Replace letters that only look like those of the word around them by these."""
    drawn = re.sub(_DRAWN, lambda found: unicodedata.normalize("NFKC", found[0]), text)
    is_latin = bool(re.search(LATIN, drawn)) and all(
        c in _TWINS for c in re.findall(f"{_GREEK}|{_CYRILLIC}", drawn)
    )

    def word(found: re.Match[str]) -> str:
        foreign = set(re.findall(f"{_GREEK}|{_CYRILLIC}", found[0]))
        latin = set(re.findall(LATIN, found[0]))
        if foreign and foreign <= _TWINS.keys() and (latin or is_latin):
            return "".join(_TWINS.get(c, c) for c in found[0])
        script = _CYRILLIC if any(map(re.compile(_CYRILLIC).match, foreign)) else _GREEK
        back = {twin: c for c, twin in _TWINS.items() if re.match(script, c)}
        if foreign and latin and latin <= back.keys() and len(found[0]) > 2:
            return "".join(back.get(c, c) for c in found[0])
        return found[0]

    return _WORD.sub(word, drawn)


def mixed_at(text: str) -> int:
    """Where a word mixes scripts by no mere likeness of letters; -1 when none does."""
    found = _MIXED.search(one_script(text))
    return found.start() if found else -1


def composed(text: str) -> str:
    """Accents joined to their letters (NFC)."""
    return unicodedata.normalize("NFC", text)


def visible(text: str) -> str:
    """Without characters that have no ink."""
    text = re.sub(f"[{INVISIBLE}]", "", text)
    return re.sub(f"(?<={LATIN})[\u200c\u200d](?={LATIN})", "", text)


def on_one_line(text: str) -> str:
    """Tabs and line ends as spaces."""
    return LINE_END.sub(" ", text)


def plainly_spaced(text: str) -> str:
    """Every space as U+0020."""
    return re.sub(SPACES, " ", text)


def tight(text: str) -> str:
    """Single spaces, and none at the ends."""
    return re.sub(" {2,}", " ", text).strip(" ")


def unescaped(text: str) -> str:
    """Entities of HTML as the characters that they stand for."""
    return re.sub(ENTITY, lambda found: html.unescape(found[0]), text)
