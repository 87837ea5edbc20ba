"""Cuts the text of documents into sentences for the model, and joins their translations again."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from dragoman.extras import naming_extras
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
_BREAK = re.compile(f" *([{tags.SPACES}])[ {tags.SPACES}]*")


@dataclass(frozen=True, slots=True)
class Format:
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
        MissingExtraError: the package that finds the ends of sentences is not installed.
    """
    with naming_extras():
        from sentencex import segment
    markup = re.compile(f"(?i:{form.markup})|{_ALL}", re.DOTALL)
    for text, write in form.read(lines):
        found = list(markup.finditer(text)) if write else []
        if write and len(found) <= tags.MOST_MARKS:
            yield _block(text, found, form, write, partial(segment, language))
        else:
            yield Block((), partial(_copied, text, write))


def _copied(text: str, write: Write | None, answers: Sequence[str]) -> str:
    return write(text) if write else text


def _block(
    text: str, found: Sequence[re.Match[str]], form: Format, write: Write, cut: Cut
) -> Block:
    """The block of a text.

    Args:
        text: a part of the document, as it stands there.
        found: the markup in it, in order.
        form: the format.
        write: writes text into the document.
        cut: cuts text into sentences.
    """
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
        return Block((), partial(_copied, text, write))
    blank = " " + "".join(sign for sign in markup if tags.tag(sign)[1] == tags.SPACE)
    before, inner, after = left.partition(left.strip(blank))
    units = iter(_UNITS.findall(inner))
    plain = re.sub(r"\s", " ", tags.MARK.sub("", inner))  # the library fails at other white space
    # The library takes the square of the time for a long text.
    parts = re.findall(r"(?s).{1,16384}(?:.*?(?:[。！？।]|\w{4}[.!?])[\s»”’」』)]*|.*)", plain)
    sentences = ["".join(islice(units, len(piece))) for part in parts for piece in cut(part)]
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
