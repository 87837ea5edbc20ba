"""Clauses of the ``phrases`` sample: verb forms, negation and word order in both languages.

The English tense is fixed by the French one: the present is the simple present, the *passé
composé* the simple past, the *futur proche* is *going to*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Literal

from dragoman.data.samples.lexicon import Gender, Verb
from dragoman.data.samples.nounphrases import Phrase, agree
from dragoman.data.samples.spelling import third_person, vowel_sound
from dragoman.data.samples.verbs import ALLER, AVOIR, ETRE, ETRE_IMPERFECT, MODALS

Tense = Literal["present", "past", "future", "modal"]
Piece = tuple[str, str]
"""The same few words in French and in English."""


@dataclass(frozen=True, slots=True)
class Polarity:
    """A negation, or an adverb that stands in the same place."""

    french: str
    english: str
    ne: bool


PLAIN = Polarity("", "", ne=False)
NOT = Polarity("pas", "not", ne=True)
NEVER = Polarity("jamais", "never", ne=True)
NO_LONGER = Polarity("plus", "no longer", ne=True)
OFTEN = Polarity("souvent", "often", ne=False)


@dataclass(frozen=True, slots=True)
class Clitic:
    """An object pronoun, which French puts before the verb."""

    french: str
    english: str
    gender: Gender
    plural: bool
    form: int


_THEM = (Clitic("les", "them", "m", True, 5), Clitic("les", "them", "f", True, 5))
_IT = (Clitic("le", "it", "m", False, 2), Clitic("la", "it", "f", False, 2), *_THEM)
_SOMEBODY = (
    Clitic("le", "him", "m", False, 2),
    Clitic("la", "her", "f", False, 2),
    Clitic("le", "him", "m", False, 2),
    Clitic("la", "her", "f", False, 2),
    *_THEM,
    Clitic("me", "me", "m", False, 0),
    Clitic("me", "me", "f", False, 0),
    Clitic("te", "you", "m", False, 1),
    Clitic("te", "you", "f", False, 1),
    Clitic("nous", "us", "m", True, 3),
    Clitic("nous", "us", "f", True, 3),
    Clitic("vous", "you", "m", True, 4),
    Clitic("vous", "you", "f", True, 4),
)


@dataclass(frozen=True, slots=True)
class VerbGroup:
    """The verb with its auxiliary: what stands around the finite word, and the English parts."""

    before: tuple[str, ...]
    finite: str
    after: tuple[str, ...]
    auxiliary: str
    """The English auxiliary of questions and of *not*: ``does``, ``did``, ``is``, ``can``."""
    rest: str
    """What follows the auxiliary: ``eat``, ``going to eat``."""
    alone: str = ""
    """The form of plain statements (``eats``, ``ate``), where the auxiliary is only a *do*."""


def be(form: int, past: bool = False) -> str:
    """The English *to be* for a subject's form."""
    if past:
        return "was" if form in (0, 2) else "were"
    return {0: "am", 2: "is"}.get(form, "are")


def _do(form: int, rest: str) -> tuple[str, str, str]:
    third = form == 2
    return ("does" if third else "do"), rest, (third_person(rest) if third else rest)


def conjugate(
    rng: Random,
    verb: Verb,
    tense: Tense,
    subject: Phrase,
    *,
    clitic: Clitic | None = None,
    preceding: Phrase | None = None,
) -> VerbGroup:
    """The verb in ``tense``; ``preceding``: the object, where it stands before the verb."""
    form = subject.form
    pronoun = (clitic.french,) if clitic else ()
    if tense == "present":
        return VerbGroup(pronoun, verb.present[form], (), *_do(form, verb.english))
    if tense == "past":
        # With être the participle agrees with the subject, with avoir with an object before it.
        ruler = subject if verb.with_etre else clitic or preceding
        word = verb.participle
        forms = (word, f"{word}e", f"{word}s", f"{word}es")
        participle = agree(forms, ruler.gender, ruler.plural) if ruler else word
        auxiliary = (ETRE if verb.with_etre else AVOIR)[form]
        return VerbGroup(pronoun, auxiliary, (participle,), "did", verb.english, verb.english_past)
    after = (*pronoun, verb.infinitive)
    if tense == "future":
        return VerbGroup((), ALLER[form], after, be(form), f"going to {verb.english}")
    modal, english = rng.choice(MODALS)
    if english == "want to":
        return VerbGroup((), modal[form], after, *_do(form, f"{english} {verb.english}"))
    return VerbGroup((), modal[form], after, english, verb.english)


