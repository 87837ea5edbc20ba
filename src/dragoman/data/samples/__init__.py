"""Samples: pairs that Dragoman makes itself, to try it without a file.

A sample is drawn, not stored: the same name, count and seed give the same pairs everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from dragoman.data.pairs import Pair
from dragoman.data.samples.dates import draw_date
from dragoman.data.samples.phrases import draw_phrase
from dragoman.errors import DataError, did_you_mean

__all__ = ["SAMPLES", "Sample", "sample_pairs"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A source of pairs; each source text that it draws has one target, whatever the seed."""

    description: str
    """One line for a list of samples."""
    draw: Callable[[Random], tuple[str, str]]
    """One pair of texts at random; it may draw the same pair again."""
    count: int
    """Pairs that are made when no number is asked for."""
    most: int
    """Pairs that can be asked for: so far, distinct ones come quickly from every seed."""


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "phrases": Sample(
            "French sentences and their English: a small grammar with agreement and word order",
            draw_phrase,
            count=25_000,
            most=80_000,
        ),
        "dates": Sample(
            "dates as written in seven languages, and their ISO form",
            draw_date,
            count=20_000,
            most=200_000,
        ),
    }
)


def sample_pairs(name: str, *, count: int | None = None, seed: int = 1) -> list[Pair]:
    """Draw ``count`` pairs with distinct sources, in random order, from ``seed`` alone."""
    sample = SAMPLES.get(name)
    if sample is None:
        raise DataError(f"no sample {name!r}", cure=did_you_mean(name, SAMPLES))
    count = sample.count if count is None else count
    if not 1 <= count <= sample.most:
        raise DataError(
            f"the sample {name!r} has {sample.most:,} pairs, {count:,} asked for",
            cure=f"ask for 1 to {sample.most:,}",
        )
    rng = Random(seed)
    targets: dict[str, str] = {}
    while len(targets) < count:
        source, target = sample.draw(rng)
        targets.setdefault(source, target)
    # Frequent short texts come early and never again: unshuffled, the end would be the harder.
    texts = list(targets.items())
    rng.shuffle(texts)
    return [Pair(source, target, line) for line, (source, target) in enumerate(texts, start=1)]
