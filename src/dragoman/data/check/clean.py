"""Text put right where it is wrong beyond doubt: encodings and entities by ftfy, and a few more.

What a language or a task may need stays as it is: apostrophes, quotes, widths of letters, spaces
within a text, words of one script, and invisible characters in scripts that are spelt with them.
"""

import re
import unicodedata
from collections.abc import Callable, Collection

from ftfy import TextFixerConfig, fix_encoding, fix_encoding_and_explain
from ftfy.fixes import fix_c1_controls, unescape_html

from dragoman.data.check.report import excerpt
from dragoman.data.invisible import INVISIBLE, JOINERS
from dragoman.data.lines import LINE_END

LATIN = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]"
_GREEK, _CYRILLIC = "[\u0370-\u03ff]", "[\u0400-\u052f]"
_GREEK_TWIN = "[ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο]"  # they look like Latin letters
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}
# A single Greek letter at the edge of a Latin word is a symbol: kΩ, Δt, μm.
MIXED_SCRIPTS = (
    f"{LATIN}['\u2019]?{_CYRILLIC}|{_CYRILLIC}['\u2019]?{LATIN}"
    f"|{LATIN}{_GREEK}{{2}}|{_GREEK}{{2}}{LATIN}|{LATIN}{_GREEK}{LATIN}"
    f"|{_GREEK_TWIN}{LATIN}{{2}}|{LATIN}{{2}}{_GREEK_TWIN}"
)
"""Where letters of two scripts stand in one word."""
_UNSEEN = INVISIBLE.replace("\ufeff", "")
_SPELT_WITH_INVISIBLE = re.compile(
    "[^\\W\\d_\0-\u052f\u1c80-\u1c8f\u1d00-\u1fff\u2100-\u218f\u2c60-\u2c7f\ua640-\ua7ff]"
)
"""Letters of scripts other than Latin, Greek and Cyrillic."""
_EUROPEAN = re.compile(f"{LATIN}|{_GREEK}|{_CYRILLIC}")
_ENTITY = "&#?[0-9A-Za-z]{1,24};"
_ENCODING = TextFixerConfig(replace_lossy_sequences=False)


def _decoded(text: str) -> str:
    """Text that was decoded wrongly, decoded rightly."""
    return fix_c1_controls(fix_encoding(text, _ENCODING))


def _visible(text: str) -> str:
    """Without invisible characters, but for those that a script may be spelt with."""
    if _SPELT_WITH_INVISIBLE.search(text) or not _EUROPEAN.search(text):
        return text.replace("\u00ad", "")
    text = re.sub(f"[{_UNSEEN}]", "", text)
    return re.sub(f"(?<={LATIN})[{JOINERS}]+(?={LATIN})", "", text)


def _unescaped(text: str) -> str:
    """HTML's entities as characters, unless the text has signs of its own beside their names.

    A text with both ``&lt;`` and ``<`` is about HTML.
    """
    signs = {unescape_html(name) for name in re.findall(_ENTITY, text)} & set("<>&")
    return text if any(sign in re.sub(_ENTITY, "", text) for sign in signs) else unescape_html(text)


def _composed(text: str) -> str:
    """Accents joined to their letters (NFC); marks that only change places stay."""
    composed = unicodedata.normalize("NFC", text)
    return composed if len(composed) < len(text) else text


REPAIRS: dict[str, tuple[str, Callable[[str], str]]] = {
    "entities": (_ENTITY, _unescaped),
    "broken encoding": ("[\u0080-\u009f]|[^\\x00-\\x7f]{2}|[ÂÃÅÎÐÙâãð] ", _decoded),
    "invisible characters": (f"[{_UNSEEN}{JOINERS}]", _visible),
    "ligatures": ("[\ufb00-\ufb06]", lambda text: text.translate(_LIGATURES)),
    "decomposed letters": ("[^\\x00-\\x{2ff}]", _composed),
    "byte order marks": ("\ufeff", lambda text: text.replace("\ufeff", "")),
    "line ends inside": (LINE_END.pattern, lambda text: LINE_END.sub(" ", text)),
    "loose spaces": ("^ | $", lambda text: text.strip(" ")),
}
"""By kind, in the order in which they are made: an expression (of RE2) that every text to be
changed matches, and a function that gives the text put right, or the same text."""


def clean(text: str, kinds: Collection[str] = REPAIRS.keys()) -> tuple[str, dict[str, str]]:
    """Put ``text`` right; cleaning the result again changes nothing.

    Returns:
        The new text, and for each kind of ``kinds`` that was found what changed first.
    """
    changes: dict[str, str] = {}
    before = ""
    while text != before:
        before = text
        for kind in (kind for kind in REPAIRS if kind in kinds):
            if change := changed(kind, text):
                text = REPAIRS[kind][1](text)
                changes.setdefault(kind, change)
    return text, changes


def changed(kind: str, old: str) -> str:
    """The first place that a repair changes, as ``old → new (plan of ftfy)``; empty if nowhere."""
    new = REPAIRS[kind][1](old)
    if new == old:
        return ""
    at = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new))
    plan = "apply unescape_html" if kind == "entities" else ""
    if kind == "broken encoding":
        plan = ", ".join(map(" ".join, fix_encoding_and_explain(old, _ENCODING).explanation or ()))
    return f"{excerpt(old, at)!r} → {excerpt(new, at)!r}{f' ({plan})' if plan else ''}"
