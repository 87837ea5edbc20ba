"""Turns lines of text into sources: whole lines, or pieces of long ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman.data.copies import copy_ids
from dragoman.data.source import Source
from dragoman.data.tokenizer import Ids, Tokenizer, without_surrogates

_SENTENCE_ENDS = tuple(".!?。！？…")
_PAUSES = tuple(",;:、，；：")


@dataclass(frozen=True, slots=True)
class Piece:
    """What is read at a time: a line, or a part of a long one."""

    text: str
    sources: tuple[Source, ...]
    """What each model reads: several for an ensemble."""
    own: tuple[str, ...] = ()
    """The source's own words: those that a copying model can say although the vocabulary lacks
    them, in the order of their ids."""

    @property
    def ids(self) -> Ids:
        """The tokens that the first model reads."""
        return self.sources[0].ids


class Reader:
    """Turns lines into pieces.

    Args:
        sources: the source tokenizer of every model that reads.
        target: the tokenizer of what they say.
        longest: maximum number of source tokens that the first model reads at a time.
        copies: the models copy source words.
    """

    def __init__(
        self, sources: Sequence[Tokenizer], target: Tokenizer, longest: int, *, copies: bool
    ) -> None:
        self.sources, self.target = sources, target
        self.longest, self.copies = longest, copies

    def read(self, lines: Sequence[str], long: str = "split") -> list[list[Piece]]:
        """The pieces of each line; none where nothing is left of it.

        Args:
            lines: raw text.
            long: ``split`` a long line, ``truncate`` it, or read it ``whole``.
        """
        lines = [without_surrogates(line) for line in lines]
        texts: list[str] = []
        counts = []
        for line, ids in zip(lines, self.sources[0].encode(lines), strict=True):
            fits = len(ids) <= self.longest or long == "whole"
            parts = [line] if fits else self._parts(line, long)
            texts += parts
            counts.append(len(parts))
        pieces = iter(self._pieces(texts))
        read = [[next(pieces) for _ in range(count)] for count in counts]
        return read if long == "whole" else [[p for p in line if len(p.ids)] for line in read]

    def _pieces(self, texts: list[str]) -> list[Piece]:
        every = zip(*(tokenizer.encode(texts) for tokenizer in self.sources), strict=True)
        if not self.copies:
            sources = [tuple(map(Source, ids)) for ids in every]
            return list(map(Piece, texts, sources))
        pieces = []
        for text, ids in zip(texts, every, strict=True):
            copies, own = copy_ids(self.sources[0].pieces(text), self.target)
            pieces.append(Piece(text, tuple(Source(one, copies) for one in ids), tuple(own)))
        return pieces

    def _parts(self, line: str, way: str) -> list[str]:
        """Cut a long line where a sentence ends, else at a pause, else anywhere; or cut it off."""
        spans = self.sources[0].spans(line)
        if way == "truncate":
            return [line[: spans[self.longest - 1][1]]]
        cuts, begun = [0], 0
        while len(spans) - begun > self.longest:
            words = [line[slice(*span)] for span in spans[begun : begun + self.longest]]
            begun += _last(words, _SENTENCE_ENDS) or _last(words, _PAUSES) or self.longest
            cuts.append(spans[begun][0])
        return [line[start:end] for start, end in zip(cuts, [*cuts[1:], None], strict=True)]


def _last(words: Sequence[str], marks: tuple[str, ...]) -> int:
    """How many words stand up to the last one that ends in a mark; 0 when none does."""
    return next((i + 1 for i in reversed(range(len(words))) if words[i].endswith(marks)), 0)
