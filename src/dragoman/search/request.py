"""What a search is asked and what it answers, as text.

A request is a source line with constraints on its output, which become constraints on target
tokens; ``dragoman translate --requests`` reads one from each line. An answer is a translation, or
the scores of a given target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.config.toml import merge
from dragoman.data.source import extend_target
from dragoman.data.tokenizer import EOS, UNK, Tokenizer
from dragoman.errors import DataError, OptionError
from dragoman.files import parse_json
from dragoman.search.constraints import Banned, Constraints, Phrases, Tokens, constraints_of, holds
from dragoman.search.hypotheses import Hypothesis
from dragoman.search.reading import Piece

_EXAMPLE = 'such as {"source": "ein Hund", "must": ["dog"]}'
"""A line of ``--requests``, for messages."""
Wanted = str | tuple[str, ...]
"""A text that an output contains, or the forms of one, of which it contains one."""


@dataclass(frozen=True, slots=True)
class Request:
    """A source line, and constraints on its output."""

    source: str
    prefix: str = ""
    """Text with which the output begins; if it ends in a space, a new word follows."""
    must: tuple[Wanted, ...] = ()
    """Words or phrases that the output contains; of a tuple, one of its forms."""
    never: tuple[str, ...] = ()
    """Words or phrases that the output does not contain."""
    place: str = ""
    """Where it was read (``file:line``), for messages."""


@dataclass(frozen=True)
class RequestFields:
    """The fields of a line of ``--requests``, a JSON object."""

    source: str = ""
    features: str = ""
    prefix: str = ""
    must: tuple[Wanted, ...] = ()
    never: tuple[str, ...] = ()


def read_request(line: str, every: Request, where: str, *, tagged: bool = False) -> Request:
    """Turn a line of ``--requests`` into a request.

    Args:
        line: a JSON object; a blank line is a request for an empty source.
        every: constraints that hold for all lines; those of the line are added to them.
        where: the file and the number of the line, for messages.
        tagged: whether the model reads tags (:mod:`dragoman.data.tags`).

    Raises:
        DataError: it is not a JSON object with a source, or has features for a model without.
        OptionError: it has unknown fields, or values of other types than those of
            :class:`RequestFields`.
    """
    if not line.strip():
        return replace(every, source="")
    try:
        fields = parse_json(line)
    except ValueError as error:
        raise DataError(f"not JSON: {error}", place=where, cure=_EXAMPLE) from None
    fields = fields if isinstance(fields, dict) else {}
    asked = merge(RequestFields(prefix=every.prefix), fields, place=where)
    if "source" not in fields:
        raise DataError("a JSON object with a source is expected", place=where, cure=_EXAMPLE)
    if asked.features and not tagged:
        raise DataError("this model reads no features", place=where, cure="leave them out")
    source = f"{asked.source}\t{asked.features}" if "features" in fields else asked.source
    must, never = (*every.must, *asked.must), (*every.never, *asked.never)
    return Request(source, asked.prefix, must, never, where)


class RequestReader:
    """Turns requests into constraints on the tokens of a target vocabulary."""

    def __init__(self, target: Tokenizer) -> None:
        self.target = target
        # Most lines ask for the same words, and a ban looks through the whole vocabulary.
        self._ban = lru_cache(256)(lambda texts: Banned(target.texts, texts))

    def constraints(self, request: Request, piece: Piece, options: SearchOptions) -> Constraints:
        """The constraints on the output for ``piece`` of the request's line.

        The length limit makes room for the prefix and for the words that must come.

        Raises:
            OptionError: a text is empty; a word of a prefix or one that must come is neither in
                the vocabulary nor in a source that is copied from, or cannot come without a banned
                one; or words must come in outputs that are drawn at random.
        """
        plain = constraints_of(options, piece.sources[0])
        if not (request.prefix or request.must or request.never):
            return plain
        at = f"{request.place}: " if request.place else ""
        if request.must and options.temperature > 0:
            raise OptionError("it needs a search", place=f"{at}must", cure="temperature 0")
        own = tuple(map(self.target.text_of, piece.own))
        prefix = self._ids(request.prefix, f"{at}prefix", piece) if request.prefix else ()
        wanted = [self._forms(one, f"{at}must", piece) for one in request.must]
        must = {text: ids for forms in wanted for text, ids in forms.items()}
        never = {text: self._spelt(text, f"{at}never") for text in request.never}
        for text, ids in {request.prefix: prefix, **must}.items():
            for other, spelt in never.items():
                if holds(self._said(ids, own), spelt):
                    cause = f"{text!r} cannot be there without {other!r}"
                    raise OptionError(cause, place=f"{at}never")
        groups = [tuple(forms.values()) for forms in wanted]
        phrases = Phrases(groups, self.target.starts) if groups else None
        return replace(
            plain,
            max_length=max(plain.max_length, len(prefix) + len(phrases or ())),
            prefix=prefix,
            not_after_prefix=self._inside(own) if request.prefix[-1:].isspace() else None,
            phrases=phrases,
            banned=self._ban(tuple(never.values())) if never else None,
            own=own,
        )

    def unmet(self, request: Request, piece: Piece, ids: Tokens) -> tuple[Wanted, ...]:
        """What must be in the output for ``piece`` and is not in ``ids``."""
        every = [(one, self._forms(one, "must", piece).values()) for one in request.must]
        starts = self.target.starts
        return tuple(one for one, forms in every if Phrases([[*forms]], starts).lacking(ids)[0])

    def _forms(self, one: Wanted, place: str, piece: Piece) -> dict[str, Tokens]:
        """The ids of each form of a text that must come."""
        forms = (one,) if isinstance(one, str) else one
        return {form: self._ids(form, place, piece) for form in forms}

    def _inside(self, own: Sequence[str]) -> list[int]:
        """The tokens that continue a word: those without a space before them."""
        texts = [*self.target.texts, *own]
        return [i for i, text in enumerate(texts) if i != EOS and text[:1] not in (" ", "▁")]

    def _spelt(self, text: str, place: str) -> str:
        """A banned text as its tokens spell it, or as copied words do if a token is unknown."""
        ids = self._encode(text, place)
        if UNK in ids:
            return "".join(map(self.target.text_of, self.target.pieces(text)))
        return self._said(ids, ())

    def _said(self, ids: Tokens, own: Sequence[str]) -> str:
        texts, known = self.target.texts, len(self.target)
        return "".join(texts[i] if i < known else own[i - known] for i in ids)

    def _ids(self, text: str, place: str, piece: Piece) -> Tokens:
        """The ids of a text; words that only the source has get their ids from V on."""
        ids = self._encode(text, place)
        if UNK in ids and piece.own:
            pieces = self.target.pieces(text)
            ids = tuple(extend_target(np.array(ids), pieces, piece.own, len(self.target)).tolist())
        if UNK in ids:
            nor = ", nor in the source" if piece.own else ""
            raise OptionError(f"{text!r} is not in the target vocabulary{nor}", place=place)
        return ids

    def _encode(self, text: str, place: str) -> Tokens:
        ids = tuple(self.target.encode([text])[0].tolist())
        if not ids:
            raise OptionError(f"{text!r} is empty", place=place)
        return ids


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
    source_tokens: tuple[str, ...] = ()
    target_tokens: tuple[str, ...] = ()
    """Tokens of the best output."""
    unmet: tuple[Wanted, ...] = ()
    """What must be in the best output and is not."""
    read: str = ""
    """What the model read of the source: all but the parts that it keeps."""
    remembered: bool = False
    """Whether a memory gave it; then its hypotheses have no tokens, and the probability 1."""

    @property
    def score(self) -> float:
        """The best hypothesis' score, by which search ranks; 0 for an empty line."""
        return self.hypotheses[0].score if self.hypotheses else 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """The log-probability of a given target."""

    source: str
    target: str
    hypothesis: Hypothesis
    tokens: tuple[str, ...]
    """The tokens of the hypothesis' steps: the target's, then the end token."""
