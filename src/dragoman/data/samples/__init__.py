"""Sample corpora that come with Dragoman, to try it without a file.

The pairs of ``phrases`` are stored (``python -m tools.phrases`` draws them from a small grammar);
those of ``dates`` are drawn when they are asked for.
"""

import bz2
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from random import Random

from dragoman.data.pairs import Pair
from dragoman.data.samples.dates import draw_dates
from dragoman.errors import DataError, did_you_mean


def _draw_phrases(count: int, rng: Random) -> list[tuple[str, str]]:
    """``count`` of the stored pairs in random order."""
    packed = files(__package__).joinpath("phrases.tsv.bz2").read_bytes()
    lines = bz2.decompress(packed).decode().splitlines()
    rng.shuffle(lines)
    return [(source, target) for source, _, target in (s.partition("\t") for s in lines[:count])]


@dataclass(frozen=True, slots=True)
class Sample:
    """A corpus whose every source text has one target, whatever the seed."""

    description: str
    """One line for a list of samples."""
    draw: Callable[[int, Random], list[tuple[str, str]]]
    """That many pairs in random order; no source comes twice."""
    count: int
    """Pairs that are given when no number is asked for."""
    largest: int
    """Pairs that can be asked for."""


_PHRASES = "French sentences and their English: a small grammar with agreement and word order"
_DATES = "dates as written in seven languages, and their ISO form"
SAMPLES = {
    "phrases": Sample(_PHRASES, _draw_phrases, count=25_000, largest=25_000),
    "dates": Sample(_DATES, draw_dates, count=20_000, largest=200_000),
}


def sample_pairs(name: str, *, count: int | None = None, seed: int = 1) -> list[Pair]:
    """``count`` pairs with distinct sources; the same name, count and seed give the same pairs.

    Raises:
        DataError: there is no such sample, or it has fewer pairs.
    """
    if name not in SAMPLES:
        raise DataError(f"no sample {name!r}", cure=did_you_mean(name, SAMPLES))
    sample = SAMPLES[name]
    count = sample.count if count is None else count
    if not 1 <= count <= sample.largest:
        cause = f"the sample {name!r} has {sample.largest:,} pairs, {count:,} asked for"
        raise DataError(cause, cure=f"ask for 1 to {sample.largest:,}")
    texts = sample.draw(count, Random(seed))
    return [Pair(source, target, line) for line, (source, target) in enumerate(texts, start=1)]
