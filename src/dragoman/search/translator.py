"""Translates lines of text, in their order, and scores given targets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import count
from typing import TypeVar

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.lines import blocks
from dragoman.data.source import Source, extend_target
from dragoman.data.tokenizer import EOS, Tokenizer
from dragoman.search.alignment import copy_unknown
from dragoman.search.batched import BatchedScorer
from dragoman.search.constraints import Constraints, constraints_of
from dragoman.search.hypotheses import Frontier, Hypothesis, joined
from dragoman.search.loop import Sentence, search
from dragoman.search.reading import Piece, join_parts, read_pieces
from dragoman.search.request import Request, RequestReader

Key = TypeVar("Key")
Observer = Callable[[Frontier], None]

LINES_AT_A_TIME = 2048
"""Lines read, sorted by length and translated before the first of them is given back."""
_HYPOTHESES = 1024
"""Hypotheses searched at a time when the batch size is "auto"."""


@dataclass(frozen=True, slots=True)
class Translation:
    """The translation of one line.

    A line too long for the model is translated in pieces; then there is one hypothesis, with the
    pieces' tokens one after another.
    """

    source: str
    text: str
    """The best output; empty for an empty line."""
    hypotheses: tuple[Hypothesis, ...]
    """Best first; none for an empty line."""
    texts: tuple[str, ...]
    """The text of each hypothesis; all are different."""
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    """Tokens of the best output."""
    unmet: tuple[str, ...] = ()
    """Phrases of the request's ``must`` that the best output does not contain."""

    @property
    def score(self) -> float:
        """The best hypothesis' score, by which search ranks; 0 for an empty line."""
        return self.hypotheses[0].score if self.hypotheses else 0.0

    def _repr_html_(self) -> str:
        """For notebooks: the source, and each hypothesis with its score."""
        scores = ["", *(f"{hypothesis.score:.3f}" for hypothesis in self.hypotheses)]
        rows = zip(scores, (self.source, *self.texts), strict=True)
        cells = (f'<tr><th>{n}</th><td dir="auto">{escape(text)}</td></tr>' for n, text in rows)
        return f"<table>{''.join(cells)}</table>"


@dataclass(frozen=True, slots=True)
class Scored:
    """The log-probability of a given target."""

    source: str
    target: str
    hypothesis: Hypothesis
    tokens: tuple[str, ...]
    """The tokens of the hypothesis' steps: the target's, then the end token."""


