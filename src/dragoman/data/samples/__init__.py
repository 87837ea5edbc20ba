"""Sample corpora that come with Dragoman, to try it without a file.

The pairs of ``phrases`` are stored (``python -m tools.phrases`` draws them from a small grammar);
those of ``dates`` are drawn when they are asked for: dates as people of seven languages write them,
and their ISO form. Only formats that name one day are used. All-figure dates are so by
construction: points between the figures mean day, month, year; a leading year means year, month,
day. Slashes appear only after a year, since ``03/04/1999`` is read differently on the two sides of
the Atlantic.
"""

import bz2
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from random import Random

from dragoman.data.pairs import Pair
from dragoman.errors import DataError, did_you_mean

_HERE = files(__package__)
_FIRST_DAY = date(1900, 1, 1)
_DAYS = (date(2099, 12, 31) - _FIRST_DAY).days + 1
_TABLE = tomllib.loads((_HERE / "dates.toml").read_text("utf-8"))
_CASES: tuple[Callable[[str], str], ...] = (str, str, str, str.lower, str.upper)


def _draw_phrases(count: int, rng: Random) -> list[tuple[str, str]]:
    """French sentences and their English: a small grammar with agreement and word order.

    ``count`` of the stored pairs, in random order.
    """
    lines = bz2.decompress((_HERE / "phrases.tsv.bz2").read_bytes()).decode().splitlines()
    rng.shuffle(lines)
    return [(source, target) for source, _, target in (s.partition("\t") for s in lines[:count])]


def _draw_dates(count: int, rng: Random) -> list[tuple[str, str]]:
    """Dates as written in seven languages, and their ISO form.

    ``count`` dates that are written differently, in random order.
    """
    targets: dict[str, str] = {}
    while len(targets) < count:
        targets.setdefault(*_draw_date(rng))
    # Frequent forms are drawn early and never again: the end would be the harder part.
    pairs = list(targets.items())
    rng.shuffle(pairs)
    return pairs


def _draw_date(rng: Random) -> tuple[str, str]:
    """One day between 1900 and 2099 in a random language and format, and its ISO form."""
    day = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS))
    language = rng.choice(list(_TABLE["languages"].values()))
    pattern = rng.choice(_TABLE["figures"] if rng.random() < 0.15 else language["patterns"])
    month = language["months"].split()[day.month - 1]
    # French and Italian write an ordinal for the first day of the month only: 1er mars.
    ordinals = language.get("nth", "").split()
    nth = ordinals[day.day - 1] if day.day <= len(ordinals) else day.day
    weekday = language["weekdays"].split()[day.weekday()]
    text = pattern.format(d=day.day, m=day.month, y=day.year, month=month, nth=nth, weekday=weekday)
    return rng.choice(_CASES)(text), day.isoformat()


@dataclass(frozen=True, slots=True)
class Sample:
    """A corpus whose every source text has one target, whatever the seed."""

    draw: Callable[[int, Random], list[tuple[str, str]]]
    """That many pairs in random order; no source comes twice.

    The first line of its docstring stands in lists of samples.
    """
    count: int
    """Pairs that are given when no number is asked for."""
    largest: int
    """Pairs that can be asked for."""


SAMPLES = {
    "phrases": Sample(_draw_phrases, count=25_000, largest=25_000),
    "dates": Sample(_draw_dates, count=20_000, largest=200_000),
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
