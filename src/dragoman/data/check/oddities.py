"""What can be odd about one pair, how it is found in two columns of them, and its cure.

A column is searched by Arrow's regular expressions (RE2: time linear in the text, whatever it
holds); only the few rows that are met are then looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from dragoman.data.check import letters
from dragoman.data.check.report import Severity, excerpt
from dragoman.data.invisible import INVISIBLE

Column = Any
"""An Arrow array of texts."""
Mask = npt.NDArray[np.bool_]

_TAG = (
    "(?i)</?(?:a|b|big|blockquote|body|br|center|code|del|div|em|font|h[1-6]|head|hr|html|i|img|ins"
    "|li|nowiki|ol|p|pre|ref|s|script|small|span|strong|style|sub|sup|t[dhr]|table|u|ul)"
    "(?: [^<>]*)? ?/?>|<!--|\\{\\{[^{}]+\\}\\}|\\[\\[[^\\[\\]]+\\]\\]"
)
_ADDRESS = "https?://|www\\.[A-Za-z0-9]|[A-Za-z0-9._-]@[A-Za-z0-9-]+\\.[A-Za-z]{2}"


def leave_out(*_: str) -> None:
    """Cure a pair that cannot be put right."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """``find`` tells which pairs of two columns have it, ``detail`` where it is in one pair."""

    kind: str
    severity: Severity
    meaning: str
    find: Callable[[Column, Column], Mask]
    detail: Callable[[str, str], str]
    where: Callable[[str], int] | None = None
    """Its position in one text, -1 for none, where a text can have it by itself."""
    repair: Callable[[str], str] | None = None
    """A text without it."""
    removable: bool = False
    """A pair that cannot be repaired is better left out."""
    may_be_usual: bool = False
    """Where many pairs have it, it is in the data's nature, and no fault."""
    characters: str = ""
    """The class of characters that is looked for, if it is one: each is counted by itself."""

    def cured(self) -> Callable[[str, str], tuple[str, str] | None] | None:
        """What puts a pair right; None where nothing is done."""
        if self.repair is None:
            return leave_out if self.removable else None
        return self._repaired

    def _repaired(self, *sides: str) -> tuple[str, str] | None:
        assert self.repair is not None
        source, target = map(self.repair, sides)
        if self.removable and self.where and max(self.where(source), self.where(target)) >= 0:
            return None
        return source, target


def matching(column: Column, expression: str) -> Mask:
    """Which texts of ``column`` an expression (of RE2) is found in."""
    found: Mask = pc.match_substring_regex(column, expression).to_numpy(zero_copy_only=False)
    return found


def _in_a_text(
    kind: str,
    severity: Severity,
    meaning: str,
    expression: str,
    repair: Callable[[str], str] | None = None,
    *,
    where: Callable[[str], int] | None = None,
    as_code: bool = True,
    **more: Any,
) -> Oddity:
    """An oddity of one side by itself.

    Args:
        kind: its name.
        severity: how bad it is.
        meaning: what it tells.
        expression: every text that has it matches (RE2); no other is looked at.
        repair: a text without it.
        where: its position, -1 for none (default: the first change of ``repair``, or match).
        as_code: name the character at that position by its number.
        more: other fields of :class:`Oddity`.
    """
    at = where or (_changed(repair) if repair else _first(expression))

    def find(source: Column, target: Column) -> Mask:
        masks = []
        for column in (source, target):
            mask = np.array(matching(column, expression))
            for row in np.flatnonzero(mask):
                mask[row] = at(column[int(row)].as_py()) >= 0
            masks.append(mask)
        return masks[0] | masks[1]

    def detail(*sides: str) -> str:
        side, text = ("source", sides[0]) if at(sides[0]) >= 0 else ("target", sides[1])
        place = at(text)
        if as_code:
            return f"{side} has U+{ord(text[place]):04X} in {excerpt(text, place)}"
        return f"{side} has {excerpt(text, place)!r}"

    return Oddity(kind, severity, meaning, find, detail, at, repair, **more)


