"""Translates lines of text, in their order, and scores given targets."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice
from typing import Any, Self, TypeVar

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.lines import LINES_AT_A_TIME, blocks
from dragoman.data.source import Source, extend_target
from dragoman.data.tokenizer import EOS, Tokenizer
from dragoman.errors import OptionError
from dragoman.search.aids import NO_AIDS, Aids
from dragoman.search.batched import BatchedScorer
from dragoman.search.constraints import Constraints, constraints_of
from dragoman.search.hypotheses import CERTAIN, Frontier, Hypothesis, joined
from dragoman.search.keep import copy_unknown, put_back, take_out
from dragoman.search.loop import Sentence, search
from dragoman.search.reading import Piece, join_parts, read_pieces
from dragoman.search.request import Request, RequestReader, Scored, Translation
from dragoman.search.tags import Kept, with_marks

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Observer = Callable[[Frontier], None]


class Translator:
    """A model with its tokenizers. Several threads may use it at the same time.

    Args:
        scorer: scores next tokens.
        sources: the source tokenizer of every model of an ensemble, or of the one model.
        target: the target tokenizer.
        longest: maximum number of source tokens that the model reads at a time.
    """

    def __init__(
        self, scorer: BatchedScorer, sources: Sequence[Tokenizer], target: Tokenizer, longest: int
    ) -> None:
        self.scorer, self.source, self.target, self.longest = scorer, sources[0], target, longest
        self._sources, self._requests, self._aids = sources, RequestReader(target), NO_AIDS

    def with_aids(self, aids: Aids) -> Self:
        """The same model with what a user gives beside it. To keep parts, it needs attention.

        Raises:
            OptionError: parts are to be kept, and the model has no attention.
        """
        if aids.keep:
            self.require_attention()
        found = copy(self)
        found._aids = aids
        return found

    def require_attention(self) -> None:
        """Refuse a model that cannot keep parts of a line, such as tags, in their places.

        Raises:
            OptionError: it has no attention.
        """
        if not self.scorer.attends:
            cause, cure = "this model has no attention", "leave these out"
            raise OptionError(cause, place="keep, format", cure=cure)

    def translate(
        self,
        lines: Iterable[str | Request],
        options: SearchOptions,
        *,
        attention: bool = False,
        observer: Observer | None = None,
    ) -> Iterator[Translation]:
        """Translate each line; the translations come in the order of the lines.

        Args:
            lines: raw text, or text with constraints. If a line is too long for the model, prefix
                and required words apply to its first piece.
            options: how to search.
            attention: keep the attention weights of each hypothesis.
            observer: called before every step of search with the hypotheses that are open; with
                several lines by several threads.

        Raises:
            OptionError: a constraint of a line cannot be met with this vocabulary.
        """

        def answered(requests: list[Request]) -> list[Translation]:
            sentences, at_work = self._sentences(requests, options)
            needed = attention or any(line.kept for line in at_work)
            found = iter(self._search(sentences, options, attention=needed, observer=observer))
            pieces = (list(islice(found, len(line.pieces))) for line in at_work)
            return [self._answer(*each, options) for each in zip(at_work, pieces, strict=True)]

        asked = (Request(line) if isinstance(line, str) else line for line in lines)
        read = blocks(asked, LINES_AT_A_TIME, lambda one: len(one.source))
        yield from self._in_threads(read, answered)

    def answer_each(
        self,
        requests: Iterable[tuple[Item, Request] | None],
        options: SearchOptions,
        answer: Callable[[Item, Translation], None],
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
        at_work: dict[int, tuple[Item, _Line, list[list[Hypothesis]], int]] = {}
        numbers = count()

        def sentences() -> Iterator[Sentence | None]:
            for item in requests:
                if item is None:
                    yield None
                    continue
                key, request = item
                asked, (line,) = self._sentences([request], options)
                found = [list[Hypothesis]() for _ in asked]
                if not asked:
                    answer(key, self._answer(line, [], options))
                for place, sentence in enumerate(asked):
                    at_work[next(numbers)] = key, line, found, place
                    yield sentence

        for number, hypotheses in search(self.scorer, sentences(), options, attention=True):
            key, line, found, place = at_work.pop(number)
            found[place] = hypotheses
            if all(found):
                answer(key, self._answer(line, found, options))

    def read(self, line: str) -> str | None:
        """What the model reads of a line, without the texts that are kept; None: memory answers."""
        return None if self._aids.memory.answers(line) else self._take_out(line)[0]

    def check(self, request: Request, options: SearchOptions) -> None:
        """Check that the constraints of a request can be met.

        Raises:
            OptionError: a constraint cannot be met with this vocabulary.
            DataError: the source lacks a column of features, or has a tag that training did not
                see.
        """
        self.source.tags.check(self.tagged(request.source))
        for piece in self._read([request.source], options.long)[:1]:
            self._requests.constraints(request, piece, options)

    def score(self, pairs: Iterable[tuple[str, str]], options: SearchOptions) -> Iterator[Scored]:
        """Compute the log-probability of the target of each pair, end token included.

        It runs search with the whole target as prefix, so that the numbers are those of a
        translation. A source of any length is read whole.
        """
        options = replace(options, beam=1, n_best=1, temperature=0.0, unknown="keep", no_repeat=0)

        def scored(pairs: list[tuple[str, str]]) -> Iterator[Scored]:
            pieces = self._read([source for source, _ in pairs], "whole")
            targets = self.target.encode([target for _, target in pairs])
            sentences = list[Sentence]()
            for number, (piece, (_, target)) in enumerate(zip(pieces, pairs, strict=True)):
                if piece.own:
                    words = self.target.pieces(target), piece.own
                    targets[number] = extend_target(targets[number], *words, len(self.target))
                plain, prefix = constraints_of(options, piece.sources[0]), targets[number].tolist()
                asked = replace(plain, min_length=0, max_length=len(prefix), prefix=(*prefix, EOS))
                sentences.append((_with_wanted(piece.sources, asked), asked))
            found = self._search(sentences, options)
            for (hypothesis,), piece, ids, pair in zip(found, pieces, targets, pairs, strict=True):
                yield Scored(*pair, hypothesis, tuple(self.target.tokens([*ids, EOS], piece.own)))

        read = blocks(pairs, LINES_AT_A_TIME, lambda pair: sum(map(len, pair)))
        yield from self._in_threads(read, scored)

    def _in_threads(
        self, read: Iterable[list[Item]], work: Callable[[list[Item]], Iterable[Answer]]
    ) -> Iterator[Answer]:
        """What ``work`` makes of the items of each block, in their order; it gets a share of them.

        A thread does all for its share, so that one reads or writes text while another computes.
        """
        for block in read:
            workers = max(1, min(self.scorer.concurrency, len(block)))
            shares = (block[start::workers] for start in range(workers))
            with ThreadPoolExecutor(workers, "search") as pool:
                made = list(pool.map(lambda share: list(work(share)), shares))
            yield from (made[n % workers][n // workers] for n in range(len(block)))

    def _sentences(
        self, requests: Sequence[Request], options: SearchOptions
    ) -> tuple[list[Sentence], list["_Line"]]:
        """One sentence for each piece of every line, in order, and the lines."""
        sentences, lines = list[Sentence](), list[_Line]()
        for request in requests:
            known = self._aids.memory.answers(request.source)
            text, kept = self._take_out("" if known else request.source)
            found = self._aids.terms.within(self.source.tags.words(text))
            lines.append(_Line(request, known, text, kept, found))
        for piece in self._read([line.text for line in lines], options.long):
            line = lines[piece.line]
            places = range(line.ends[-1], line.ends[-1] + len(self.source.tags.words(piece.text)))
            line.ends.append(places.stop)
            terms = (forms for forms, at in line.terms.items() if at in places)
            prefix, must = ("", ()) if line.pieces else (line.request.prefix, line.request.must)
            request = replace(line.request, prefix=prefix, must=(*must, *terms))
            line.pieces.append((piece, request))
            asked = self._requests.constraints(request, piece, options)
            sentences.append((_with_wanted(piece.sources, asked), asked))
        return sentences, lines

    def tagged(self, line: str) -> str:
        """The line with the target tag, where it lacks its last column of features alone."""
        tag, columns = self._aids.target_tag, self.source.tags.columns
        lacks = tag and line.strip() and line.count("\t") == columns - 1
        return f"{line}\t{tag}" if lacks else line

    def _take_out(self, line: str) -> tuple[str, list[Kept]]:
        """What the model reads of a line, features included, and what is kept of its words."""
        line = self.tagged(line)
        end = self.source.tags.cut(line).end
        words, kept = take_out(line[:end], self._aids.keep)
        return words + line[end:] if words else "", kept

    def _read(self, lines: Sequence[str], long: str) -> list[Piece]:
        target = self.target if self.scorer.copies else None
        return read_pieces(list(map(self.tagged, lines)), self._sources, target, self.longest, long)

    def _search(
        self, sentences: Sequence[Sentence], options: SearchOptions, **asked: Any
    ) -> list[list[Hypothesis]]:
        """The hypotheses of each sentence; neighbours in search are of like length.

        All arguments are those of :func:`dragoman.search.loop.search`.
        """
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i][0][0]))
        found = dict(search(self.scorer, (sentences[i] for i in order), options, **asked))
        return [found[place] for place in np.argsort(order).tolist()]

    def _answer(
        self, line: "_Line", found: Sequence[list[Hypothesis]], options: SearchOptions
    ) -> Translation:
        """The translation of a line, whose pieces have these hypotheses."""
        request, sides = line.request, (self.source, self.target)
        if line.known:
            texts = tuple(with_marks(text, request.source) for text in line.known[: options.n_best])
            certain = (CERTAIN,) * len(texts)
            return Translation(request.source, texts[0], certain, texts, remembered=True)
        if not found:
            text = self.source.tags.words(self.tagged(request.source)).strip() if line.kept else ""
            return Translation(request.source, text, (), (), unmet=request.must)

        def said(hypothesis: Hypothesis, piece: Piece) -> list[str]:
            """The output's tokens, with copied words."""
            tokens = self.target.tokens(hypothesis.ids, piece.own)
            copies = options.unknown == "copy"
            return copy_unknown(tokens, hypothesis, piece.text, sides) if copies else tokens

        def text_of(tokens: list[str], hypothesis: Hypothesis, place: int) -> str:
            """The output's text, with what was kept of the piece at this place."""
            piece, asked = line.pieces[place]
            kept = line.kept_of(place)
            return put_back(tokens, hypothesis, piece.text, kept, sides, asked.prefix)

        bests = [hypotheses[0] for hypotheses in found]
        written = [said(best, piece) for best, (piece, _) in zip(bests, line.pieces, strict=True)]
        text = join_parts(map(text_of, written, bests, count()))
        by_text = {text: joined(bests, options) if len(bests) > 1 else bests[0]}
        for hypothesis in found[0][1:] if len(bests) == 1 else ():
            if len(by_text) == options.n_best:
                break
            tokens = said(hypothesis, line.pieces[0][0])
            by_text.setdefault(text_of(tokens, hypothesis, 0), hypothesis)
        parts = [(*part, best) for part, best in zip(line.pieces, bests, strict=True)]
        read = (self.source.tokens(piece.sources[0].ids) for piece, *_ in parts)
        lacking = (self._requests.unmet(asked, piece, best.ids) for piece, asked, best in parts)
        source, target, unmet = (tuple(chain(*each)) for each in (read, written, lacking))
        texts, ranked = tuple(by_text), tuple(by_text.values())
        return Translation(request.source, text, ranked, texts, source, target, unmet, line.text)


