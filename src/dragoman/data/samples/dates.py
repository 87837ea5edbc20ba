"""The ``dates`` sample: dates as people of seven languages write them, and their ISO form.

Only formats that name one day are used. All-figure dates are so by construction: points between
the figures mean day, month, year; a leading year means year, month, day. Slashes appear only
after a year, since ``03/04/1999`` is read differently on the two sides of the Atlantic.
"""

import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from importlib.resources import files
from random import Random

_FIRST_DAY = date(1900, 1, 1)
_DAYS = (date(2099, 12, 31) - _FIRST_DAY).days + 1
_TABLE = tomllib.loads(files(__package__).joinpath("dates.toml").read_text(encoding="utf-8"))
_LANGUAGES = tuple(_TABLE["languages"].values())
_CASES: tuple[Callable[[str], str], ...] = (str, str, str, str.lower, str.upper)


def draw_dates(count: int, rng: Random) -> list[tuple[str, str]]:
    """``count`` dates that are written differently, and the ISO form of each, in random order."""
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
    language = rng.choice(_LANGUAGES)
    pattern = rng.choice(_TABLE["figures"] if rng.random() < 0.15 else language["patterns"])
    month = language["months"].split()[day.month - 1]
    # French and Italian write an ordinal for the first day of the month only: 1er mars.
    ordinals = language.get("nth", "").split()
    nth = ordinals[day.day - 1] if day.day <= len(ordinals) else day.day
    weekday = language["weekdays"].split()[day.weekday()]
    text = pattern.format(d=day.day, m=day.month, y=day.year, month=month, nth=nth, weekday=weekday)
    return rng.choice(_CASES)(text), day.isoformat()
