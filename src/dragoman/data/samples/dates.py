"""The ``dates`` sample: dates as people of seven languages write them, and their ISO form.

Only formats that name one day are used. All-figure dates are so by construction: points between
the figures mean day, month, year; a leading year means year, month, day. Slashes appear only
after a year, since ``03/04/1999`` is read differently on the two sides of the Atlantic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

_FIRST_DAY = date(1900, 1, 1)
_DAYS = (date(2099, 12, 31) - _FIRST_DAY).days + 1


@dataclass(frozen=True, slots=True)
class _Language:
    """Names in calendar order (Monday first), and the patterns in which they are put together."""

    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    patterns: tuple[str, ...]
    ordinal: Callable[[int], str] = str
    """The day of the month as it is written, for ``{nth}``."""


def _english_ordinal(day: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{'th' if day in (11, 12, 13) else suffix}"


def _only_first(suffix: str) -> Callable[[int], str]:
    """French and Italian write an ordinal for the first day of the month only: *1er mars*."""
    return lambda day: f"1{suffix}" if day == 1 else str(day)


def _language(
    months: str, weekdays: str, patterns: str, ordinal: Callable[[int], str] = str
) -> _Language:
    names = tuple(line.strip() for line in patterns.split("|"))
    return _Language(tuple(months.split()), tuple(weekdays.split()), names, ordinal)


_LANGUAGES = (
    _language(
        "January February March April May June July August September October November December",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "{d} {month} {y} | {month} {d}, {y} | {nth} {month} {y} | {month} {nth}, {y}"
        " | {weekday}, {month} {d}, {y} | {weekday} {nth} {month} {y} | the {nth} of {month}, {y}"
        " | {short} {d}, {y} | {d} {short} {y} | {dd}-{short}-{y}",
        _english_ordinal,
    ),
    _language(
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "{nth} {month} {y} | le {nth} {month} {y} | {weekday} {nth} {month} {y}"
        " | le {weekday} {nth} {month} {y}",
        _only_first("er"),
    ),
    _language(
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        "{d}. {month} {y} | am {d}. {month} {y} | {weekday}, {d}. {month} {y}"
        " | {weekday}, den {d}. {month} {y}",
    ),
    _language(
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "lunes martes miércoles jueves viernes sábado domingo",
        "{d} de {month} de {y} | el {d} de {month} de {y} | {weekday}, {d} de {month} de {y}",
    ),
    _language(
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre"
        " dicembre",
        "lunedì martedì mercoledì giovedì venerdì sabato domenica",
        "{nth} {month} {y} | {weekday} {nth} {month} {y}",
        _only_first("º"),
    ),
    _language(
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
        "{nth} de {month} de {y} | {weekday}, {nth} de {month} de {y}",
        _only_first("º"),
    ),
    _language(
        "januari februari maart april mei juni juli augustus september oktober november december",
        "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
        "{d} {month} {y} | {weekday} {d} {month} {y} | op {d} {month} {y}",
    ),
)
_FIGURES = (
    "{d}.{m}.{y}",
    "{dd}.{mm}.{y}",
    "{y}/{mm}/{dd}",
    "{y}.{mm}.{dd}",
    "{y}-{m}-{d}",
    "{y}{mm}{dd}",
)
_CASES: tuple[Callable[[str], str], ...] = (str, str, str, str.lower, str.upper)


def draw_date(rng: Random) -> tuple[str, str]:
    """One day between 1900 and 2099 in a random language and format, and its ISO form."""
    day = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS))
    language = rng.choice(_LANGUAGES)
    pattern = rng.choice(_FIGURES if rng.random() < 0.15 else language.patterns)
    month = language.months[day.month - 1]
    text = pattern.format(
        d=day.day,
        dd=f"{day.day:02}",
        m=day.month,
        mm=f"{day.month:02}",
        y=f"{day.year:04}",
        nth=language.ordinal(day.day),
        month=month,
        short=month[:3],
        weekday=language.weekdays[day.weekday()],
    )
    return rng.choice(_CASES)(text), day.isoformat()
