"""Lists invisible characters, and compares sentences by what readers see of them.

Reading, checking and normalising text use the same list.
"""

import re
import unicodedata

INVISIBLE = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
"""The inside of a regular-expression class: soft hyphen, marks of direction, U+200B and others.

The normalizer of models drops these characters, but for those of the option ``keep_invisible``;
the list is part of the models that exist.
"""

JOINERS = "\u200c\u200d"
"""Zero width (non-)joiner: invisible too, but many scripts and emoji are spelt with them."""

_EVERY = "".join(map(chr, range(1 << 16)))
UNSEEN = frozenset(re.findall(f"[{INVISIBLE}]", _EVERY))
"""The characters of ``INVISIBLE`` one by one."""

BLANK = "".join(re.findall(rf"[\s{INVISIBLE}{JOINERS}]", _EVERY))
"""White space and every character without ink: a text of nothing else is empty."""

_MARKS = [c for c in map(chr, range(1 << 16)) if unicodedata.category(c).startswith("P")]
_PUNCTUATION = re.compile(f"[{re.escape(''.join(_MARKS))}]")


def sentence_key(text: str) -> str:
    """``text`` without what spellings of one sentence differ in: case, punctuation, spaces.

    Every sign of a text without letters counts: 12 - 3 is not 12 * 3.
    """
    folded = text.casefold()
    if not folded.isascii():
        folded = re.sub(f"[{INVISIBLE}]", "", unicodedata.normalize("NFC", folded))
    plain = _PUNCTUATION.sub(" ", folded) if any(map(str.isalpha, folded)) else folded
    return " ".join(plain.split()) or folded
