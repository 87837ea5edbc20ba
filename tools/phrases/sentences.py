"""The ``phrases`` sample: French sentences with their one right English translation.

A small grammar draws a sentence in both languages at once. Every French sentence that it can
draw has exactly one English one, whatever the seed: where French leaves a choice (*son*, *l'*,
the present), the grammar either fixes the English by rule or never draws the sentence.
"""

from __future__ import annotations

from random import Random

from tools.phrases.clauses import PLAIN, Clause, Polarity, Text, choose_polarity, conjugate
from tools.phrases.lexicon import ADJECTIVES, LEXICON, PEOPLE, VERBS, Tense, Verb
from tools.phrases.nounphrases import (
    WHO,
    Phrase,
    Role,
    agree,
    choose_clitic,
    choose_phrase,
    choose_pronoun,
    choose_subject,
)
from tools.phrases.spelling import finish

_BE = VERBS["être"]
_ACTIONS = [verb for verb in VERBS.values() if verb is not _BE]
_PLACED = [verb for verb in _ACTIONS if {"at", "to"} & {*verb.links}]
_ASKED = [verb for verb in _ACTIONS if verb.objects and verb.pronoun != "him"]
_GO = VERBS["aller"].present
_INVERTED = {*VERBS["avoir"].present, *_BE.present, *_GO}
_THINGS = ("food", "dish", "drink", "text", "thing", "house", "building")


def _choose_tense(rng: Random, verb: Verb) -> Tense:
    tenses: list[Tense] = ["present", "present", "present", "future", "want", "can"]
    return rng.choice([*tenses, "past", "past", "past"] if verb.participle else tenses)


def _time(rng: Random, tense: Tense, polarity: Polarity, share: float) -> list[Text]:
    """At times a time that suits the tense; *never* and *often* are times already."""
    fits = polarity.english in ("", "not") and rng.random() < share
    french, english = rng.choice(LEXICON["times"][tense])
    return [(french, english)] if fits else []


def _place(rng: Random, link: str, subject: Phrase) -> Text:
    """A preposition and what follows it."""
    french, english, kinds = LEXICON["prepositions"][link]
    # At *the* station: sentences about some station or other would be odd.
    role: Role = "other" if "friend" in kinds else "definite"
    phrase = choose_phrase(rng, kinds.split(), role, subject)
    return f"{french} {phrase.french}", f"{english} {phrase.english}"


def _action(
    rng: Random,
    verb: Verb,
    subject: Phrase,
    *,
    plain: float = 1.0,
    time: float = 0.0,
    placed: bool = True,
    asked: Phrase | None = None,
) -> Clause:
    """Somebody does something, somewhere; ``asked``: the object, where a question begins with it.

    ``plain`` is the share of plain clauses, ``time`` that of clauses with a time.
    """
    tense = _choose_tense(rng, verb)
    polarity = choose_polarity(rng, tense, plain)
    clitic = None if asked else choose_clitic(rng, verb, tense)
    tail: list[Text] = []
    if clitic:
        tail.append(("", clitic.english))
    elif verb.objects and not asked:
        phrase = choose_phrase(rng, verb.objects, "denied" if polarity.ne else "object", subject)
        tail.append((phrase.french, phrase.english))
    share = 1.0 if verb.linked else 0.15 if verb.objects else 0.6
    if verb.links and placed and rng.random() < share:
        tail.append(_place(rng, rng.choice(verb.links), subject))
    tail += _time(rng, tense, polarity, time)
    pronoun = clitic.french if clitic else ""
    group = conjugate(verb, tense, subject, clitic=pronoun, preceding=clitic or asked)
    return Clause(subject, group, polarity, tail)


def _state(rng: Random, subject: Phrase, plain: float) -> Clause:
    """What or where somebody or something is."""
    if subject.kind not in _THINGS and rng.random() < 0.4:
        tense: Tense = rng.choice(("present", "present", "future"))
        tail = [_place(rng, rng.choice(("at", "in", "front", "near")), subject)]
    else:
        tense = "present"
        quality = subject.kind if subject.kind in (*_THINGS, "animal") else "person"
        # Not la vieille femme est vieille.
        words = [a for a in ADJECTIVES if quality in a.kinds and a.english not in subject.english]
        word = rng.choice(words)
        tail = [(agree(word.french, subject.gender, subject.plural, "-"), word.english)]
    polarity = choose_polarity(rng, tense, plain)
    if tense == "future":
        tail += _time(rng, tense, polarity, 0.5)
    return Clause(subject, conjugate(_BE, tense, subject), polarity, tail)