def _first(expression: str) -> Callable[[str], int]:
    search = re.compile(expression).search
    return lambda text: found.start() if (found := search(text)) else -1


def _changed(repair: Callable[[str], str]) -> Callable[[str], int]:
    """Where a repair begins."""

    def where(text: str) -> int:
        right = repair(text)
        if right == text:
            return -1
        differ = (i for i, (a, b) in enumerate(zip(text, right, strict=False)) if a != b)
        return next(differ, min(len(text), len(right)))

    return where


def _broken_at(text: str) -> int:
    lost = re.search(letters.LOST, text)
    return lost.start() if lost else _changed(letters.decoded_again)(text)


def _wordless(source: Column, target: Column) -> Mask:
    """One side has letters or digits, the other none."""
    return matching(source, "[\\pL\\pN]") ^ matching(target, "[\\pL\\pN]")


def _digits(source: Column, target: Column) -> Mask:
    columns = [pc.replace_substring_regex(side, "[^\\p{Nd}]+", "") for side in (source, target)]
    mask: Mask = pc.not_equal(*columns).to_numpy(zero_copy_only=False).copy()
    for row in np.flatnonzero(mask):
        one, two = (sorted(map(int, column[int(row)].as_py())) for column in columns)
        mask[row] = one != two
    return mask


def _digits_detail(*sides: str) -> str:
    source, target = (excerpt(" ".join(re.findall(r"\d+", text))) or "none" for text in sides)
    return f"{source} against {target}"


ODDITIES: tuple[Oddity, ...] = (
    _in_a_text(
        "broken encoding",
        "warning",
        "decoded wrongly once",
        f"{letters.MANGLED}|{letters.LOST}",
        letters.decoded_again,
        where=_broken_at,
        removable=True,
    ),
    _in_a_text(
        "invisible characters",
        "warning",
        "easily missed",
        letters.UNSEEN,
        letters.visible,
        characters=f"[{INVISIBLE}]",
    ),
    _in_a_text(
        "look-alike letters",
        "warning",
        "of another script than the word they stand in",
        letters.FOREIGN,
        letters.one_script,
    ),
    _in_a_text(
        "mixed scripts",
        "warning",
        "two scripts in one word",
        letters.FOREIGN,
        where=letters.mixed_at,
    ),
    _in_a_text(
        "decomposed letters",
        "warning",
        "not in Unicode's form NFC",
        letters.DECOMPOSED,
        letters.composed,
    ),
    _in_a_text(
        "line ends inside",
        "warning",
        "tabs or line ends inside a text, read as spaces",
        letters.LINE_ENDS,
        letters.on_one_line,
    ),
    _in_a_text(
        "entities",
        "warning",
        "HTML's names for characters",
        letters.ENTITY,
        letters.unescaped,
        as_code=False,
    ),
    _in_a_text(
        "markup", "warning", "tags of HTML or a wiki", _TAG, as_code=False, may_be_usual=True
    ),
    Oddity(
        "wordless",
        "warning",
        "one side has no letter and no digit",
        _wordless,
        lambda *sides: " against ".join(map(excerpt, sides)),
        removable=True,
        may_be_usual=True,
    ),
    _in_a_text(
        "addresses", "note", "of the web or of mail", _ADDRESS, as_code=False, may_be_usual=True
    ),
    _in_a_text(
        "unusual spaces",
        "note",
        "not U+0020",
        letters.SPACES,
        letters.plainly_spaced,
        characters=letters.SPACES,
    ),
    _in_a_text(
        "loose spaces",
        "note",
        "at an end, or two together",
        letters.LOOSE,
        letters.tight,
        as_code=False,
    ),
    Oddity(
        "different digits",
        "note",
        "the two sides do not have the same digits",
        _digits,
        _digits_detail,
        may_be_usual=True,
    ),
)
"""All that is looked for; repairs are made in this order."""