@dataclass(slots=True)
class _Line:
    """A line at work."""

    request: Request
    known: tuple[str, ...]
    """The memory's answers; the model reads a line only if there are none."""
    text: str
    """What the model reads."""
    kept: list[Kept]
    """What it does not read, in order."""
    terms: dict[tuple[str, ...], int]
    """The forms of each term, and where in the text it begins."""
    pieces: list[tuple[Piece, Request]] = field(default_factory=list)
    """Each piece, and what is asked of its output."""
    ends: list[int] = field(default_factory=lambda: [0])
    """Where the pieces end in the text; before the first it begins."""

    def kept_of(self, place: int) -> list[Kept]:
        """What was kept of a piece, with places in its text."""
        start, end = self.ends[place : place + 2]
        end = end if place + 1 < len(self.pieces) else len(self.request.source)
        return [replace(one, at=one.at - start) for one in self.kept if start <= one.at < end]


def _with_wanted(sources: tuple[Source, ...], asked: Constraints) -> tuple[Source, ...]:
    """The sources, with the ids that a shortlist must not leave out: those of the constraints."""
    words = {*asked.prefix, *(asked.phrases.tokens if asked.phrases else ())}
    return tuple(replace(source, wanted=np.array(sorted(words), np.int32)) for source in sources)