def _ask(rng: Random, clause: Clause, opening: Text = ("", "")) -> Text:
    """A question; inverted only around an auxiliary, since the rest would be rare words."""
    verb, subject = clause.verb, clause.subject
    auxiliary = verb.finite in _INVERTED and (verb.after or verb.finite not in _GO)
    plain = clause.polarity is PLAIN and subject.form != 0
    french, english = clause.question(bool(auxiliary and plain and rng.random() < 0.7))
    return finish(f"{opening[0]} {french}", f"{opening[1]} {english}", "?")


def _statement(rng: Random) -> Text:
    """Somebody does something."""
    verb = rng.choice(_ACTIONS)
    clause = _action(rng, verb, choose_subject(rng, verb.animals), plain=0.62, time=0.3)
    return finish(*clause.statement(), ".")


def _being(rng: Random) -> Text:
    """*La pomme est rouge*, *es-tu malade*, *qui va être à la gare*."""
    dice = rng.random()
    if dice < 0.08:
        return finish(*_state(rng, WHO, 0.8).statement(), "?")
    living = rng.random() < 0.6
    topic = choose_subject(rng, True) if living else choose_phrase(rng, _THINGS, "definite")
    clause = _state(rng, topic, 0.65)
    if dice < 0.7:
        return finish(*clause.statement(), ".")
    return _ask(rng, clause, rng.choice((("", ""), ("", ""), ("pourquoi", "why"))))


def _where_is(rng: Random) -> Text:
    """*Où est ma clé ?*"""
    subject = choose_phrase(rng, (*_THINGS, *PEOPLE, "animal", "place"), "definite")
    group = conjugate(_BE, "present", subject)
    return finish(
        f"où {group.finite} {subject.french}", f"where {group.auxiliary} {subject.english}", "?"
    )


def _adverb_question(rng: Random) -> Text:
    """Whether, why, when or where somebody does something."""
    openings = (("", ""), ("pourquoi", "why"), ("quand", "when"), ("où", "where"))
    opening = rng.choices(openings, (6, 2, 2, 2))[0]
    where, bare = opening[1] == "where", opening[1] in ("where", "when")
    verb = rng.choice(_PLACED if where else _ACTIONS)
    plain, time = (1.0, 0.0) if bare else (0.8, 0.2)
    subject = choose_subject(rng, verb.animals)
    clause = _action(rng, verb, subject, plain=plain, time=time, placed=not where)
    return _ask(rng, clause, opening)


def _object_question(rng: Random) -> Text:
    """What, which or how many; the object before the verb rules the participle."""
    verb = rng.choice(_ASKED)
    if "drink" in verb.objects or rng.random() < 0.35:
        # Que cannot stand before a noun: que Paul a-t-il vu is not French.
        what = Phrase("que", "what")
        return _ask(rng, _action(rng, verb, choose_pronoun(rng), asked=what), ("que", "what"))
    many = rng.random() < 0.4
    kinds = [kind for kind in verb.objects if kind != "dish"]
    asked = choose_phrase(rng, kinds, "how many" if many else "which")
    opening = (f"combien de {asked.french}", f"how many {asked.english}")
    clause = _action(rng, verb, choose_subject(rng, verb.animals), asked=asked)
    return _ask(rng, clause, opening if many else (asked.french, asked.english))


def _who_question(rng: Random) -> Text:
    """*Qui* is the subject, so the order is that of a statement in both languages."""
    clause = _action(rng, rng.choice(_ACTIONS), WHO, plain=0.8, time=0.2)
    return finish(*clause.statement(), "?")


_KINDS = {
    _statement: 50,
    _being: 17,
    _adverb_question: 20,
    _object_question: 7,
    _who_question: 5,
    _where_is: 1,
}


def draw_phrase(rng: Random) -> Text:
    """One sentence in French and in English."""
    return rng.choices(list(_KINDS), list(_KINDS.values()))[0](rng)
