"""The words of the ``phrases`` sample, as ``lexicon.toml`` lists them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Gender = Literal["m", "f"]
GENDERS: tuple[Gender, ...] = ("m", "f")
Tense = Literal["present", "past", "future", "want", "can"]


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun, or a person's name."""

    gender: Gender
    french: Sequence[str]
    """Singular and plural; one form where the grammar uses no plural."""
    english: Sequence[str]
    kind: str


@dataclass(frozen=True, slots=True)
class Adjective:
    """An adjective, in the forms that ``agree`` tells apart, and the kinds of noun it describes."""

    french: Sequence[str]
    english: str
    kinds: Sequence[str]
    place: Literal["before", "after", "colour"]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb; the meaning of each field stands in ``lexicon.toml``."""

    infinitive: str
    present: Sequence[str]
    english: Sequence[str]
    participle: str = ""
    """Empty for a verb that the grammar never puts in the past."""
    objects: Sequence[str] = ()
    links: Sequence[str] = ()
    pronoun: Literal["it", "him", ""] = ""
    linked: bool = False
    animals: bool = False
    etre: bool = False


LEXICON = tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text("utf-8"))
NOUNS = {
    kind: [Noun(gender, french.split(), english.split(), kind) for gender, french, english in rows]
    for kind, rows in LEXICON["nouns"].items()
}
ADJECTIVES = [
    Adjective(french.split(), english, kinds.split(), place)
    for place, rows in LEXICON["adjectives"].items()
    for french, english, kinds in rows
]
VERBS = {infinitive: Verb(infinitive, **entry) for infinitive, entry in LEXICON["verbs"].items()}
PEOPLE = ("adult", "child", "friend", "family", "name")
"""Kinds of noun that are *he* or *she*."""
