"""Text in, text out: line n of what comes out answers line n of what went in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html import escape
from itertools import chain, islice
from typing import Any, TypeVar

from dragoman.config.options import SearchOptions
from dragoman.data.copies import extend_target
from dragoman.data.tokenizer import EOS, Tokenizer
from dragoman.scorer import Scorer
from dragoman.search.demand import Demand, plain_demand
from dragoman.search.hypothesis import Hypothesis, normalized
from dragoman.search.loop import search
from dragoman.search.reading import Piece, Reader
from dragoman.search.request import Asking, Request
from dragoman.search.unknown import copy_unknown

Item = TypeVar("Item")

LINES_AT_A_TIME = 2048
"""Lines read, sorted by length and translated before the first of them is given back."""
_HYPOTHESES = 1024
"""Hypotheses searched at a time when the batch size is "auto"."""


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
        rows = [
            ("", self.source),
            *(
                (f"{h.score:.3f}", text)
                for h, text in zip(self.hypotheses, self.texts, strict=True)
            ),
        ]
        cells = (f'<tr><th>{n}</th><td dir="auto">{escape(text)}</td></tr>' for n, text in rows)
        return f"<table>{''.join(cells)}</table>"


@dataclass(frozen=True, slots=True)
class Scored:
    """How probable a model finds a target."""

    source: str
    target: str
    hypothesis: Hypothesis
    tokens: tuple[str, ...]
    """What the hypothesis' steps are of: the target's tokens and the end."""


class Translator:
    """A model with its tokenizers.

    Args:
        scorer: scores next tokens.
        source, target: tokenizers.
        longest: source tokens that the model reads at a time.
        others: the source tokenizers of an ensemble's other members.
    """

    def __init__(
        self,
        scorer: Scorer[Any],
        source: Tokenizer,
        target: Tokenizer,
        *,
        longest: int,
        others: Sequence[Tokenizer] = (),
    ) -> None:
        self.scorer, self.source, self.target, self.longest = scorer, source, target, longest
        self._reader = Reader([source, *others], target, longest, copies=scorer.copies)
        self._asking = Asking(target)

    def translate(
        self,
        lines: Iterable[str | Request],
        options: SearchOptions,
        *,
        attention: bool = False,
        dictionary: Mapping[str, str] | None = None,
    ) -> Iterator[Translation]:
        """Answer each line, in their order, however they are batched.

        Args:
            lines: raw text, or text with what is asked of its answer; of a line too long for the
                model, the first piece answers that.
            options: how to search.
            attention: keep the attention weights of each hypothesis.
            dictionary: words to say for source words, where the output has an unknown one.

        Raises:
            OptionError: what a line asks for cannot be said with this vocabulary.
        """
        for block in _blocks(lines):
            requests = [Request(line) if isinstance(line, str) else line for line in block]
            read = self._reader.read([request.source for request in requests], options.long)
            demands = []
            for request, pieces in zip(requests, read, strict=True):
                later = replace(request, prefix="", must=())
                for number, piece in enumerate(pieces):
                    asked = later if number else request
                    demands.append(self._asking.demand(asked, piece.ids, options))
            found = iter(self._search(list(chain(*read)), demands, options, attention))
            for request, pieces in zip(requests, read, strict=True):
                parts = [(piece, next(found)) for piece in pieces]
                yield self._answer(request.source, parts, options, dictionary or {})

    def score(self, pairs: Iterable[tuple[str, str]], options: SearchOptions) -> Iterator[Scored]:
        """How probable the target of each pair is.

        It is the search for an output whose whole text is prescribed, so that its numbers are
        those of a translation. A long source is read whole.
        """
        options = replace(options, beam=1, n_best=1, temperature=0.0, unknown="keep", no_repeat=0)
        for block in _blocks(pairs):
            pieces = [piece for (piece,) in self._reader.read([s for s, _ in block], "whole")]
            targets = self.target.encode([target for _, target in block])
            demands = []
            for number, (piece, (_, target)) in enumerate(zip(pieces, block, strict=True)):
                if piece.own:
                    words = self.target.pieces(target), piece.own
                    targets[number] = extend_target(targets[number], *words, len(self.target))
                ids = targets[number].tolist()
                demand = plain_demand(options, piece.ids)
                demands.append(replace(demand, least=0, most=len(ids), prefix=(*ids, EOS)))
            found = self._search(pieces, demands, options, attention=False)
            for (hypothesis,), piece, ids, pair in zip(found, pieces, targets, block, strict=True):
                tokens = self.target.tokens([*ids, EOS], piece.own)
                yield Scored(*pair, hypothesis, tuple(tokens))

    def _search(
        self,
        pieces: Sequence[Piece],
        demands: Sequence[Demand],
        options: SearchOptions,
        attention: bool,
    ) -> list[list[Hypothesis]]:
        """Search all pieces, the longest first; every worker has long ones and short ones."""
        order = sorted(range(len(pieces)), key=lambda i: -len(pieces[i].ids))

        def run(share: list[int]) -> list[list[Hypothesis]]:
            sources = [pieces[i].reads for i in share]
            wanted = [demands[i] for i in share]
            return search(
                self.scorer,
                sources,
                options,
                wanted,
                attention=attention,
                at_once=_at_once(options),
            )

        found = [list[Hypothesis]()] * len(pieces)
        with self.scorer.at_once() as workers, ThreadPoolExecutor(workers) as pool:
            shares = [order[start::workers] for start in range(min(workers, len(order)))]
            for share, results in zip(shares, pool.map(run, shares), strict=True):
                for i, hypotheses in zip(share, results, strict=True):
                    found[i] = hypotheses
        return found

    def _answer(
        self,
        line: str,
        parts: Sequence[tuple[Piece, list[Hypothesis]]],
        options: SearchOptions,
        dictionary: Mapping[str, str],
    ) -> Translation:
        if not parts:
            return Translation(line, "", (), (), (), ())
        said = [
            [self._tokens(hypothesis, piece, options, dictionary) for hypothesis in found]
            for piece, found in parts
        ]
        hypotheses, texts = tuple(parts[0][1]), [self.target.join(tokens) for tokens in said[0]]
        if len(parts) > 1:
            hypotheses = (_joined([found[0] for _, found in parts], options),)
            texts = [" ".join(filter(None, (self.target.join(best) for best, *_ in said)))]
        return Translation(
            line,
            texts[0],
            hypotheses,
            tuple(texts),
            tuple(token for piece, _ in parts for token in self.source.tokens(piece.ids)),
            tuple(token for best, *_ in said for token in best),
        )

    def _tokens(
        self,
        hypothesis: Hypothesis,
        piece: Piece,
        options: SearchOptions,
        dictionary: Mapping[str, str],
    ) -> list[str]:
        tokens = self.target.tokens(hypothesis.ids, piece.own)
        if options.unknown != "copy":
            return tokens
        sides = (self.source, self.target)
        return copy_unknown(tokens, hypothesis, piece.text, sides, dictionary)


def _blocks(items: Iterable[Item]) -> Iterator[list[Item]]:
    remaining = iter(items)
    while block := list(islice(remaining, LINES_AT_A_TIME)):
        yield block


def _at_once(options: SearchOptions) -> int:
    """Beams that are at work together."""
    most = max(1, _HYPOTHESES // options.hypotheses)
    return most if options.batch_size == "auto" else options.batch_size


def _joined(parts: Sequence[Hypothesis], options: SearchOptions) -> Hypothesis:
    """The pieces of a long line as one hypothesis; attention does not reach across them."""
    log_prob = sum(part.log_prob for part in parts)
    steps = tuple(step for part in parts for step in part.steps)
    return Hypothesis(
        tuple(i for part in parts for i in part.ids),
        log_prob,
        normalized(log_prob, float(len(steps) or 1), options),
        all(part.complete for part in parts),
        steps,
    )
