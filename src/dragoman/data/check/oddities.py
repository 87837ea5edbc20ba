"""What can be odd about one pair by itself.

A column is searched by Arrow's regular expressions (RE2: time linear in the text, whatever it
holds); only the few rows that match are then looked at one by one in Python.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dragoman.data.check.clean import (
    REPAIRS,
    TWO_SCRIPTS,
    UNSEEN,
    Repair,
    difference,
    mixed_scripts,
)
from dragoman.data.check.columns import Corpus
from dragoman.data.check.kinds import ALWAYS
from dragoman.data.check.report import Finding, excerpt

_SPACES = "[\u00a0\u1680\u2000-\u200a\u202f\u205f]"
_PATTERNS = {
    "markup": (
        "(?i)</?(?:a|b|big|blockquote|body|br|center|code|del|div|em|font|h[1-6]|head|hr|html|i|img"
        "|ins|li|nowiki|ol|p|pre|ref|s|script|small|span|strong|style|sub|sup|t[dhr]|table|u|ul)"
        "(?: [^<>]*)? ?/?>|<!--|\\{\\{[^{}]+\\}\\}|\\[\\[[^\\[\\]]+\\]\\]"
    ),
    "addresses": "https?://|www\\.[A-Za-z0-9]|[A-Za-z0-9._-]@[A-Za-z0-9-]+\\.[A-Za-z]{2}",
    "unusual spaces": _SPACES,
    "double spaces": "  ",
}
"""What is told and not changed."""
_CLASSES = {"invisible characters": f"[{UNSEEN}]", "unusual spaces": _SPACES}
"""Kinds that are a set of characters: each is counted by itself."""
_RARE = 2
"""A character of the private-use area that comes no oftener is no letter of anybody's script."""


def oddities(corpus: Corpus) -> Iterator[Finding]:
    """What single pairs have, text by text and side against side."""
    for kind, repair in REPAIRS.items():
        yield _in_texts(corpus, kind, repair.expression, partial(_changed, repair))
    yield _in_texts(corpus, "mixed scripts", TWO_SCRIPTS, mixed_scripts)
    for kind, expression in (_PATTERNS | _lost(corpus)).items():
        yield _in_texts(corpus, kind, expression, partial(_matched, expression))
    for kind, differ in (("wordless", _one_has_no_word), ("different digits", _digits_differ)):
        show = excerpt if kind == "wordless" else _numbers
        detail = partial(_both, corpus, show)
        yield _unless_usual(corpus, kind, corpus.rows_where(differ), detail)


def _both(corpus: Corpus, show: Callable[[str], str], row: int) -> str:
    return " against ".join(map(show, corpus.text(row)))


def several_apostrophes(corpus: Corpus) -> Finding:
    """Sides that write the apostrophe in several ways, none of them rare."""
    said = []
    for name, side in (("source", corpus.source), ("target", corpus.target)):
        counts = {c: int(side.alphabet[ord(c)]) for c in "'\u2019\u02bc"}
        if sum(n >= 10 for n in counts.values()) > 1:
            each = (f"U+{ord(c):04X} {n:,} times" for c, n in counts.items() if n)
            said.append(f"{name} has {', '.join(each)}")
    meaning = f"one would do: {'; '.join(said)}"
    return Finding("several apostrophes", "note", len(said), meaning, unit="side")


def _lost(corpus: Corpus) -> dict[str, str]:
    """Expressions for what stands in the place of lost characters, and for private letters."""
    private = {c: n for c, n in corpus.alphabet.items() if "\ue000" <= c <= "\uf8ff"}
    lost = "".join(c for c, n in private.items() if n <= _RARE)
    letters = "".join(c for c, n in private.items() if n > _RARE)
    found = {"lost characters": f"[\u0081\u008d\u008f\u0090\u009d\ufffd{lost}]"}
    return found | ({"private characters": f"[{letters}]"} if letters else {})


def _in_texts(
    corpus: Corpus, kind: str, expression: str, describe: Callable[[str], str]
) -> Finding:
    """Rows with a text that matches ``expression`` and that ``describe`` has words for."""

    def mask(*columns: Any) -> npt.NDArray[np.bool_]:
        masks = [_matching(column, expression) for column in columns]
        for column, found in zip(columns, masks, strict=True):
            for row in np.flatnonzero(found).tolist():
                found[row] = bool(describe(column[row].as_py()))
        return masks[0] | masks[1]

    def detail(row: int) -> str:
        source, target = map(describe, corpus.text(row))
        return f"source has {source}" if source else f"target has {target}"

    return _unless_usual(corpus, kind, corpus.rows_where(mask), detail)


def _unless_usual(corpus: Corpus, kind: str, rows: Any, detail: Callable[[int], str]) -> Finding:
    """A finding; what many pairs have is in the data's nature, and no fault."""
    found = corpus.finding(kind, rows, detail)
    if kind in _CLASSES and found.count:
        counts = corpus.alphabet.items()
        seen = (f"U+{ord(c):04X} {n:,} times" for c, n in counts if re.match(_CLASSES[kind], c))
        found = replace(found, meaning=f"{found.meaning}: {', '.join(seen)}")
    if found.count <= corpus.usual or kind in ALWAYS:
        return found
    meaning = f"{found.meaning}; so many that it is how these data are"
    return replace(found, severity="note", meaning=meaning, fixed=rows[:0])


def _changed(repair: Repair, text: str) -> str:
    """What a repair changes first; empty where it changes nothing."""
    new, plan = repair.apply(text)
    return difference(text, new, plan) if new != text else ""


def _matched(expression: str, text: str) -> str:
    """What an expression matches; empty where it does not."""
    found = re.search(expression, text)
    if not found:
        return ""
    around = excerpt(text, found.start())
    return repr(around) if found[0].isascii() else f"U+{ord(found[0][0]):04X} in {around}"


def _matching(column: Any, expression: str) -> npt.NDArray[np.bool_]:
    """Which texts of ``column`` an expression (of RE2) is found in."""
    found = pc.match_substring_regex(column, expression)
    return np.array(found.to_numpy(zero_copy_only=False))


def _one_has_no_word(source: Any, target: Any) -> npt.NDArray[np.bool_]:
    return _matching(source, "[\\pL\\pN]") ^ _matching(target, "[\\pL\\pN]")


def _digits_differ(*sides: Any) -> npt.NDArray[np.bool_]:
    columns = [pc.replace_substring_regex(side, "[^\\p{Nd}]+", "") for side in sides]
    mask = np.array(pc.not_equal(*columns).to_numpy(zero_copy_only=False))
    for row in np.flatnonzero(mask).tolist():
        # RE2 may know digits that this Python's tables do not: their value is unknown, -1.
        one, two = (
            sorted(unicodedata.decimal(c, -1) for c in column[row].as_py()) for column in columns
        )
        mask[row] = one != two and -1 not in (*one, *two)
    return mask


def _numbers(text: str) -> str:
    return excerpt(" ".join(re.findall(r"\d+", text))) or "none"