class Translator:
    """A model with its tokenizers. Several threads may use it at the same time.

    Args:
        scorer: scores next tokens.
        source, target: tokenizers.
        longest: maximum number of source tokens that the model reads at a time.
        others: the source tokenizers of an ensemble's other members.
    """

    def __init__(
        self,
        scorer: BatchedScorer,
        source: Tokenizer,
        target: Tokenizer,
        *,
        longest: int,
        others: Sequence[Tokenizer] = (),
    ) -> None:
        self.scorer, self.source, self.target, self.longest = scorer, source, target, longest
        self._sources, self._requests = [source, *others], RequestReader(target)

    def translate(
        self,
        lines: Iterable[str | Request],
        options: SearchOptions,
        *,
        attention: bool = False,
        dictionary: Mapping[str, str] | None = None,
        observer: Observer | None = None,
    ) -> Iterator[Translation]:
        """Translate each line; the translations come in the order of the lines.

        Args:
            lines: raw text, or text with constraints. If a line is too long for the model, prefix
                and required words apply to its first piece.
            options: how to search.
            attention: keep the attention weights of each hypothesis.
            dictionary: translations of source words, which replace unknown words of the output.
            observer: called before every step of search with the hypotheses that are open; with
                several lines by several threads.

        Raises:
            OptionError: a constraint of a line cannot be met with this vocabulary.
        """
        for block in blocks(lines, LINES_AT_A_TIME):
            requests = [Request(line) if isinstance(line, str) else line for line in block]
            sentences, parts = self._sentences(requests, options)
            found = iter(self._search(sentences, options, attention, observer))
            for request, mine in zip(requests, parts, strict=True):
                answers = [(piece, next(found)) for piece in mine]
                yield self._answer(request, answers, options, dictionary or {})

    def answer_each(
        self,
        requests: Iterable[tuple[Key, Request] | None],
        options: SearchOptions,
        answer: Callable[[Key, Translation], None],
    ) -> None:
        """Translate requests that arrive while others are searched, all in one batch.

        Args:
            requests: each with a key of the caller's. The iterator is asked before every step of
                search; None means "no more for now", and must not come while no request is open.
            options: how to search.
            answer: called with a request's key and its translation, attention included, as soon as
                its search ends.

        Raises:
            OptionError: a constraint of a request cannot be met with this vocabulary.
        """
        at_work: dict[int, tuple[Key, Request, dict[Piece, list[Hypothesis]], Piece]] = {}
        numbers = count()

        def sentences() -> Iterator[Sentence | None]:
            for item in requests:
                if item is None:
                    yield None
                    continue
                key, request = item
                asked, (pieces,) = self._sentences([request], options)
                found: dict[Piece, list[Hypothesis]] = {piece: [] for piece in pieces}
                if not pieces:
                    answer(key, self._answer(request, [], options, {}))
                for piece, sentence in zip(pieces, asked, strict=True):
                    at_work[next(numbers)] = key, request, found, piece
                    yield sentence

        size = _batch_size(options)
        results = search(self.scorer, sentences(), options, attention=True, batch_size=size)
        for number, hypotheses in results:
            key, request, found, piece = at_work.pop(number)
            found[piece] = hypotheses
            if all(found.values()):
                answer(key, self._answer(request, [*found.items()], options, {}))

    def check(self, request: Request, options: SearchOptions) -> None:
        """Check that the constraints of a request can be met.

        Raises:
            OptionError: a constraint cannot be met with this vocabulary.
        """
        for piece in self._read([request.source], options.long)[:1]:
            self._requests.constraints(request, piece, options)

    def score(self, pairs: Iterable[tuple[str, str]], options: SearchOptions) -> Iterator[Scored]:
        """Compute the log-probability of the target of each pair, end token included.

        It runs search with the whole target as prefix, so that the numbers are those of a
        translation. A source of any length is read whole.
        """
        options = replace(options, beam=1, n_best=1, temperature=0.0, unknown="keep", no_repeat=0)
        for block in blocks(pairs, LINES_AT_A_TIME):
            pieces = self._read([source for source, _ in block], "whole")
            targets = self.target.encode([target for _, target in block])
            sentences = list[Sentence]()
            for number, (piece, (_, target)) in enumerate(zip(pieces, block, strict=True)):
                if piece.own:
                    words = self.target.pieces(target), piece.own
                    targets[number] = extend_target(targets[number], *words, len(self.target))
                plain, prefix = constraints_of(options, piece.sources[0]), targets[number].tolist()
                asked = replace(plain, min_length=0, max_length=len(prefix), prefix=(*prefix, EOS))
                sentences.append((_with_wanted(piece.sources, asked), asked))
            found = self._search(sentences, options)
            for (hypothesis,), piece, ids, pair in zip(found, pieces, targets, block, strict=True):
                tokens = self.target.tokens([*ids, EOS], piece.own)
                yield Scored(*pair, hypothesis, tuple(tokens))

    def _sentences(
        self, requests: Sequence[Request], options: SearchOptions
    ) -> tuple[list[Sentence], list[list[Piece]]]:
        """One sentence for each piece of every line, in order, and the pieces of each line."""
        sentences, parts = list[Sentence](), [list[Piece]() for _ in requests]
        for piece in self._read([request.source for request in requests], options.long):
            request, begun = requests[piece.line], parts[piece.line]
            if begun:  # a later piece
                request = replace(request, prefix="", must=())
            begun.append(piece)
            asked = self._requests.constraints(request, piece, options)
            sentences.append((_with_wanted(piece.sources, asked), asked))
        return sentences, parts

    def _read(self, lines: Sequence[str], long: str) -> list[Piece]:
        target = self.target if self.scorer.copies else None
        return read_pieces(lines, self._sources, target, self.longest, long)

    def _search(
        self,
        sentences: Sequence[Sentence],
        options: SearchOptions,
        attention: bool = False,
        observer: Observer | None = None,
    ) -> list[list[Hypothesis]]:
        """The hypotheses of each sentence; every thread gets long sentences and short ones."""
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i][0][0]))
        workers = max(1, min(self.scorer.concurrency, len(order)))
        size = _batch_size(options)
        ask = partial(search, attention=attention, batch_size=size, observer=observer)
        found: list[list[Hypothesis]] = [[]] * len(sentences)

        def run(share: list[int]) -> None:
            for number, hypotheses in ask(self.scorer, (sentences[i] for i in share), options):
                found[share[number]] = hypotheses

        with ThreadPoolExecutor(workers, "search") as pool:
            list(pool.map(run, (order[start::workers] for start in range(workers))))
        return found

    def _answer(
        self,
        request: Request,
        parts: Sequence[tuple[Piece, list[Hypothesis]]],
        options: SearchOptions,
        dictionary: Mapping[str, str],
    ) -> Translation:
        if not parts:
            return Translation(request.source, "", (), (), (), (), request.must)

        def said(hypothesis: Hypothesis, piece: Piece) -> list[str]:
            """The output's tokens, with copied words."""
            tokens = self.target.tokens(hypothesis.ids, piece.own)
            if options.unknown == "copy":
                sides = (self.source, self.target)
                tokens = copy_unknown(tokens, hypothesis, piece.text, sides, dictionary)
            return tokens

        bests = [said(found[0], piece) for piece, found in parts]
        (first, others), *later = parts
        text = join_parts(map(self.target.join, bests))
        by_text = {text: joined([found[0] for _, found in parts], options) if later else others[0]}
        for hypothesis in [] if later else others[1:]:
            if len(by_text) == options.n_best:
                break
            by_text.setdefault(self.target.join(said(hypothesis, first)), hypothesis)
        return Translation(
            request.source,
            text,
            tuple(by_text.values()),
            tuple(by_text),
            tuple(token for piece, _ in parts for token in self.source.tokens(piece.ids)),
            tuple(token for best in bests for token in best),
            self._requests.unmet(request, first, others[0].ids),
        )


def _batch_size(options: SearchOptions) -> int:
    """How many lines are searched at the same time."""
    if isinstance(options.batch_size, int):
        return options.batch_size
    return max(1, _HYPOTHESES // options.hypotheses)


def _with_wanted(sources: tuple[Source, ...], asked: Constraints) -> tuple[Source, ...]:
    """The sources, with the ids that a shortlist must not leave out: those of the constraints."""
    words = {*asked.prefix, *(asked.phrases.tokens if asked.phrases else ())}
    if not words:
        return sources
    wanted = np.array(sorted(words), np.int32)
    return tuple(replace(source, wanted=wanted) for source in sources)
