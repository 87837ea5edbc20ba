"""Finds pairs that are odd by themselves, without comparison with other pairs.

A column is searched by Arrow's regular expressions (RE2: time linear in the text, whatever it
holds); only the few rows that match are then looked at one by one in Python.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc

from dragoman.data.check.clean import MIXED_SCRIPTS, REPAIRS, changed
from dragoman.data.check.columns import Corpus
from dragoman.data.check.report import ALWAYS, Finding, Numbers, excerpt

_PATTERNS = {
    "mixed scripts": MIXED_SCRIPTS,
    "markup": (
        "(?i)</?(?:a|b|big|blockquote|body|br|center|code|del|div|em|font|h[1-6]|head|hr|html|i|img"
        "|ins|li|nowiki|ol|p|pre|ref|s|script|small|span|strong|style|sub|sup|t[dhr]|table|u|ul)"
        "(?: [^<>]*)? ?/?>|<!--|\\{\\{[^{}]+\\}\\}|\\[\\[[^\\[\\]:\\s][^\\[\\]]*\\]\\]"
    ),
    "addresses": "https?://|www\\.[A-Za-z0-9]|[A-Za-z0-9._-]@[A-Za-z0-9-]+\\.[A-Za-z]{2}",
    "unusual spaces": "[\u00a0\u1680\u2000-\u200a\u202f\u205f]",
    "lost characters": "[\u0081\u008d\u008f\u0090\u009d\ufffd]",
    "private characters": "[\ue000-\uf8ff]",
}
"""Kinds of oddity that are reported but not cleaned, each with an expression that finds it."""
_WORD = "[\\pL\\pN]"


def oddities(corpus: Corpus, *, two_languages: bool) -> Iterator[Finding]:
    """Yield the findings about single texts, then those about the two sides of a pair."""
    for kind, (expression, _) in REPAIRS.items():
        yield _in_texts(corpus, kind, expression, partial(changed, kind))
    for kind, expression in _PATTERNS.items():
        yield _in_texts(corpus, kind, expression, partial(_matched, expression))
    sides = corpus.source.texts, corpus.target.texts
    yield _wordless(corpus, *sides, two_languages=two_languages)
    digits = _different_digits(*sides)
    yield _unusual(corpus, "different digits", digits, partial(_both, corpus, _numbers))


def _wordless(corpus: Corpus, *sides: Any, two_languages: bool) -> Finding:
    """Rows with one side that has no letter and no digit.

    It is an omission beside a sentence of another language; a mark beside a word may be its answer.
    """
    source, target = (np.array(pc.match_substring_regex(side, _WORD)) for side in sides)
    rows = np.flatnonzero(source != target)
    found = _unusual(corpus, "wordless", rows, partial(_both, corpus, excerpt))
    words = np.where(source, corpus.source.tokens, corpus.target.tokens)
    return replace(found, fixed=found.fixed[(words[found.fixed] > 2) & two_languages])


def _in_texts(corpus: Corpus, kind: str, pattern: str, describe: Callable[[str], str]) -> Finding:
    """Rows with a text that matches ``pattern`` and that ``describe`` has words for."""
    found = set[int]()
    for texts in (corpus.source.texts, corpus.target.texts):
        mask = pc.match_substring_regex(texts, pattern)
        matching = zip(np.flatnonzero(mask).tolist(), texts.filter(mask).to_pylist(), strict=True)
        found.update(row for row, text in matching if describe(text))

    def detail(row: int) -> str:
        source, target = map(describe, corpus.text(row))
        return f"source has {source}" if source else f"target has {target}"

    return _unusual(corpus, kind, np.array(sorted(found), np.int64), detail)


def _unusual(corpus: Corpus, kind: str, rows: Numbers, detail: Callable[[int], str]) -> Finding:
    """A finding; what many pairs have is in the data's nature, and no fault."""
    found = corpus.finding(kind, rows, detail)
    if found.count <= corpus.usual or kind in ALWAYS:
        return found
    meaning = f"{found.meaning}; so many that it is how these data are"
    return replace(found, severity="note", meaning=meaning, fixed=rows[:0])


def _matched(expression: str, text: str) -> str:
    """The match of an expression, with a few words around it; empty if there is none."""
    if not (found := re.search(expression, text)):
        return ""
    around = excerpt(text, found.start())
    is_sign = len(found[0]) == 1 and not found[0].isascii()
    return f"U+{ord(found[0]):04X} in {around}" if is_sign else repr(around)


def _both(corpus: Corpus, show: Callable[[str], str], row: int) -> str:
    return " against ".join(map(show, corpus.text(row)))


def _different_digits(*sides: Any) -> Numbers:
    """Rows whose sides do not have the same digits, in whatever order."""
    columns = [pc.replace_substring_regex(side, "[^\\p{Nd}]+", "") for side in sides]
    mask, differ = pc.not_equal(*columns), []
    for pair in zip(*(column.filter(mask).to_pylist() for column in columns), strict=True):
        # RE2 may know digits that this Python's tables do not: their value is unknown, -1.
        one, two = (sorted(unicodedata.decimal(c, -1) for c in digits) for digits in pair)
        differ.append(one != two and -1 not in (*one, *two))
    return np.flatnonzero(mask).compress(differ)


def _numbers(text: str) -> str:
    return excerpt(" ".join(re.findall(r"\d+", text))) or "none"
