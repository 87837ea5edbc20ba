"""When two sentences count as the same: for the split by source, and for what ``check`` reports."""

import re
import unicodedata

from dragoman.data.invisible import INVISIBLE

_MARKS = [c for c in map(chr, range(1 << 16)) if unicodedata.category(c).startswith("P")]
_PUNCTUATION = re.compile(f"[{re.escape(''.join(_MARKS))}]")
_UNSEEN = re.compile(f"[{INVISIBLE}]")


def sentence_key(text: str) -> str:
    """``text`` without what spellings of one sentence differ in: case, punctuation, spaces.

    Every sign of a text without letters counts: 12 - 3 is not 12 * 3.
    """
    folded = text.casefold()
    if not folded.isascii():
        folded = _UNSEEN.sub("", unicodedata.normalize("NFC", folded))
    plain = _PUNCTUATION.sub(" ", folded) if any(map(str.isalpha, folded)) else folded
    return " ".join(plain.split()) or folded
