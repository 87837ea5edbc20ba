"""Tags of a source: they say which form of its words is asked for, or in which language.

A tag is one token at every level, and stands before the tokens of the words. Tags come from columns
of their own, which tabs part from the words ("go<TAB>V;PST;3"), or stand beside the words in one
text ("V;PST;3 go"). The vocabulary names a tag with the number of its column, 0 for the latter:
"1 PST", "0 PST". No other token has a space between characters.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dragoman.errors import DataError, did_you_mean

_TOKEN = re.compile(r"\d+ \S+")
_TAG = re.compile(r"[^;\s]+")
_FEWEST_LINES = 10
"""Lines for each tag: with fewer, a set of words is not taken for tags."""
_MOST, _FEWEST_WORDS = 300, 20
"""Most different tags, and fewest different words that they stand beside."""


def is_tag(token: str) -> bool:
    """Whether a token of a vocabulary is a tag."""
    return _TOKEN.fullmatch(token) is not None


def tag_token(tag: str) -> str:
    """The token of a tag that stands beside the words."""
    return f"0 {tag}"


class Cut(NamedTuple):
    """A source, cut into tags and words."""

    tags: list[str]
    """Their tokens."""
    spans: list[tuple[int, int]]
    """Where in the source each tag stands: first character, and the one after it."""
    start: int
    """Where in the source the words begin."""
    end: int
    """The character after the words."""


class Tags:
    """The tags that a source may have.

    Args:
        tokens: of a vocabulary; those that are no tags are ignored.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens = frozenset(filter(is_tag, tokens))
        self.columns = max((int(token.split()[0]) for token in self.tokens), default=0)

    def __bool__(self) -> bool:
        return bool(self.tokens)

    def __str__(self) -> str:
        """Some of them: ``ACC, IMP, V ...``."""
        return ", ".join(token.split()[1] for token in sorted(self.tokens)[:3]) + " ..."

    def of_column(self, number: int) -> set[str]:
        """The tags of a column."""
        return {t.split()[1] for t in self.tokens if t.startswith(f"{number} ")}

    def in_column(self, number: int, text: str, source: str = "") -> list[str]:
        """The tokens of the tags that a column has, alone or in a source.

        Raises:
            DataError: one is not among these.
        """
        for tag in (found := _TAG.findall(text)):
            if f"{number} {tag}" not in self.tokens:
                cause = f"the tag {tag!r} of {source or text!r} is not one that training saw"
                raise DataError(cause, cure=did_you_mean(tag, self.of_column(number)))
        return [f"{number} {tag}" for tag in found]

    def cut(self, source: str) -> Cut:
        """Find the tags of a source.

        Beside words, those before the first other word are tags or, if there are none, those behind
        the last; one word stays, whatever it is. A source without ink has no tags.

        Raises:
            DataError: it has another number of columns, or a column without a tag or with one that
                is not among these.
        """
        if not self or not source.strip():
            return Cut([], [], 0, len(source))
        return self._by_column(source) if self.columns else self._beside(source)

    def _by_column(self, source: str) -> Cut:
        words, *columns = source.split("\t")
        if len(columns) != self.columns:
            cause = f"{source!r} has {len(columns)} columns of features, {self.columns} expected"
            raise DataError(cause, cure="put a tab before each: 'go<TAB>V;PST'")
        tags = list[str]()
        for number, column in enumerate(columns, 1):
            if not _TAG.search(column):
                raise DataError(f"column {number} of {source!r} is empty", cure="such as 'V;PST'")
            tags += self.in_column(number, column, source)
        spans = [match.span() for match in _TAG.finditer(source, len(words))]
        return Cut(tags, spans, 0, len(words))

    def _beside(self, source: str) -> Cut:
        words = list(re.finditer(r"\S+", source))
        known = [self.tokens.issuperset(map(tag_token, _TAG.findall(word[0]))) for word in words]
        first, last = 0, len(words) - 1
        while first < last and known[first]:
            first += 1
        while first == 0 < last and known[last]:
            last -= 1
        start, end = words[first].start(), words[last].end()
        found = [m for m in _TAG.finditer(source) if m.end() <= start or m.start() >= end]
        return Cut([tag_token(m[0]) for m in found], [m.span() for m in found], start, end)

    def check(self, source: str) -> None:
        """Check that the tags of a source are among these.

        Beside words, an unknown tag is recognised where it is joined to a known one, or where there
        are several words and none of them is a tag.

        Raises:
            DataError: one is not; or as for :meth:`cut`.
        """
        cut = self.cut(source)
        words = source[cut.start : cut.end].split()
        joined = [w for w in words if not self.tokens.isdisjoint(map(tag_token, _TAG.findall(w)))]
        self.in_column(0, " ".join(joined), source)
        # A vocabulary of one tag may have that of data.tag_also, which most sources lack.
        if len(words) > 1 and not cut.tags and len(self.tokens) > 1:
            raise DataError(f"{source!r} has no tag that training saw", cure=f"such as {self}")

    def words(self, source: str) -> str:
        """A source without its tags."""
        cut = self.cut(source)
        return source[cut.start : cut.end]


def column_tags(sources: Sequence[str]) -> set[str]:
    """The tags that sources have in columns of features, as tokens."""
    columns = [(n, text) for s in sources for n, text in enumerate(s.split("\t")) if n]
    return {f"{number} {tag}" for number, text in columns for tag in _TAG.findall(text)}


def find_tags(sources: Sequence[str]) -> Tags:
    """The tags that these sources have beside their words; none where they are ordinary text.

    All words but the last (or but the first) are taken for tags where they are few and frequent,
    while the last (the first) is one of many words with letters.
    """
    lines = [words for source in sources if len(words := source.split()) > 1]
    if 10 * len(lines) < 9 * len(sources):
        return Tags(())
    found = []
    for rest, one in ((slice(-1), -1), (slice(1, None), 0)):
        beside = {word for line in lines for word in line[rest]}
        tags = {tag_token(tag) for word in beside for tag in _TAG.findall(word)}
        others = {line[one] for line in lines if any(map(str.isalpha, line[one]))}
        few = len(tags) <= min(_MOST, len(lines) // _FEWEST_LINES)
        if few and len(others) >= max(_FEWEST_WORDS, len(tags)):
            found.append(Tags(tags))
    return min(found, key=lambda tags: len(tags.tokens), default=Tags(()))
