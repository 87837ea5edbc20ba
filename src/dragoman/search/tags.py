"""Tags in a line: which of them open and close, and where they come in an output, by attention.

A tag is written as itself (``<b>``), or as one character of a private range of Unicode, which
stands for the markup of a document (:func:`mark`).

T target tokens   S source tokens   C places between words
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dragoman.search.network import Integers, Numbers

ROLES = OPENING, CLOSING, OBJECT, SPACE = "opening", "closing", "object", "space"
"""What a part is: a tag before some words, the one behind them, something else, or white space."""
MOST_MARKS = 1 << 14
"""Number of different characters for each role (see :func:`mark`)."""
MARKS, CLOSERS, SPACES = "\U000f0000-\U000fffff", "\U000f4000-\U000f7fff", "\U000fc000-\U000fffff"
"""The characters that stand for markup, and those of them that stand for closing tags and for white
space; each as the inside of a class of a regular expression."""
MARK = re.compile(f"[{MARKS}]")
_FIRST = ord(MARKS[0])
_TAG = re.compile(r"<(/?)(?!(?:br|hr|img|input|wbr)\b)([A-Za-z][\w-]*)(?=[\s/>])[^<]*(?<!/)>", re.I)
"""An opening or a closing tag, but not one that stands alone, such as ``<br>`` or ``<a/>``."""
_TOO_MANY = 1e6
"""More tokens than an output has: the cost of one that is not free."""
_LINE = -1
"""Stands for the whole line, as if it were a pair of tags around all others."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A part of a line that was taken out."""

    text: str
    at: int
    """Its place: the number of characters before it in the line that is left."""
    before: str
    """The character before it in the line; empty at the beginning."""
    after: str
    """The character after it in the line; empty at the end."""


def mark(number: int, role: str) -> str:
    """The character of a tag; an opening tag and its closing one have the same number."""
    return chr(_FIRST + MOST_MARKS * ROLES.index(role) + number)


def tag(text: str) -> tuple[str, str]:
    """The name of a tag, or of the character that stands for one, and what it is."""
    if MARK.fullmatch(text):
        role, number = divmod(ord(text) - _FIRST, MOST_MARKS)
        return str(number), ROLES[role]
    found = _TAG.fullmatch(text)
    return (found[2].lower(), CLOSING if found[1] else OPENING) if found else ("", OBJECT)


def with_marks(text: str, line: str) -> str:
    """A text with the marks of a line: those at its beginning, and behind the text all others."""
    found = MARK.sub("", line)[:1]
    first = line.index(found) if found else len(line)
    return line[:first] + text + "".join(MARK.findall(line[first:]))


def pairs_of(tags: Sequence[tuple[str, str]]) -> dict[int, int]:
    """The position of the closing tag of each opening one; two pairs never overlap in part.

    Args:
        tags: the name of each, and what it is.
    """
    begun, still, pairs = list[int](), Counter[str](), dict[int, int]()
    for at, (name, role) in enumerate(tags):
        if role == OPENING:
            begun.append(at)
            still[name] += 1
        elif role == CLOSING and still[name]:
            while tags[start := begun.pop()][0] != name:  # nothing closes it
                still[tags[start][0]] -= 1
            still[name] -= 1
            pairs[start] = at
    return pairs


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which part of a line each token of its output attends to."""

    line: str
    spans: Integers
    """The first character of each token of the line, and the one after its last, [S, 2]."""
    weights: Numbers
    """Attention of each token of the output, [T, S]."""
    marks: npt.NDArray[np.bool_]
    """Which tokens of the output have no letters or digits, [T]."""
    cuts: Integers
    """The numbers of tokens after which a tag may come, ascending, [C]."""

    def run(self, first: int, end: int, free: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
        """The run of free tokens that belongs to the words between two characters of the line.

        It has the most tokens that attend to these words, and the fewest others. A mark that ends
        it belongs to it only if the words end in a mark. None: there are no words or free tokens.
        """
        words = (self.spans[:, 1] > first) & (self.spans[:, 0] < end)  # [S]
        if first == end or not words.any():
            return None
        gains = 2 * self.weights[:, words].sum(1, dtype=np.float64) - 1  # [T]
        gains[words[self.weights.argmax(1)]] = 1.5  # more than any other can have
        if self.line[first:end].rstrip()[-1:].isalnum():
            gains[self.marks] = -1.0
        totals = np.append(0.0, np.where(free, gains, -_TOO_MANY).cumsum())[self.cuts]
        sums = np.where(np.tri(len(totals), dtype=bool), -np.inf, totals - totals[:, None])
        start, stop = np.unravel_index(sums.argmax(), sums.shape)
        none = sums[start, stop] < -_TOO_MANY / 2
        return None if none else (int(self.cuts[start]), int(self.cuts[stop]))

    def place(self, at: int, free: Integers) -> int:
        """The one of the free places in the output that belongs to a character of the line.

        There the fewest tokens change sides: those before it that attend to what is behind the
        character, and those behind it that attend to what is before it. Of equal places it is one
        beside a token that attends to the neighbour of the character.
        """
        starts = self.spans[:, 0]
        reads = starts[self.weights.argmax(1)]  # [T]
        changes = np.append(0.0, np.where(reads >= at, 1, -1).cumsum())  # but for a constant
        changes[1:] -= 0.3 * (reads == starts[starts < at].max(initial=-1))
        changes[:-1] -= 0.3 * (reads == starts[starts >= at].min(initial=len(self.line)))
        return int(free[changes[free].argmin()])


def arranged(kept: Sequence[Kept], words: Alignment) -> list[tuple[Kept, int]]:
    """The parts in the order of the output, each with the number of tokens before it.

    Pairs of tags stay nested as they were; other parts stay inside or outside of them, and in their
    order. A pair with no words comes as a whole.

    Args:
        kept: the parts, in the order of the line.
        words: where the words of the line went.
    """
    pairs = pairs_of([tag(one.text) for one in kept])
    owner = np.full(len(words.weights), _LINE)  # the innermost pair around each token
    inside = np.full(len(owner) + 1, _LINE)  # the innermost pair that goes on at each place
    places = {_LINE: (int(words.cuts[0]), int(words.cuts[-1]))}  # the first and last of each pair
    begun, others, at = [_LINE], list[tuple[int, int, Kept]](), 0
    found = list[tuple[int, tuple[float, float], int, Kept]]()
    while at < len(kept):
        one, end, last = kept[at], pairs.get(at, at), places[begun[-1]][1]
        if pairs.get(begun[-1]) == at:
            found.append((last, (0, -begun.pop()), at, one))
        elif run := words.run(one.at, kept[end].at, owner == begun[-1]):
            owner[slice(*run)] = inside[run[0] + 1 : run[1]] = at
            places[at] = run
            found.append((run[0], (2, at), at, one))
            begun.append(at)
        else:
            whole = "".join(part.text for part in kept[at : end + 1])
            others.append((begun[-1], at, Kept(whole, one.at, one.before, kept[end].after)))
            at = end
        at += 1
    for pair, at, one in others:
        first, last = places[pair]
        free = words.cuts[(first <= words.cuts) & (words.cuts <= last)]
        place = words.place(one.at, free[(inside[free] == pair) | (free == first) | (free == last)])
        places[pair] = place, last
        # At one place come: ends of pairs, the innermost first; other parts; beginnings of pairs.
        order = {first: (2, pair + 0.5), last: (0, -pair - 0.5)}.get(place, (1, 0))
        found.append((place, order, at, one))
    return [(one, place) for place, _, _, one in sorted(found, key=lambda item: item[:3])]
