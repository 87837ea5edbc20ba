"""Questions of the ``phrases`` sample."""

from __future__ import annotations

from random import Random

from dragoman.data.samples.clauses import (
    PLAIN,
    Piece,
    Polarity,
    Tense,
    VerbGroup,
    choose_polarity,
    conjugate,
    english_question,
    english_statement,
    french_inversion,
    french_statement,
)
from dragoman.data.samples.lexicon import AT, Verb
from dragoman.data.samples.nounphrases import (
    PRONOUNS,
    WHO,
    Phrase,
    choose_adjectives,
    choose_noun,
    choose_subject,
    noun_phrase,
)
from dragoman.data.samples.predicates import (
    choose_tense,
    choose_time,
    choose_verb,
    links,
    predicate,
)
from dragoman.data.samples.spelling import finish
from dragoman.data.samples.verbs import TRANSITIVE


def inverts(verb: Verb, tense: Tense) -> bool:
    """Whether the finite word is a common auxiliary: other inverted verbs would be rare words."""
    return tense in ("past", "future") or (tense == "present" and verb.infinitive == "avoir")


def ask(
    rng: Random,
    opening: Piece,
    subject: Phrase,
    group: VerbGroup,
    tail: list[Piece],
    *,
    polarity: Polarity,
    invertible: bool,
) -> Piece:
    """A question about ``subject``, by inversion where that is usual, else with *est-ce que*."""
    if invertible and polarity is PLAIN and subject.form != 0 and rng.random() < 0.7:
        french = french_inversion(subject, group, tail)
    else:
        french = ["est-ce", "que", *french_statement(subject, group, polarity, tail)]
    english = english_question(subject, group, polarity, tail)
    return finish([opening[0], *french], [opening[1], *english], "?")


def yes_no_question(rng: Random) -> Piece:
    """*As-tu un chien ?*"""
    verb = choose_verb(rng)
    tense = choose_tense(rng, verb)
    subject = choose_subject(rng, verb.animals)
    polarity = choose_polarity(rng, tense, plain=0.85)
    group, tail = predicate(rng, verb, tense, subject, polarity)
    tail += choose_time(rng, tense, polarity, share=0.2)
    invertible = inverts(verb, tense)
    return ask(rng, ("", ""), subject, group, tail, polarity=polarity, invertible=invertible)


def adverb_question(rng: Random) -> Piece:
    """Where, when or why."""
    opening = rng.choice((("où", "where"), ("quand", "when"), ("pourquoi", "why")))
    verb = choose_verb(rng)
    while opening[1] == "where" and not (AT in verb.links or verb.infinitive == "aller"):
        verb = choose_verb(rng)
    tense = choose_tense(rng, verb)
    subject = choose_subject(rng, verb.animals)
    polarity = choose_polarity(rng, tense, plain=0.75) if opening[1] == "why" else PLAIN
    group, tail = predicate(rng, verb, tense, subject, polarity)
    if opening[1] == "where":
        tail = tail[:1] if verb.objects else []
    invertible = inverts(verb, tense)
    return ask(rng, opening, subject, group, tail, polarity=polarity, invertible=invertible)


def object_question(rng: Random) -> Piece:
    """What, which or how many; the object before the verb rules the participle."""
    verb = rng.choice([verb for verb in TRANSITIVE if verb.pronoun != "person"])
    tense = choose_tense(rng, verb)
    subject = choose_subject(rng, verb.animals)
    asked: Phrase | None = None
    opening = ("que", "what")
    if rng.random() < 0.35 or "drink" in verb.objects:
        # Que cannot stand before a noun: que Paul a-t-il vu is not French.
        subject = rng.choice(PRONOUNS)
    else:
        noun = choose_noun(rng, verb.objects, plural=True)
        many = rng.random() < 0.4
        asked = noun_phrase(
            rng,
            noun,
            "none" if many else "what",
            plural=many or rng.random() < 0.4,
            adjectives=choose_adjectives(rng, noun, 0.2),
        )
        french = " ".join(asked.french)
        opening = (f"combien de {french}", "how many") if many else (french, "which")
        opening = (opening[0], f"{opening[1]} {asked.english}")
    group = conjugate(rng, verb, tense, subject, preceding=asked)
    tail = links(rng, verb, subject)
    invertible = inverts(verb, tense)
    return ask(rng, opening, subject, group, tail, polarity=PLAIN, invertible=invertible)


def who_question(rng: Random) -> Piece:
    """*Qui* is the subject, so the order is that of a statement in both languages."""
    verb = choose_verb(rng)
    tense = choose_tense(rng, verb)
    polarity = choose_polarity(rng, tense, plain=0.8)
    group, tail = predicate(rng, verb, tense, WHO, polarity)
    tail += choose_time(rng, tense, polarity, share=0.2)
    return finish(
        french_statement(WHO, group, polarity, tail),
        english_statement(WHO, group, polarity, tail),
        "?",
    )
