"""Cuts the text of documents into sentences for the model, and joins their translations again."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from dragoman.errors import naming_extras
from dragoman.search import tags
from dragoman.search.keep import NAMED
from dragoman.search.reading import needs_space

Write = Callable[[str], str]
"""Turns text into what stands for it in the document, such as ``<`` into ``&lt;``."""
Cut = Callable[[str], list[str]]
"""Cuts text into sentences."""
Part = tuple[str, Write | None]
"""A part of a document: text to translate, with the function that writes it into the document; or
with None what is copied."""

_ALL = (
    rf"{NAMED['usual']}|(?P<object>[{tags.MARKS}\ud800-\udfff])"
    r"|(?P<space>(?! (?![\s\ufeff]|&nbsp;))(?:[\s\ufeff]|&nbsp;|(?<=\n)[\s>]+)+)"
)
"""What is markup in every format: URLs, addresses, fields and tags, as ``--keep usual`` has them;
characters that stand for markup here, and bytes that are not UTF-8; white space other than a single
space, with the marks of a quotation (``>``) at the beginning of its lines."""
_UNITS = re.compile(rf"[{tags.MARKS}]*(?:\s|[^{tags.MARKS}][{tags.CLOSERS}]*)", re.DOTALL)
"""A character with the marks before it, and the tags that close behind it."""
_PARTS = re.compile(
    r".{1,16384}(?:.{,16384}?(?:[。！？।]|\w{4}[.!?])[ »”’」』)]*|.{,9999}?\w{3}[.!?] |\S{,9999} *)"
)
"""A part of a long text, up to the end of a sentence where there is one, else of a word: sentences
stay short, and the library that cuts them takes the square of the time for a long text. A word of
few letters before a full stop may be an abbreviation."""
_BREAK = re.compile(f" *([{tags.SPACES}])[ {tags.SPACES}]*")


class Format(NamedTuple):
    """How the documents of a format are read and written."""

    read: Callable[[Iterable[str]], Iterator[Part]]
    """Yields the parts of a document from its lines."""
    markup: str = "(?!)"
    """A regular expression for markup inside of sentences: tags; groups ``opening`` and ``closing``
    for other markup around words."""
    unescape: Write = str
    """Turns what stands between markup into plain text."""
    escape: Write = str
    """Turns plain text into what stands between markup."""
    whole: Callable[[Iterable[re.Match[str]]], Iterable[re.Match[str]]] = iter
    """Joins markup to elements that stay as they are."""


class Block(NamedTuple):
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
        MissingExtraError: the package that finds the ends of sentences is not installed.
    """
    with naming_extras():
        from sentencex import segment
    markup = re.compile(f"(?i:{form.markup})|{_ALL}", re.DOTALL)
    for text, write in form.read(lines):
        found = list(form.whole(markup.finditer(text))) if write else []
        yield _block(text, found, form, write, partial(segment, language))


def _block(
    text: str, found: Sequence[re.Match[str]], form: Format, write: Write | None, cut: Cut
) -> Block:
    """The block of a text.

    Args:
        text: a part of the document, as it stands there.
        found: the markup in it, in order.
        form: the format.
        write: writes text into the document; None: the text is copied.
        cut: cuts text into sentences.
    """
    if write is None or len(found) > tags.MOST_MARKS:
        return Block((), lambda answers: write(text) if write else text)
    kinds = list(map(_tag, found))
    starts = {end: start for start, end in tags.pairs_of(kinds).items()}
    left, end, markup = "", 0, dict[str, str]()
    for at, (one, (_, role)) in enumerate(zip(found, kinds, strict=True)):
        left += tags.MARK.sub("\ufffd", form.unescape(text[end : one.start()]))
        sign, end = tags.mark(starts.get(at, at), role), one.end()
        markup[sign] = one[0]
        left += f"{sign} " if role == tags.SPACE and needs_space(left) else sign
    left += tags.MARK.sub("\ufffd", form.unescape(text[end:]))
    if not any(map(str.isalpha, left)):
        return Block((), lambda answers: write(text))
    blank = " " + "".join(sign for sign in markup if tags.tag(sign)[1] == tags.SPACE)
    before, inner, after = left.partition(left.strip(blank))
    units = (unit[0] for unit in _UNITS.finditer(inner))
    plain = re.sub(r"\s", " ", tags.MARK.sub("", inner))  # the library fails at other white space
    pieces = chain.from_iterable(map(cut, _PARTS.findall(plain)))
    sentences = ["".join(islice(units, len(piece))) for piece in pieces]
    sentences[-1] += inner[len("".join(sentences)) :]

    def joined(answers: Sequence[str]) -> str:
        text = ""
        for sentence, answer in zip(sentences, answers, strict=True):
            stop = sentence.rstrip()
            alike = needs_space(stop) == needs_space(answer)
            text += answer + (sentence[len(stop) :] if alike else " " * needs_space(answer))
        text = form.escape(f"{before}{text.strip(blank)}{after}")
        text = _BREAK.sub(r"\1", text)  # marks stand for all white space but single spaces
        return write(tags.MARK.sub(lambda sign: markup.get(sign[0], ""), text))

    return Block([sentence.strip() for sentence in sentences], joined)


def _tag(found: re.Match[str]) -> tuple[str, str]:
    """The name of a markup, and what it is (:func:`dragoman.search.tags.tag`)."""
    if found.lastgroup not in tags.ROLES:
        return tags.tag(found[0])
    return found[0].lstrip("!")[0].replace("]", "["), found.lastgroup
