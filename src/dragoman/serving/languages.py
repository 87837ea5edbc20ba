"""The models that are served, by the languages they translate; which language a text is in."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import EOS, UNK
from dragoman.errors import DataError, OptionError
from dragoman.evaluation.confidence import Confidence
from dragoman.search.translator import Translator

AUTO = "auto"
"""Stands for the source language that a text is most likely in."""
_CODE = "[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]+)*"
_GIVEN = re.compile(f"({_CODE}):({_CODE})")
"""The languages of a model as a user names them: ``fr:en``."""
LANGUAGE = re.compile("[a-z]{2,3}(?:[-_][a-zA-Z0-9]+)*")
"""A tag that looks like the code of a language; tags of grammar are in capitals."""
_NAMED = re.compile(r"(?:.*[-_.])?([a-z]{2,3})[-_]([a-z]{2,3})(?:[-_.].*)?")
"""The name of a model folder that says its languages: ``fra-eng``, ``w1-de-en-small``."""


@dataclass(frozen=True, eq=False)
class Served:
    """A model with what the server needs of it."""

    source: str
    """Code of the language it reads, such as ``de``."""
    target: str
    """Code of the language it writes."""
    translator: Translator
    search: SearchOptions
    """How it searches where a request says nothing else."""
    explain: Callable[[str], str]
    """Everything between a line and its translation, as JSON."""
    name: str
    confidence: Confidence | None
    card: str
    """The model card, Markdown; empty when there is none."""

    @property
    def labels(self) -> dict[str, str]:
        """Its languages, by the name of their side."""
        return {"source": self.source, "target": self.target}


class Models:
    """The served models by their languages.

    Raises:
        OptionError: two models translate between the same languages.
    """

    def __init__(self, models: Sequence[Served]) -> None:
        self.by_pair: dict[tuple[str, str], Served] = {}
        for one in models:
            other = self.by_pair.setdefault((one.source, one.target), one)
            if other is not one:
                cause = f"{other.name} and {one.name} both translate {one.source} to {one.target}"
                cure = "name their languages, such as fr:en fr:en-small"
                raise OptionError(cause, place="--languages", cure=cure)

    def targets(self) -> dict[str, list[str]]:
        """For each language, those that it is translated to; empty for one that is only written."""
        found: dict[str, list[str]] = {}
        for source, target in self.by_pair:
            found.setdefault(source, []).append(target)
        return found | {target: [] for _, target in self.by_pair if target not in found}

    def detect(self, text: str, target: str | None = None) -> list[tuple[str, float]]:
        """How probable each source language is (for a given ``target``), most probable first.

        Only the served languages are compared; their probabilities add up to 1. A text is the less
        probable, the more bits the language's vocabulary needs for it. Vocabularies of different
        levels (words, characters) compare badly.
        """
        pairs = [pair for pair in self.by_pair if target in (None, pair[1])]
        sources = {pair[0]: self.by_pair[pair].translator for pair in pairs}
        costs = {source: _cost(translator, text) for source, translator in sources.items()}
        least = min(costs.values(), default=0.0)
        shares = {source: math.exp(least - cost) for source, cost in costs.items()}
        total = sum(shares.values())
        return sorted(((s, share / total) for s, share in shares.items()), key=lambda one: -one[1])


def _cost(translator: Translator, text: str) -> float:
    """How improbable a text is in the language of a model's vocabulary, in nats.

    Vocabularies are in the order of frequency, and by Zipf's law the n-th most frequent token has
    a probability of about 1 / n.
    """
    tokenizer, lines = translator.source, map(translator.tagged, text.split("\n"))
    try:
        ids = np.concatenate(tokenizer.encode(list(lines)))
    except DataError:  # it lacks the features that this model reads
        return 1e9
    unknown = 2 * math.log(len(tokenizer)) + 3
    return float(np.where(ids == UNK, unknown, np.log(10.0 + np.maximum(ids - EOS, 0))).sum())


def language_codes(given: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The source and target language of each model.

    Args:
        given: ``source:target`` for each model, or nothing: then the names tell.
        names: of the model folders; one that tells no languages has ``source`` and ``target``.

    Raises:
        OptionError: there are not as many as models, or one is no pair of codes.
    """
    if given and len(given) != len(names):
        cause = f"{len(given)} given for {len(names)} models"
        raise OptionError(cause, place="--languages", cure="one for each, in their order")
    for text in given or names:
        found = (_GIVEN if given else _NAMED).fullmatch(text)
        if given and (found is None or AUTO in found.groups()):
            cause = f"{text!r} is not a pair of language codes"
            raise OptionError(cause, place="--languages", cure="such as fr:en")
        yield (found[1], found[2]) if found else ("source", "target")
