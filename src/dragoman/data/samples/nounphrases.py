"""Noun phrases of the ``phrases`` sample: who does something, and to what.

Each is built in both languages at once from the same choices, so the English of a French phrase
follows from it by rule: *des* is a bare plural, *ce* is *this*, and *son* belongs to the subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from dragoman.data.samples.lexicon import (
    ADJECTIVES,
    NAMES,
    NOUNS,
    NUMBERS,
    PEOPLE,
    Adjective,
    Gender,
    Noun,
)
from dragoman.data.samples.spelling import vowel_sound, with_article

Determiner = Literal["the", "a", "this", "own", "number", "what", "none"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase or pronoun: its words, and what must agree with it."""

    french: tuple[str, ...]
    english: str
    gender: Gender
    plural: bool
    form: int
    """Which form of a verb it takes as subject: 0 je, 1 tu, 2 il, 3 nous, 4 vous, 5 ils."""
    kind: str
    pronoun: bool = False


def _pronouns() -> tuple[Phrase, ...]:
    genders: tuple[Gender, Gender] = ("m", "f")
    rows = (("je", "I", 0), ("tu", "you", 1), ("nous", "we", 3), ("vous", "you", 4))
    speakers = tuple(
        Phrase((french,), english, gender, plural, form, "person", pronoun=True)
        for french, english, form in rows
        for gender in genders
        for plural in ((False, True) if form == 4 else (form == 3,))
    )
    others = (
        Phrase(("il",), "he", "m", False, 2, "person", pronoun=True),
        Phrase(("elle",), "she", "f", False, 2, "person", pronoun=True),
        Phrase(("ils",), "they", "m", True, 5, "person", pronoun=True),
        Phrase(("elles",), "they", "f", True, 5, "person", pronoun=True),
    )
    # Each form equally often, so that each form of a verb is seen.
    return (*speakers, *(one for one in speakers if one.form != 4), *others, *others)


PRONOUNS = _pronouns()
WHO = Phrase(("qui",), "who", "m", False, 2, "who")

_ARTICLES = {
    "the": ("le", "la", "les", "les"),
    "a": ("un", "une", "des", "des"),
    "this": ("ce", "cette", "ces", "ces"),
    "what": ("quel", "quelle", "quels", "quelles"),
}
_POSSESSIVES = (
    ("mon", "ma", "mes", "mes"),
    ("ton", "ta", "tes", "tes"),
    ("son", "sa", "ses", "ses"),
    ("notre", "notre", "nos", "nos"),
    ("votre", "votre", "vos", "vos"),
    ("leur", "leur", "leurs", "leurs"),
)
_OWNERS = ("my", "your", "", "our", "your", "their")
_OWNED = ("role", "animal", "food", "dish", "drink", "book", "writing", "thing", "house", "garden")


def agree(forms: Sequence[str], gender: Gender, plural: bool) -> str:
    """The form of an adjective or participle for a gender and number."""
    return forms[(gender == "f") + 2 * plural]


def name(rng: Random) -> Phrase:
    """One person by name."""
    text, gender = rng.choice(NAMES)
    return Phrase((text,), text, gender, False, 2, "name")


def couple(rng: Random) -> Phrase:
    """Two people by name; French counts them as feminine only when both are."""
    (first, one), (second, other) = rng.sample(NAMES, 2)
    gender: Gender = "f" if one == other == "f" else "m"
    french = (first, "et", second)
    return Phrase(french, f"{first} and {second}", gender, True, 5, "name")


def choose_noun(rng: Random, kinds: Iterable[str], plural: bool = False) -> Noun:
    """Any noun of ``kinds``; with ``plural`` one that has a plural."""
    wanted = frozenset(kinds)
    return rng.choice(
        [noun for noun in NOUNS if noun.kind in wanted and (noun.has_plural or not plural)]
    )


def choose_owner(rng: Random, subject: Phrase | None) -> tuple[int, str]:
    """Whose a thing is, as a row of possessives and its English.

    *son* says nothing of its owner's gender, so it always refers to the subject. A speaker does
    not mix *tu* and *vous* in one breath.
    """
    form = subject.form if subject else -1
    rows = [row for row in (0, 1, 3, 4, 5) if {row, form} != {1, 4}]
    row = form if subject and subject.kind != "who" and rng.random() < 0.6 else rng.choice(rows)
    if row == 2 and subject:
        person = subject.kind in (*PEOPLE, "name", "person")
        return row, ("her" if subject.gender == "f" else "his") if person else "its"
    return row, _OWNERS[row]


