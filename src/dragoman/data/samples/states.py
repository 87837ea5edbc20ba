"""Sentences of the ``phrases`` sample about what, where and whether something is."""

from __future__ import annotations

from random import Random

from dragoman.data.samples.clauses import (
    Piece,
    Tense,
    choose_polarity,
    english_statement,
    french_statement,
    to_be,
)
from dragoman.data.samples.lexicon import ADJECTIVES, LOCATIONS, ON_THE_TABLE, PEOPLE, Noun
from dragoman.data.samples.nounphrases import (
    WHO,
    Phrase,
    agree,
    choose_adjectives,
    choose_determiner,
    choose_noun,
    choose_subject,
    name,
    noun_phrase,
)
from dragoman.data.samples.predicates import choose_time, linked_phrase
from dragoman.data.samples.questions import ask
from dragoman.data.samples.spelling import Mark, finish

_PORTABLE = ("food", "dish", "drink", "book", "paper")
_LIVING = (*PEOPLE, "name", "person", "animal")


def _thing(rng: Random, noun: Noun) -> Phrase:
    """A definite noun phrase to say something of."""
    determiner = choose_determiner(rng, noun)
    if determiner in ("a", "number"):
        determiner = "the"
    return noun_phrase(
        rng,
        noun,
        determiner,
        plural=rng.random() < 0.35,
        adjectives=choose_adjectives(rng, noun, 0.12),
    )


def state(rng: Random, subject: Phrase, mark: Mark) -> Piece:
    """What or where something is."""
    living = subject.kind in (*_LIVING, "who")
    tense: Tense = rng.choice(("present", "present", "past", "future"))
    polarity = choose_polarity(rng, tense)
    quality = "animal" if subject.kind == "animal" else "person" if living else subject.kind
    placed = (living or subject.kind in _PORTABLE) and rng.random() < 0.35
    if placed:
        link = rng.choice(LOCATIONS if living else (ON_THE_TABLE, *LOCATIONS[1:3]))
        said = linked_phrase(rng, link, subject)
    else:
        word = rng.choice(
            [
                word
                for word in ADJECTIVES
                if quality in word.kinds and word.english not in subject.english
            ]
        )
        said = agree(word.french, subject.gender, subject.plural), word.english
    group = to_be(tense, subject)
    # Places change from day to day; most qualities do not.
    tail = [said, *(choose_time(rng, tense, polarity) if placed and tense != "present" else [])]
    if mark == "." or subject is WHO:
        return finish(
            french_statement(subject, group, polarity, tail),
            english_statement(subject, group, polarity, tail),
            mark,
        )
    why = rng.random() < 0.3
    opening = ("pourquoi", "why") if why else ("", "")
    invertible = tense != "past"
    return ask(rng, opening, subject, group, tail, polarity=polarity, invertible=invertible)


def being(rng: Random) -> Piece:
    """A state as a statement or a question."""
    dice = rng.random()
    if dice < 0.08:
        return state(rng, WHO, "?")
    if dice < 0.6:
        subject = choose_subject(rng, animals=True)
    else:
        kinds = {kind for word in ADJECTIVES for kind in word.kinds} - {*_LIVING}
        subject = _thing(rng, choose_noun(rng, sorted(kinds)))
    return state(rng, subject, "." if rng.random() < 0.65 else "?")


def where_is(rng: Random) -> Piece:
    """*Où est ma clé ?*"""
    noun = choose_noun(rng, (*_PORTABLE, *PEOPLE, "animal", "thing", "building", "place", "house"))
    subject = name(rng) if rng.random() < 0.05 else _thing(rng, noun)
    group = to_be(rng.choice(("present", "past")), subject)
    return finish(
        ["où", group.finite, *subject.french], ["where", group.auxiliary, subject.english], "?"
    )


def there_is(rng: Random) -> Piece:
    """*Il y a*, with its negation and its questions."""
    portable = rng.random() < 0.5
    noun = choose_noun(rng, _PORTABLE if portable else (*PEOPLE[:-1], "animal", "tree"))
    mode = rng.choice(("plain", "plain", "denied", "asked", "inverted"))
    denied = mode == "denied"
    link = ON_THE_TABLE if portable else rng.choice(LOCATIONS[:3])
    place = linked_phrase(rng, link, None)
    phrase = noun_phrase(
        rng,
        noun,
        "none" if denied else "number" if noun.has_plural and rng.random() < 0.3 else "a",
        plural=rng.random() < 0.5,
        adjectives=() if denied else choose_adjectives(rng, noun, 0.3),
    )
    verb = "are" if phrase.plural else "is"
    french = [*phrase.french, place[0]]
    if denied:
        return finish(
            ["il", "ne", "y", "a", "pas", "de", *french],
            ["there", verb, "no", phrase.english, place[1]],
            ".",
        )
    if mode == "plain":
        return finish(["il y a", *french], ["there", verb, phrase.english, place[1]], ".")
    opening = "est-ce que il y a" if mode == "asked" else "y a-t-il"
    return finish([opening, *french], [verb, "there", phrase.english, place[1]], "?")
