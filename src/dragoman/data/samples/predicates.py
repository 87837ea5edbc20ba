"""What a sentence of the ``phrases`` sample says: verb, objects, places and times."""

from __future__ import annotations

from random import Random

from dragoman.data.samples.clauses import (
    NOT,
    PLAIN,
    Piece,
    Polarity,
    Tense,
    VerbGroup,
    choose_clitic,
    conjugate,
)
from dragoman.data.samples.lexicon import Link, Verb
from dragoman.data.samples.nounphrases import (
    Phrase,
    choose_adjectives,
    choose_determiner,
    choose_noun,
    name,
    noun_phrase,
)
from dragoman.data.samples.verbs import INTRANSITIVE, TRANSITIVE

_TODAY = ("aujourd'hui", "today")
_TIMES: dict[Tense, tuple[Piece, ...]] = {
    "present": (
        ("tous les jours", "every day"),
        ("le matin", "in the morning"),
        ("le soir", "in the evening"),
        _TODAY,
    ),
    "past": (
        ("hier", "yesterday"),
        ("ce matin", "this morning"),
        ("la semaine dernière", "last week"),
        _TODAY,
    ),
    "future": (
        ("demain", "tomorrow"),
        ("ce soir", "this evening"),
        ("la semaine prochaine", "next week"),
        _TODAY,
    ),
    "modal": (("demain", "tomorrow"), ("ce soir", "this evening"), _TODAY),
}


def choose_tense(rng: Random, verb: Verb) -> Tense:
    """Any tense that ``verb`` has."""
    tenses: tuple[Tense, ...] = ("present", "present", "present", "future", "modal")
    return rng.choice(("past", "past", *tenses) if verb.participle else tenses)


def choose_verb(rng: Random) -> Verb:
    """Any verb; a transitive one more often, since there are more words to say with it."""
    return rng.choice(TRANSITIVE if rng.random() < 0.7 else INTRANSITIVE)


def another_name(rng: Random, subject: Phrase | None) -> Phrase:
    """One person by name, who is not the subject: *Paul voit Paul* would be two Pauls."""
    person = name(rng)
    while subject and person.french[0] in subject.french:
        person = name(rng)
    return person


def linked_phrase(rng: Random, link: Link, subject: Phrase | None) -> tuple[str, str]:
    """A preposition and what follows it, in both languages."""
    if "name" in link.kinds and rng.random() < 0.4:
        person = another_name(rng, subject)
        return f"{link.french} {person.french[0]}", f"{link.english} {person.english}"
    noun = choose_noun(rng, (kind for kind in link.kinds if kind != "name"))
    determiner = choose_determiner(rng, noun)
    if determiner == "number" or (determiner == "a" and rng.random() < 0.5):
        determiner = "the"
    phrase = noun_phrase(
        rng,
        noun,
        determiner,
        plural=determiner != "a" and rng.random() < 0.35,
        adjectives=choose_adjectives(rng, noun, 0.15),
        subject=subject,
    )
    return " ".join((link.french, *phrase.french)), f"{link.english} {phrase.english}"


def direct_object(rng: Random, verb: Verb, subject: Phrase | None, denied: bool) -> Piece:
    """A direct object."""
    if "name" in verb.objects and rng.random() < 0.25:
        person = another_name(rng, subject)
        return person.french[0], person.english
    noun = choose_noun(rng, verb.objects)
    determiner = choose_determiner(rng, noun, known=verb.known)
    if denied and determiner == "number":
        determiner = "the"
    # No adjective after pas de: in ne ... pas de nouveau professeur, de nouveau is also *again*.
    bare = denied and determiner == "a"
    phrase = noun_phrase(
        rng,
        noun,
        determiner,
        plural=rng.random() < 0.35,
        adjectives=() if bare else choose_adjectives(rng, noun),
        subject=subject,
        denied=denied,
    )
    return " ".join(phrase.french), phrase.english


def links(rng: Random, verb: Verb, subject: Phrase | None) -> list[Piece]:
    """What follows with a preposition: always for a verb that needs it, at times for others."""
    share = 1.0 if verb.linked else 0.15 if verb.objects else 0.6
    if not verb.links or rng.random() >= share:
        return []
    return [linked_phrase(rng, rng.choice(verb.links), subject)]


def choose_time(rng: Random, tense: Tense, polarity: Polarity, share: float = 0.35) -> list[Piece]:
    """A time that suits the tense; *never* and *often* are times already."""
    fits = polarity in (PLAIN, NOT) and rng.random() < share
    return [rng.choice(_TIMES[tense])] if fits else []


def predicate(
    rng: Random, verb: Verb, tense: Tense, subject: Phrase, polarity: Polarity
) -> tuple[VerbGroup, list[Piece]]:
    """The verb and everything after it but the time."""
    clitic = choose_clitic(rng, verb, tense, subject) if rng.random() < 0.28 else None
    tail: list[Piece] = []
    if clitic:
        tail.append(("", clitic.english))
    elif verb.objects:
        tail.append(direct_object(rng, verb, subject, polarity.ne))
    group = conjugate(rng, verb, tense, subject, clitic=clitic)
    return group, tail + links(rng, verb, subject)