def choose_determiner(rng: Random, noun: Noun, known: bool = False) -> Determiner:
    """A determiner that suits ``noun``; only *this* and possessives where it must be ``known``.

    (French says *j'aime les pommes* of apples in general: articles stay out after such verbs.)
    """
    if noun.kind == "family":
        return "own"
    choices: list[Determiner] = ["this"] if known else ["the", "the", "a", "a", "this"]
    if noun.kind in _OWNED:
        choices.append("own")
    if noun.has_plural and not known:
        choices.append("number")
    return rng.choice(choices)


def choose_adjectives(rng: Random, noun: Noun, share: float = 0.4) -> tuple[Adjective, ...]:
    """None, one, or one before and one after the noun."""
    if rng.random() >= share:
        return ()
    fitting = [word for word in ADJECTIVES if noun.kind in word.kinds and word.place != "alone"]
    if not fitting:
        return ()
    first = rng.choice(fitting)
    seconds = [word for word in fitting if word.relational]
    if first.place == "before" and seconds and rng.random() < 0.25:
        return (first, rng.choice(seconds))
    return (first,)


def _determine(
    rng: Random,
    determiner: Determiner,
    phrase: Phrase,
    *,
    mass: bool,
    subject: Phrase | None,
    softened: bool,
) -> Phrase:
    """Put the determiner before ``phrase``, in both languages."""
    french, english, plural = phrase.french, phrase.english, phrase.plural
    # Before a vowel, cet and the masculine mon, ton, son: cet ami, mon école.
    liaison = vowel_sound(french[0]) and not plural
    article = agree(_ARTICLES.get(determiner, ("",) * 4), phrase.gender, plural)
    if determiner == "number":
        article, number = rng.choice(NUMBERS)
        english = f"{number} {english}"
    elif determiner == "own":
        row, owner = choose_owner(rng, subject)
        article = agree(_POSSESSIVES[row], "m" if liaison else phrase.gender, plural)
        english = f"{owner} {english}"
    elif determiner == "the":
        english = f"the {english}"
    elif determiner == "this":
        article = "cet" if liaison and phrase.gender == "m" else article
        english = f"{'these' if plural else 'this'} {english}"
    elif determiner == "a":
        if softened:
            article = "de"
        elif mass:
            article = f"de {agree(_ARTICLES['the'], phrase.gender, plural)}"
        english = with_article(english) if not mass and not plural else english
    return replace(phrase, french=(article, *french), english=english) if article else phrase


def noun_phrase(
    rng: Random,
    noun: Noun,
    determiner: Determiner,
    *,
    plural: bool = False,
    adjectives: Sequence[Adjective] = (),
    subject: Phrase | None = None,
    denied: bool = False,
) -> Phrase:
    """Build a noun phrase; ``denied``: it is the direct object of a negated verb."""
    plural = noun.has_plural and (plural or determiner == "number")
    before = [word for word in adjectives if word.place == "before"]
    head = noun.french[plural]
    words = []
    for word in before:
        liaison = word.liaison if noun.gender == "m" and not plural and vowel_sound(head) else ""
        words.append(liaison or agree(word.french, noun.gender, plural))
    words.append(head)
    words += [
        agree(word.french, noun.gender, plural) for word in adjectives if word.place == "after"
    ]
    english = " ".join([*(word.english for word in adjectives), noun.english[plural]])
    phrase = Phrase(tuple(words), english, noun.gender, plural, 5 if plural else 2, noun.kind)
    # French says de, not des, before an adjective: de belles robes.
    softened = denied or (plural and bool(before))
    return _determine(rng, determiner, phrase, mass=noun.mass, subject=subject, softened=softened)


def choose_subject(rng: Random, animals: bool) -> Phrase:
    """Who acts: a pronoun, a name, a person, or an animal where the verb allows it."""
    dice = rng.random()
    if dice < 0.55:
        return rng.choice(PRONOUNS)
    if dice < 0.67:
        return couple(rng) if dice < 0.58 else name(rng)
    noun = choose_noun(rng, (*PEOPLE, "animal") if animals else PEOPLE)
    determiner = choose_determiner(rng, noun)
    # No *des*: as an English subject, a bare plural would speak of children in general.
    plural = rng.random() < 0.35 and determiner != "a"
    return noun_phrase(
        rng, noun, determiner, plural=plural, adjectives=choose_adjectives(rng, noun, 0.3)
    )