def to_be(tense: Tense, subject: Phrase) -> VerbGroup:
    """*être*; its past is the imperfect, as befits a state."""
    form = subject.form
    if tense == "future":
        return VerbGroup((), ALLER[form], ("être",), be(form), "going to be")
    finite = (ETRE if tense == "present" else ETRE_IMPERFECT)[form]
    return VerbGroup((), finite, (), be(form, past=tense == "past"), "")


def choose_polarity(rng: Random, tense: Tense, plain: float = 0.62) -> Polarity:
    """Mostly none; *plus* and *souvent* only in the tenses where their English is natural."""
    if rng.random() < plain:
        return PLAIN
    choices = [NOT, NOT, NEVER]
    if tense in ("present", "modal"):
        choices.append(NO_LONGER)
    if tense in ("present", "past"):
        choices.append(OFTEN)
    return rng.choice(choices)


def choose_clitic(rng: Random, verb: Verb, tense: Tense, subject: Phrase) -> Clitic | None:
    """An object pronoun whose French has one English reading, or None."""
    if verb.pronoun == "none":
        return None
    clitic = rng.choice(_IT if verb.pronoun == "thing" else _SOMEBODY)
    # *je me vois* is reflexive, and so is every pair of one person in singular and plural.
    if clitic.form not in (2, 5) and clitic.form % 3 == subject.form % 3:
        return None
    following = verb.present[subject.form] if tense == "present" else verb.infinitive
    # l'aide hides whether it is him or her; in the past the participle tells (aidé, aidée).
    hidden = tense != "past" and vowel_sound(following) and clitic.french in ("le", "la")
    return None if hidden and verb.pronoun == "person" else clitic


def french_statement(
    subject: Phrase, group: VerbGroup, polarity: Polarity, tail: Iterable[Piece]
) -> list[str]:
    """Subject, then the verb inside its negation, then the rest."""
    ne = ("ne",) if polarity.ne else ()
    words = [*subject.french, *ne, *group.before, group.finite, polarity.french, *group.after]
    return [word for word in (*words, *(piece[0] for piece in tail)) if word]


def french_inversion(subject: Phrase, group: VerbGroup, tail: Iterable[Piece]) -> list[str]:
    """*As-tu mangé*; a noun stays in front and is taken up again: *Paul a-t-il mangé*."""
    echo = subject.french[0] if subject.pronoun else ("elle" if subject.gender == "f" else "il")
    if not subject.pronoun and subject.plural:
        echo += "s"
    joint = "-t-" if group.finite[-1] in "ae" and echo[0] in "ei" else "-"
    opening = () if subject.pronoun else subject.french
    verb = f"{group.finite}{joint}{echo}"
    return [*opening, *group.before, verb, *group.after, *(piece[0] for piece in tail if piece[0])]


def english_statement(
    subject: Phrase, group: VerbGroup, polarity: Polarity, tail: Iterable[Piece]
) -> list[str]:
    """*He does not eat*, *he never eats*, *he is never going to eat*."""
    if polarity is NOT:
        denied = "cannot" if group.auxiliary == "can" else f"{group.auxiliary} not"
        verb = [denied, group.rest]
    elif group.alone:
        verb = [polarity.english, group.alone]
    else:
        verb = [group.auxiliary, polarity.english, group.rest]
    return [subject.english, *verb, *(piece[1] for piece in tail)]


def english_question(
    subject: Phrase, group: VerbGroup, polarity: Polarity, tail: Iterable[Piece]
) -> list[str]:
    """*Does he never eat*, *is he going to eat*."""
    verb = [group.auxiliary, subject.english, polarity.english, group.rest]
    return [*verb, *(piece[1] for piece in tail)]
