"""``dragoman lexicon``"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

from dragoman.api import Model, load
from dragoman.cli.parse import Given, Input, UsesModel, Writes
from dragoman.data.lines import read_lines
from dragoman.data.streams import place
from dragoman.errors import DataError
from dragoman.files import replacing
from dragoman.search.aids import Aids, read_memory
from dragoman.search.request import Translation


@dataclass(frozen=True)
class Lexicon(UsesModel):
    """Write a lexicon: the pronunciations of a list of words, by a model that gives their phones.

    Each line has a word and the phones of one pronunciation, with spaces between: sherpa-onnx and
    Kaldi (lexicon.txt) read it. A word has up to --n-best pronunciations.
    """

    words: Input
    """A text file, one word a line."""
    out: Annotated[Path, Writes()]
    """The lexicon."""
    probabilities: bool = False
    """Write the probability of each pronunciation behind its word, the most
    probable one's being 1, as Kaldi reads it (lexiconp.txt)."""
    memory: Path | None = None
    """A lexicon of words and their phones, with a tab between. Its words have
    its pronunciations; the model answers the others."""


def main(asked: Lexicon, given: Given) -> None:
    """Run the verb."""
    model, aids = load(asked.folder, device=asked.device), Aids(read_memory(asked.memory))
    words = dict.fromkeys(_words(asked))
    lines = spoken = 0
    with replacing(asked.out) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        for answer in model.stream(words, aids=aids, **given.get("search", {})):
            found = _pronunciations(answer, model)
            lines, spoken = lines + len(found), spoken + bool(found)
            for phones, share in found.items():
                shown = [f"{share:.4f}"] if asked.probabilities else []
                file.write(" ".join((answer.source, *shown, *phones)) + "\n")
    asked.say(f"{lines:,} pronunciations of {spoken:,} of {len(words):,} words: {asked.out}")


def _words(asked: Lexicon) -> Iterator[str]:
    """The words of the file, without blank lines.

    Raises:
        DataError: a line has several words, which no lexicon can hold.
    """
    file = asked.words
    for at, word in enumerate(map(str.strip, chain.from_iterable(read_lines(file, asked.say))), 1):
        if len(word.split()) > 1:
            raise DataError(f"{word!r} has spaces", place=place(file, at), cure="one word a line")
        if word:
            yield word


def _pronunciations(answer: Translation, model: Model) -> dict[tuple[str, ...], float]:
    """The phones of each pronunciation of a word, most probable first.

    Each has its probability divided by that of the most probable one.
    """
    letters = model.config.target.level == "char"  # every character is a phone
    found = dict[tuple[str, ...], float]()
    for text, one in zip(answer.texts, answer.hypotheses, strict=True):
        if phones := tuple(text.replace(" ", "") if letters else text.split()):
            found.setdefault(phones, one.log_prob)
    best = max(found.values(), default=0.0)
    return {phones: math.exp(log - best) for phones, log in found.items()}
