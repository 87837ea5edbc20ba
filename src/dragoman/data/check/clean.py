"""Text put right where it is wrong beyond doubt: encodings and entities by ftfy, and a few more.

What a language or a task may need stays as it is: apostrophes, quotes, widths of letters, spaces
within a text, words of one script, and invisible characters in scripts that are spelt with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ftfy import TextFixerConfig, fix_and_explain

from dragoman.data.check.report import excerpt
from dragoman.data.invisible import INVISIBLE, JOINERS
from dragoman.data.lines import LINE_END

LATIN = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]"
GREEK, CYRILLIC = "[\u0370-\u03ff]", "[\u0400-\u052f]"
TWO_SCRIPTS = f"(?s){LATIN}.*[\u0370-\u052f]|[\u0370-\u052f].*{LATIN}"
"""Latin letters beside Greek or Cyrillic ones somewhere in a text."""
_LIGATURE = "[\ufb00-\ufb06]"
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
    f"{LATIN}['\u2019]?{CYRILLIC}|{CYRILLIC}['\u2019]?{LATIN}"
    f"|{LATIN}{GREEK}{{2}}|{GREEK}{{2}}{LATIN}|{LATIN}{GREEK}{LATIN}"
)
UNSEEN = INVISIBLE.replace("\ufeff", "")
_SPELT_WITH_INVISIBLE = re.compile(
    "[^\\W\\d_\0-\u052f\u1c80-\u1c8f\u1d00-\u1fff\u2100-\u218f\u2c60-\u2c7f\ua640-\ua7ff]"
)
"""Letters of scripts other than Latin, Greek and Cyrillic."""

_ENCODING = TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    replace_lossy_sequences=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    fix_surrogates=False,
    remove_control_chars=False,
    normalization=None,
)
_ENTITIES = _ENCODING._replace(unescape_html=True, fix_encoding=False, fix_c1_controls=False)


def _by_ftfy(config: TextFixerConfig) -> Callable[[str], tuple[str, str]]:
    def repair(text: str) -> tuple[str, str]:
        fixed, plan = fix_and_explain(text, config)
        return fixed, ", ".join(f"{step.action} {step.parameter}" for step in plan or ())

    return repair


def _by(function: Callable[[str], str]) -> Callable[[str], tuple[str, str]]:
    return lambda text: (function(text), "")


def one_script(text: str) -> str:
    """Replace letters of another script in a word by those of the word that they look like.

    A word whose letters are all of one script stays, whatever they look like: *poca* in Cyrillic
    letters is a Russian word. So does a word that could be meant in either script.
    """

    def word(found: re.Match[str]) -> str:
        latin = re.findall(LATIN, found[0])
        others = [(script, re.findall(script, found[0])) for script in (GREEK, CYRILLIC)]
        present = [(script, letters) for script, letters in others if letters]
        if not latin or len(present) != 1:
            return found[0]
        ((script, foreign),) = present
        back = {twin: c for c, twin in _TWINS.items() if re.match(script, c)}
        to_latin, to_foreign = set(foreign) <= _TWINS.keys(), set(latin) <= back.keys()
        if to_latin and to_foreign:
            to_latin, to_foreign = len(foreign) < len(latin), len(latin) < len(foreign)
        table = _TWINS if to_latin else back if to_foreign else {}
        return "".join(table.get(c, c) for c in found[0])

    plain = re.sub(_LIGATURE, lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _WORD.sub(word, plain)


def mixed_scripts(text: str) -> str:
    """Where letters of two scripts stand in one word and are no look-alikes; empty if nowhere."""
    found = _MIXED.search(one_script(text))
    return repr(excerpt(text, found.start())) if found else ""


def _visible(text: str) -> str:
    """Without invisible characters, but for those that a script may be spelt with."""
    if _SPELT_WITH_INVISIBLE.search(text):
        return text.replace("\u00ad", "")
    text = re.sub(f"[{UNSEEN}]", "", text)
    return re.sub(f"(?<={LATIN})[{JOINERS}]+(?={LATIN})", "", text)


def _composed(text: str) -> str:
    """Accents joined to their letters (NFC); marks that only change places stay."""
    composed = unicodedata.normalize("NFC", text)
    return composed if len(composed) < len(text) else text


@dataclass(frozen=True, slots=True)
class Repair:
    """How one kind of fault is put right."""

    expression: str
    """Every text that is changed matches it (RE2)."""
    apply: Callable[[str], tuple[str, str]]
    """The text put right, or the same text; and ftfy's plan, where ftfy did it."""


REPAIRS = {
    "entities": Repair("&#?[0-9A-Za-z]{1,24};", _by_ftfy(_ENTITIES)),
    "broken encoding": Repair(
        "[\u0080-\u009f]|[^\\x00-\\x7f]{2}|[ÂÃÅÎÐÙâãð] ", _by_ftfy(_ENCODING)
    ),
    "invisible characters": Repair(f"[{UNSEEN}{JOINERS}]", _by(_visible)),
    "look-alike letters": Repair(f"{TWO_SCRIPTS}|{_LIGATURE}", _by(one_script)),
    "decomposed letters": Repair("[^\\x00-\\x{2ff}]", _by(_composed)),
    "byte order marks": Repair("\ufeff", _by(lambda text: text.replace("\ufeff", ""))),
    "line ends inside": Repair(LINE_END.pattern, _by(lambda text: LINE_END.sub(" ", text))),
    "loose spaces": Repair("^ | $", _by(lambda text: text.strip(" "))),
}
"""By kind, in the order in which they are made."""


def clean(text: str, kinds: Collection[str] = REPAIRS.keys()) -> tuple[str, dict[str, str]]:
    """Put ``text`` right; cleaning the result again changes nothing.

    Returns:
        The new text, and for each kind of ``kinds`` that was found what changed first.
    """
    changes: dict[str, str] = {}
    before = ""
    while text != before:
        before = text
        for kind, repair in REPAIRS.items():
            if kind in kinds:
                new, plan = repair.apply(text)
                if new != text:
                    changes.setdefault(kind, difference(text, new, plan))
                text = new
    return text, changes


def difference(old: str, new: str, plan: str = "") -> str:
    """The first place where two texts differ, as ``old → new (plan)``."""
    same = (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    at = next(same, min(len(old), len(new)))
    return f"{excerpt(old, at)!r} → {excerpt(new, at)!r}{f' ({plan})' if plan else ''}"
