"""A line to be translated and what its answer must be like; the texts of it turned into tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import UNK, Ids, Tokenizer
from dragoman.errors import OptionError
from dragoman.search.constraints import Never, Phrases, Tokens
from dragoman.search.demand import Demand, plain_demand


@dataclass(frozen=True, slots=True)
class Request:
    """A line, and what is asked of its answer."""

    source: str
    prefix: str = ""
    """How the answer begins."""
    must: tuple[str, ...] = ()
    """Words or phrases that it holds."""
    never: tuple[str, ...] = ()
    """Words or phrases that it does not hold."""
    place: str = ""
    """Where it was read, for messages."""


class Asking:
    """Turns the texts of requests into the tokens of a target vocabulary."""

    def __init__(self, target: Tokenizer) -> None:
        self.target = target
        # Mostly all lines ask for the same, and a ban looks through the whole vocabulary.
        self._must, self._never = lru_cache(256)(self._phrases), lru_cache(256)(self._bans)

    def demand(self, request: Request, source: Ids, options: SearchOptions) -> Demand:
        """What is asked of the output for the tokens ``source``.

        Raises:
            OptionError: a word is not in the vocabulary, is to be there and not to be there, or is
                asked of outputs that are drawn at random.
        """
        demand = plain_demand(options, source)
        if not (request.prefix or request.must or request.never):
            return demand
        try:
            if request.must and options.temperature > 0:
                raise OptionError("it needs a search", place="must", cure="temperature 0")
            prefix = self._ids(request.prefix, "prefix") if request.prefix else ()
            self._agree(request.prefix, prefix, request.never)
            must, never = self._must(request.must, request.never), self._never(request.never)
            return replace(demand, prefix=prefix, must=must, never=never)
        except OptionError as error:
            place = f"{request.place}: {error.place}" if request.place else error.place
            raise OptionError(error.cause, place=place, cure=error.cure) from None

    def _phrases(self, must: tuple[str, ...], never: tuple[str, ...]) -> Phrases | None:
        phrases = [self._ids(text, "must") for text in must]
        for text, phrase in zip(must, phrases, strict=True):
            self._agree(text, phrase, never)
        return Phrases(phrases, self.target.starts) if phrases else None

    def _agree(self, text: str, ids: Tokens, never: tuple[str, ...]) -> None:
        for other in never:
            if self._spelt(self._ids(other, "never")) in self._spelt(ids):
                raise OptionError(f"{text!r} cannot be there without {other!r}", place="never")

    def _bans(self, never: tuple[str, ...]) -> Never | None:
        texts = [self._spelt(self._ids(text, "never")) for text in never]
        return Never(self.target.texts, texts) if texts else None

    def _spelt(self, ids: Tokens) -> str:
        return "".join(self.target.texts[i] for i in ids)

    def _ids(self, text: str, place: str) -> Tokens:
        ids = tuple(self.target.encode([text])[0].tolist())
        if not ids:
            raise OptionError(f"{text!r} is empty", place=place)
        if UNK in ids:
            raise OptionError(f"{text!r} is not in the target vocabulary", place=place)
        return ids
