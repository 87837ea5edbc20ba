"""Text in, text out: line n of what comes out answers line n of what went in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import islice
from typing import Any

import numpy as np

from dragoman.config import SearchOptions
from dragoman.data.tokenizer import Ids, Tokenizer
from dragoman.scorer import Scorer
from dragoman.search.beam import Hypothesis, beam_search

LINES_AT_A_TIME = 2048
"""Lines read, sorted by length and translated before the first of them is given back."""
_SENTENCE_ENDS = tuple(".!?。！？…")
_PAUSES = tuple(",;:、，；：")


@dataclass(frozen=True, slots=True)
class Translation:
    """The answer to one line.

    A line too long for the model is translated in pieces; then there is one best hypothesis, with
    the pieces' tokens one after another.
    """

    source: str
    text: str
    """The best output; empty for an empty line."""
    hypotheses: tuple[Hypothesis, ...]
    """Best first; none for an empty line."""
    texts: tuple[str, ...]
    """The text of each hypothesis."""
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    """Tokens of the best output."""

    @property
    def score(self) -> float:
        """Of the best hypothesis, as search ranks it; 0 for an empty line."""
        return self.hypotheses[0].score if self.hypotheses else 0.0

    def _repr_html_(self) -> str:
        """For notebooks: the source, and each hypothesis with its score."""
        rows = [("", self.source), *((f"{h.score:.3f}", text) for h, text in
                                     zip(self.hypotheses, self.texts, strict=True))]  # fmt: skip
        cells = (f'<tr><th>{n}</th><td dir="auto">{escape(text)}</td></tr>' for n, text in rows)
        return f"<table>{''.join(cells)}</table>"


class Translator:
    """A model with its tokenizers.

    Args:
        scorer: scores next tokens.
        source, target: tokenizers.
        longest: source tokens that the model reads at a time.
    """

    def __init__(
        self, scorer: Scorer[Any], source: Tokenizer, target: Tokenizer, *, longest: int
    ) -> None:
        self.scorer, self.source, self.target = scorer, source, target
        self.longest = longest

    def translate(
        self, lines: Iterable[str], options: SearchOptions, *, attention: bool = False
    ) -> Iterator[Translation]:
        """Answer each line, in their order, however they are batched."""
        remaining = iter(lines)
        while block := list(islice(remaining, LINES_AT_A_TIME)):
            yield from self._translate_block(block, options, attention)

    def _translate_block(
        self, lines: list[str], options: SearchOptions, attention: bool
    ) -> Iterator[Translation]:
        pieces: list[Ids] = []
        places: list[range] = []
        for ids in self.source.encode(lines):
            cut = self._pieces(ids)
            places.append(range(len(pieces), len(pieces) + len(cut)))
            pieces += cut
        found = self._search(pieces, options, attention)
        for line, place in zip(lines, places, strict=True):
            parts = [(pieces[i], found[i]) for i in place]
            yield self._answer(line, parts, options.length_penalty)

    def _search(
        self, pieces: list[Ids], options: SearchOptions, attention: bool
    ) -> list[list[Hypothesis]]:
        """Search all pieces, those of one width together."""
        found: list[list[Hypothesis]] = [[] for _ in pieces]
        widths = np.array([self.scorer.width(len(ids)) for ids in pieces], dtype=np.int64)
        lengths = np.array([len(ids) for ids in pieces], dtype=np.int64)
        order = np.lexsort((lengths, widths))
        cuts = np.flatnonzero(np.diff(widths[order])) + 1
        for group in np.split(order, cuts):
            for start in range(0, len(group), options.batch_size):
                batch = group[start : start + options.batch_size]
                sources = [pieces[i] for i in batch]
                results = beam_search(self.scorer, sources, options, attention=attention)
                for i, hypotheses in zip(batch, results, strict=True):
                    found[i] = hypotheses
        return found

    def _answer(
        self, line: str, parts: Sequence[tuple[Ids, list[Hypothesis]]], penalty: float
    ) -> Translation:
        if not parts:
            return Translation(line, "", (), (), (), ())
        source_tokens = tuple(t for ids, _ in parts for t in self.source.tokens(ids))
        if len(parts) == 1:
            hypotheses = tuple(parts[0][1])
        else:
            hypotheses = (_joined([found[0] for _, found in parts], penalty),)
        texts = tuple(self.target.decode(h.ids) for h in hypotheses)
        if len(parts) > 1:
            texts = (" ".join(self.target.decode(found[0].ids) for _, found in parts),)
        return Translation(
            line, texts[0], hypotheses, texts, source_tokens,
            tuple(self.target.tokens(hypotheses[0].ids)),
        )  # fmt: skip

    def _pieces(self, ids: Ids) -> list[Ids]:
        """Cut a long source where a sentence ends, else at a pause, else anywhere."""
        pieces = []
        while len(ids) > self.longest:
            tokens = self.source.tokens(ids[: self.longest])
            at = _last(tokens, _SENTENCE_ENDS) or _last(tokens, _PAUSES) or self.longest
            pieces.append(ids[:at])
            ids = ids[at:]
        return [*pieces, ids] if len(ids) else pieces


def _last(tokens: Sequence[str], marks: tuple[str, ...]) -> int:
    """How many tokens stand up to the last one that ends in a mark; 0 when none does."""
    return next((i + 1 for i in reversed(range(len(tokens))) if tokens[i].endswith(marks)), 0)


def _joined(parts: Sequence[Hypothesis], penalty: float) -> Hypothesis:
    """The pieces of a long line as one hypothesis; attention does not reach across them."""
    log_prob = sum(part.log_prob for part in parts)
    tokens = sum(len(part.ids) + 1 for part in parts)
    return replace(
        parts[0], ids=tuple(i for part in parts for i in part.ids), log_prob=log_prob,
        score=log_prob / tokens**penalty, complete=all(part.complete for part in parts),
        weights=None,
    )  # fmt: skip
