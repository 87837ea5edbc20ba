"""Noun phrases of the ``phrases`` sample: who does something, and to what.

Each is built in both languages at once from the same choices, so the English of a French phrase
follows from it by rule: *des* is a bare plural, *ce* is *this*, and *son* belongs to the subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from tools.phrases.lexicon import (
    ADJECTIVES,
    GENDERS,
    LEXICON,
    NOUNS,
    PEOPLE,
    Adjective,
    Gender,
    Noun,
    Tense,
    Verb,
)
from tools.phrases.spelling import indefinite_article, vowel_sound

Determiner = Literal["the", "a", "this", "own", "number", "which", ""]
Role = Literal["object", "denied", "definite", "which", "how many", "other"]
"""What a noun phrase is in its sentence, which decides on its determiners and number.

``denied``: the object of a negated verb, with *pas de*. ``definite``: what something is said of.
``other`` is never a bare plural, which as an English subject would speak of children in general.
"""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase or pronoun: its words, and what must agree with it."""

    french: str
    english: str
    gender: Gender = "m"
    plural: bool = False
    form: int = 2
    """Which form of a verb it takes as subject: 0 je, 1 tu, 2 il, 3 nous, 4 vous, 5 ils."""
    kind: str = "pronoun"


WHO = Phrase("qui", "who", kind="who")


def pronoun(form: int, gender: Gender, plural: bool) -> Phrase:
    """A subject pronoun; a speaker's gender shows only where something agrees with it."""
    french, english = (words.split()[gender == "f"] for words in LEXICON["pronouns"][form])
    return Phrase(french, english, gender, plural, form)


def agree(forms: Sequence[str], gender: Gender, plural: bool, before: str) -> str:
    """The form of a determiner or adjective that stands before the word ``before``.

    ``forms``: masculine, feminine, their plurals; then, if there is *cet* or *mon école*, the
    singulars before a vowel sound.
    """
    liaison = len(forms) == 6 and not plural and vowel_sound(before)
    return forms[(gender == "f") + (4 if liaison else 2 * plural)]


def _choose_owner(rng: Random, subject: Phrase | None) -> tuple[Sequence[str], str]:
    """Whose a thing is: the French possessive's forms, and the English one.

    *son* says nothing of its owner's gender, so it always refers to the subject. A speaker does
    not mix *tu* and *vous* in one breath.
    """
    form = subject.form if subject and subject is not WHO else -1
    row = form
    if form < 0 or rng.random() < 0.4:
        row = rng.choice([row for row in (0, 1, 3, 4, 5) if {row, form} != {1, 4}])
    english = LEXICON["possessives"]["english"][row]
    if subject and not english:
        person = "her" if subject.gender == "f" else "his"
        english = "its" if subject.kind == "animal" else person
    return LEXICON["possessives"]["french"][row], english


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
    """Build a noun phrase in both languages; ``denied`` as in ``Role``."""
    gender, head = noun.gender, noun.french[plural]
    # Only what stands before the noun has a form for its vowel: un œuf frais.
    before = [agree(a.french, gender, plural, head) for a in adjectives if a.place == "before"]
    after = [agree(a.french, gender, plural, "-") for a in adjectives if a.place != "before"]
    french = " ".join([*before, head, *after])
    english = " ".join([*(a.english for a in adjectives), noun.english[plural]])
    article, word, mass = "", "", noun.kind in ("dish", "drink")
    if determiner == "number":
        article, word = rng.choice(LEXICON["numbers"])
    elif determiner == "own":
        forms, word = _choose_owner(rng, subject)
        article = agree(forms, gender, plural, french)
    elif determiner:
        forms = LEXICON["determiners"]["some" if mass and determiner == "a" else determiner]
        article = agree(forms, gender, plural, french)
        word = "these" if determiner == "this" and plural else determiner
    if determiner == "a":
        word = "" if mass or plural else indefinite_article(english)
        # French says de, not des, before an adjective: de belles robes.
        article = "de" if denied or (plural and before) else article
    form = 5 if plural else 2
    french, english = f"{article} {french}".strip(), f"{word} {english}".strip()
    return Phrase(french, english, gender, plural, form, noun.kind)


