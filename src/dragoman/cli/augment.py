"""``dragoman augment``"""

import random
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

from dragoman.api import load
from dragoman.cli.parse import Given, Input, UsesModel, Writes
from dragoman.config.values import Range
from dragoman.data.lines import read_lines
from dragoman.errors import DataError, OptionError
from dragoman.files import replacing

_DROPPED = 0.1
"""Share of the words that noise leaves out."""
_MOVED = 3
"""Most places by which noise moves a word."""


@dataclass(frozen=True)
class Augment(UsesModel):
    """Make pairs from text of one language, by a model that translates it.

    Text of the target language teaches most: a model of the other direction translates it back, and
    each of its outputs is the source of a pair whose target is a line of the text (Sennrich et al.
    2016). Learn from them beside pairs: dragoman train pairs.tsv --also synthetic.tsv --tag-also
    '<bt>'. With --temperature 1 outputs are drawn, which teaches more where there are many pairs
    (Edunov et al. 2018).
    """

    text: Input
    """A text file, one sentence a line; for a model that reads features, each
    line has them after a tab."""
    out: Annotated[Path, Writes()]
    """The pairs: source, a tab, target."""
    forward: bool = False
    """The text is of the source language: its lines are the sources, and the
    outputs the targets."""
    noise: bool = False
    """Leave out a tenth of the words of the sources, and move the others by up
    to three places (Edunov et al. 2018)."""
    min_confidence: Annotated[float, Range(0, at_most=1)] = 0.0
    """Leave out lines whose output has a confidence (0 to 1) below this."""


def main(asked: Augment, given: Given) -> None:
    """Run the verb."""
    model = load(asked.folder, device=asked.device)
    if asked.min_confidence and model.confidence is None:
        cause = "an ensemble, or a model of few held-out pairs, has no confidence"
        raise OptionError(cause, place="--min-confidence", cure="leave it out")
    say, chance, options = asked.say, random.Random(1), given.get("search", {})
    blocks = read_lines(asked.text, say, tabs=bool(model.folder.source.tags))
    answers = chain.from_iterable(model.stream(map(str.strip, one), **options) for one in blocks)
    read = written = 0
    interrupted: KeyboardInterrupt | None = None
    with replacing(asked.out) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        try:
            for answer in answers:
                sure = 1.0 if model.confidence is None else model.confidence.of(answer)
                ended = all(one.complete for one in answer.hypotheses[:1])
                if answer.text and ended and sure >= asked.min_confidence:
                    pair = (answer.text, answer.source)
                    source, target = reversed(pair) if asked.forward else pair
                    source = _with_noise(source, chance) if asked.noise else source
                    file.write(f"{source}\t{target}\n")
                    written += 1
                read += 1
        except KeyboardInterrupt as error:  # hours of work: what is done is kept
            interrupted = error
        if not (written or interrupted):
            cause, place = "no pair could be made of these lines", str(asked.text)
            raise DataError(cause, place=place, cure="train the model longer, or filter less")
    say(f"{written:,} pairs of {'the first ' if interrupted else ''}{read:,} lines: {asked.out}")
    if interrupted:
        raise interrupted


def _with_noise(text: str, chance: random.Random) -> str:
    """The text without some of its words, and the others near their places; never empty.

    Lample et al. 2018, section 2.3: word i gets the place i + U(0, k + 1), where k is the most
    places that a word moves.
    """
    words = text.split()
    kept = [word for word in words if chance.random() >= _DROPPED] or words
    places = [at + chance.uniform(0, _MOVED + 1) for at in range(len(kept))]
    return " ".join(word for _, word in sorted(zip(places, kept, strict=True)))
