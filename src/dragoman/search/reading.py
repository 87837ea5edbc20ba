"""Turns lines of text into sources: whole lines, or pieces of long ones."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dragoman.data.source import NONE, Source, copy_ids
from dragoman.data.tokenizer import Tokenizer, without_surrogates
from dragoman.search.tags import MARKS

_SENTENCE_END = re.compile(r"[.!?…؟۔](?=\s)|[。！？।॥]")
_PAUSE = re.compile(r"[,;:،](?=\s)|[、，；：]")
"""Marks after which a line is cut; those with a space behind them also stand inside numbers."""
CHINESE = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff65\U00020000-\U0003ffff"
"""Chinese and Japanese, which write no space between sentences, as the inside of a class."""
_UNSPACED = re.compile(f"(?:^|[{CHINESE}][”’»)]?)[{MARKS}]*$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or a part of a long line, which the model reads at a time."""

    line: int
    """The number of its line among those that were read with it, from 0."""
    text: str
    sources: tuple[Source, ...]
    """The source as each model of an ensemble reads it."""
    own: tuple[str, ...] = ()
    """The source's own words, which a copying model can output although the vocabulary lacks them,
    in the order of their ids."""


def read_pieces(
    lines: Sequence[str],
    sources: Sequence[Tokenizer],
    target: Tokenizer | None,
    longest: int,
    long: str = "split",
) -> list[Piece]:
    """The pieces of all lines, in order; none of a line without tokens.

    Args:
        lines: raw text.
        sources: the source tokenizer of every model that reads.
        target: the target tokenizer, for models that copy source words; else None.
        longest: maximum number of source tokens that the first model reads at a time.
        long: ``split`` a longer line, ``truncate`` it, or read it ``whole``; then every line,
            also an empty one, is one piece.
    """
    lines = [without_surrogates(line) for line in lines]
    numbers, texts = list[int](), list[str]()
    for number, (line, ids) in enumerate(zip(lines, sources[0].encode(lines), strict=True)):
        fits = len(ids) <= longest or long == "whole"
        parts = [line] if fits else _parts(line, sources[0], longest, long)
        numbers += [number] * len(parts)
        texts += parts
    pieces = []
    every = zip(*(tokenizer.encode(texts) for tokenizer in sources), strict=True)
    for number, text, encoded in zip(numbers, texts, every, strict=True):
        copies, own = (NONE, []) if target is None else copy_ids(sources[0].pieces(text), target)
        read = tuple(Source(ids, copies) for ids in encoded)
        if len(read[0]) or long == "whole":
            pieces.append(Piece(number, text, read, tuple(own)))
    return pieces


def _parts(line: str, source: Tokenizer, longest: int, way: str) -> list[str]:
    """Cut a long line where a sentence ends, else at a pause, else anywhere; or cut it off.

    Every part has the tags of the line.
    """
    cut = source.tags.cut(line)
    before, behind, longest = line[: cut.start], line[cut.end :], max(1, longest - len(cut.tags))
    spans = source.spans(line)[len(cut.tags) :]
    if way == "truncate":
        return [before + line[cut.start : spans[longest - 1][1]] + behind]
    cuts, begun = [cut.start], 0
    while len(spans) - begun > longest:
        now = spans[begun : begun + longest]
        begun += _last(line, now, _SENTENCE_END) or _last(line, now, _PAUSE) or longest
        cuts.append(spans[begun][0])
    ends = [*cuts[1:], cut.end]
    return [before + line[start:end] + behind for start, end in zip(cuts, ends, strict=True)]


def _last(line: str, spans: Sequence[tuple[int, int]], mark: re.Pattern[str]) -> int:
    """How many tokens stand up to the last one that ends in a mark; 0 when none does."""
    counts = range(len(spans), 0, -1)
    return next((count for count in counts if mark.match(line, spans[count - 1][1] - 1)), 0)


def join_parts(texts: Iterable[str]) -> str:
    """The outputs of a line's parts as one text."""
    line = ""
    for text in filter(None, texts):
        line += f" {text}" if needs_space(line) else text
    return line


def needs_space(text: str) -> bool:
    """Whether a sentence behind this text needs a space: not after Chinese or Japanese."""
    return not _UNSPACED.search(text[-20:])