def _choose_determiner(rng: Random, noun: Noun, role: Role) -> Determiner:
    if noun.kind == "name" or role == "how many":
        return ""
    if noun.kind == "family":
        return "own"
    if role == "which":
        return "which"
    choices: list[Determiner] = ["the", "the", "this"]
    if role != "definite":
        choices += ["a", "a"]
    if role in ("object", "other") and len(noun.french) == 2:
        choices.append("number")
    if noun.kind in LEXICON["owned"]:
        choices.append("own")
    return rng.choice(choices)


def _choose_adjectives(rng: Random, noun: Noun, share: float) -> Sequence[Adjective]:
    """None, one, or one before and one after the noun."""
    fitting = [word for word in ADJECTIVES if noun.kind in word.kinds]
    if not fitting or rng.random() >= share:
        return ()
    first = rng.choice(fitting)
    seconds = [word for word in fitting if word.place == "colour"]
    if first.place == "before" and seconds and rng.random() < 0.25:
        return (first, rng.choice(seconds))
    return (first,)


def choose_phrase(
    rng: Random, kinds: Iterable[str], role: Role = "other", subject: Phrase | None = None
) -> Phrase:
    """A noun phrase about a noun of ``kinds``, with a determiner that suits its role."""
    # Not the subject's own noun: Paul voit Paul would be two Pauls.
    taken = {*subject.french.split()} if subject else set()
    nouns = [noun for kind in kinds for noun in NOUNS[kind]]
    noun = rng.choice([noun for noun in nouns if taken.isdisjoint(noun.french)])
    determiner = _choose_determiner(rng, noun, role)
    bare = determiner == "a" and role == "other"
    many = determiner == "number" or role == "how many" or (rng.random() < 0.35 and not bare)
    # In ne ... pas de nouveau livre, de nouveau is also *again*: there, no adjective.
    plain = noun.kind == "name" or (role == "denied" and determiner == "a")
    share = 0.0 if plain else 0.35 if role == "object" else 0.2
    return noun_phrase(
        rng,
        noun,
        determiner,
        plural=many and len(noun.french) == 2,
        adjectives=_choose_adjectives(rng, noun, share),
        subject=subject,
        denied=role == "denied",
    )


def choose_pronoun(rng: Random) -> Phrase:
    """A subject pronoun; each form of the verb equally often, so that each is seen."""
    form = rng.randrange(6)
    return pronoun(form, rng.choice(GENDERS), form in (3, 5) or (form == 4 and rng.random() < 0.5))


def choose_clitic(rng: Random, verb: Verb, tense: Tense) -> Phrase | None:
    """*le*, *la* or *les* for the object, or None."""
    if not verb.pronoun or rng.random() > 0.28:
        return None
    gender = rng.choice(GENDERS)
    if rng.random() < 0.35:
        return Phrase("les", "them", gender, plural=True)
    # l'aide hides whether it is him or her; in the past the participle tells (aidé, aidée).
    if verb.pronoun == "him" and tense != "past" and vowel_sound(verb.infinitive):
        return None
    her = "her" if verb.pronoun == "him" and gender == "f" else verb.pronoun
    return Phrase("la" if gender == "f" else "le", her, gender)


def choose_subject(rng: Random, animals: bool) -> Phrase:
    """Who acts: a pronoun, two names, a person, or an animal where the verb allows it."""
    dice = rng.random()
    if dice < 0.55:
        return choose_pronoun(rng)
    if dice < 0.59:
        one, other = rng.sample(NOUNS["name"], 2)
        first, second = one.french[0], other.french[0]
        # French counts two people as feminine only when both are.
        gender: Gender = "f" if one.gender == other.gender == "f" else "m"
        return Phrase(f"{first} et {second}", f"{first} and {second}", gender, True, 5, "name")
    return choose_phrase(rng, (*PEOPLE, "animal") if animals else PEOPLE)
