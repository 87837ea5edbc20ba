"""Blocks of text of a document: cut into sentences for the model, joined again from its answers."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from dragoman.extras import naming_extras
from dragoman.search.keep import UNSPACED
from dragoman.search.reading import CHINESE
from dragoman.search.tags import (
    CLOSING,
    MARK,
    MARKS,
    MOST_MARKS,
    OBJECT,
    OPENING,
    mark,
    pairs_of,
    tag,
)

Part = tuple[str, bool]
Cut = Callable[[str], list[str]]

KEPT = MARK.pattern, "usual"
"""What the sentences of a document keep (:func:`dragoman.search.keep.pattern_of`)."""
_FOREIGN = re.compile(f"[{MARKS}\ud800-\udfff]")
"""Characters that no text has: those of marks, and bytes that are not UTF-8."""
_PLAIN = re.compile(f"[^{MARKS}]", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_CHINESE_END = re.compile(f"[{CHINESE}][{MARKS}]*$")
_BREAKABLE = re.compile(f" |(?<=[{UNSPACED}{CHINESE}])(?=[{UNSPACED}])")
"""Where a line may end: at a space, or between letters of scripts that write none."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the documents of a format are read and written."""

    read: Callable[[Iterable[str]], Iterator[Part]]
    """From the lines of a document its parts, and whether each is text; the others are copied."""
    markup: str = "(?!)"
    """A regular expression for markup inside of sentences: tags; groups ``opening`` and ``closing``
    for other markup around words."""
    decode: Callable[[str], str] = str
    """Turns text as it stands in a document into plain text."""
    encode: Callable[[str], str] = str
    """Turns plain text into text as it stands in a document."""
    space: str = r"\s+"
    """A regular expression for what separates words."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document."""

    sentences: Sequence[str]
    """Plain text with one character for each markup (:func:`dragoman.search.tags.mark`); none where
    the part is copied."""
    joined: Callable[[Sequence[str]], str]
    """Gives the part with these translations of its sentences."""


def filled(blocks: Iterable[Block], answers: Iterator[str]) -> Iterator[str]:
    """The parts of a document with the translations of all their sentences, which come in order."""
    return (block.joined(list(islice(answers, len(block.sentences)))) for block in blocks)


def read_blocks(lines: Iterable[str], form: Format, language: str) -> Iterator[Block]:
    """Read the parts of a document.

    Text without letters is copied, and text with more markup than there are marks.

    Args:
        lines: of the document, with their ends.
        form: its format.
        language: its language as two letters, by whose rules sentences end.

    Raises:
        DataError: the document is not of this format.
        MissingExtraError: the package that finds the ends of sentences is not installed.
    """
    with naming_extras():
        from sentencex import segment
    markup = re.compile(f"{form.markup}|{MARK.pattern}", re.DOTALL | re.IGNORECASE)
    for raw, is_text in form.read(lines):
        found = list(markup.finditer(raw)) if is_text else []
        copied = not is_text or len(found) > MOST_MARKS
        yield _copy(raw) if copied else _block(raw, found, form, partial(segment, language))


def _copy(raw: str) -> Block:
    return Block((), lambda answers: raw)


def _block(raw: str, found: Sequence[re.Match[str]], form: Format, cut: Cut) -> Block:
    """The block of a text with this markup."""
    tags = list(map(_tag, found))
    starts = {end: start for start, end in pairs_of(tags).items()}
    marks = [mark(starts.get(at, at), role) for at, (_, role) in enumerate(tags)]
    markup = dict(zip(marks, (one[0] for one in found), strict=True))
    text, end = "", 0
    for one, sign in zip(found, marks, strict=True):
        text += _FOREIGN.sub("\ufffd", form.decode(raw[end : one.start()])) + sign
        end = one.end()
    text += _FOREIGN.sub("\ufffd", form.decode(raw[end:]))
    if not _LETTER.search(text):
        return _copy(raw)
    inner = text.lstrip().lstrip("\ufeff").lstrip()
    before, after = text[: -len(inner)], inner[len(inner.rstrip()) :]
    text, spaces = _without_spaces(inner.rstrip(), form.space)
    sentences = list(_sentences(text, cut))

    def joined(answers: Sequence[str]) -> str:
        text = ""
        for answer, (_, last) in zip(answers, sentences, strict=True):
            # No space between sentences of Chinese, unless the source is Chinese and has one.
            chinese = _CHINESE_END.search(text) is not None
            same = chinese == (_CHINESE_END.search(last.rstrip()) is not None)
            apart = last[-1:].isspace() if same else not chinese
            text += f" {answer}" if apart else answer
        text = form.encode(f"{before}{_with_spaces(text, spaces)}{after}")
        return MARK.sub(lambda sign: markup.get(sign[0], ""), text)

    return Block([sentence for sentence, _ in sentences], joined)


def _tag(found: re.Match[str]) -> tuple[str, int]:
    """The name of a markup, and what it is (:func:`dragoman.search.tags.tag`)."""
    role = {"opening": OPENING, "closing": CLOSING}.get(found.lastgroup or "")
    if role is None:
        return ("", OBJECT) if MARK.match(found[0]) else tag(found[0])
    return found[0].lstrip("!")[0].replace("]", "["), role


def _without_spaces(text: str, space: str) -> tuple[str, list[tuple[float, str]]]:
    """The text with single spaces between words; what stood there instead, and where.

    A place is 0 at the beginning of the text and 1 at its end. Where a line ends between letters of
    scripts that write no spaces, nothing is left.
    """
    left, spaces, end = "", list[tuple[int, str]](), 0
    for found in re.finditer(space, text):
        left += text[end : found.start()]
        end = found.end()
        if found[0] != " ":
            spaces.append((len(left), found[0]))
        within = "\n" in found[0] and _BREAKABLE.match(left[-1:] + text[end : end + 1], 1)
        left += "" if within else " "
    left += text[end:]
    return left, [(at / len(left), space) for at, space in spaces]


def _with_spaces(text: str, spaces: Sequence[tuple[float, str]]) -> str:
    """The text with other white space, each at the nearest place where a line may end."""
    places = [found.span() for found in _BREAKABLE.finditer(text)]
    joined, begun, end = "", 0, 0
    for share, space in spaces:
        far = {place: abs(place[0] - share * len(text)) for place in places if place[0] > begun}
        if far:
            begun, next_end = min(far, key=far.__getitem__)
            joined, end = joined + text[end:begun] + space, next_end
    return joined + text[end:]


def _sentences(text: str, cut: Cut) -> Iterator[tuple[str, str]]:
    """Cut a text into sentences; with each comes the plain text of the one before it."""
    places = [found.start() for found in _PLAIN.finditer(text)]
    plain = re.sub(r"\s", " ", MARK.sub("", text))  # the library fails at other white space
    start, end, last = 0, 0, ""
    for piece in cut(plain):
        end += len(piece)
        stop = places[end - 1] + 1
        while piece[-1] != " " and MARK.match(text, stop) and tag(text[stop])[1] == CLOSING:
            stop += 1  # a tag that closes, with no space before it
        stop = len(text) if end == len(plain) else stop
        yield text[start:stop].strip(), last
        start, last = stop, piece
