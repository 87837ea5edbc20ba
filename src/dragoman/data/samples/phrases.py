"""The ``phrases`` sample: French sentences with their one right English translation.

A small grammar draws a sentence in both languages at once. Every French sentence that it can
draw has exactly one English one, whatever the seed: where French leaves a choice (*son*, *l'*,
the present), the grammar either fixes the English by rule or never draws the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from dragoman.data.samples.clauses import (
    NEVER,
    NOT,
    PLAIN,
    Piece,
    choose_polarity,
    english_statement,
    french_statement,
)
from dragoman.data.samples.lexicon import ADJECTIVES
from dragoman.data.samples.nounphrases import PRONOUNS, choose_noun, choose_subject, noun_phrase
from dragoman.data.samples.predicates import (
    choose_tense,
    choose_time,
    choose_verb,
    direct_object,
    links,
    predicate,
)
from dragoman.data.samples.questions import (
    adverb_question,
    object_question,
    who_question,
    yes_no_question,
)
from dragoman.data.samples.spelling import finish, with_article
from dragoman.data.samples.states import being, there_is, where_is
from dragoman.data.samples.verbs import COMMANDS

_FEWEST_WORDS, _MOST_WORDS = 3, 14


def _statement(rng: Random) -> Piece:
    """Somebody does something, somewhere, some time; the time may come first."""
    verb = choose_verb(rng)
    tense = choose_tense(rng, verb)
    subject = choose_subject(rng, verb.animals)
    polarity = choose_polarity(rng, tense)
    group, tail = predicate(rng, verb, tense, subject, polarity)
    time = choose_time(rng, tense, polarity)
    opening = [f"{words}," for words in time[0]] if time and rng.random() < 0.35 else []
    if not opening:
        tail += time
    return finish(
        [*opening[:1], *french_statement(subject, group, polarity, tail)],
        [*opening[1:], *english_statement(subject, group, polarity, tail)],
        ".",
    )


def _command(rng: Random) -> Piece:
    """*Mange ta pomme !*"""
    verb = rng.choice(COMMANDS)
    subject = rng.choice([pronoun for pronoun in PRONOUNS if pronoun.form in (1, 4)])
    polarity = rng.choice((PLAIN, PLAIN, NOT, NEVER))
    form = verb.present[subject.form]
    # Verbs with -es in the second person drop the s of the order: mange, ouvre.
    order = form[:-1] if form.endswith("es") else form
    tail = [direct_object(rng, verb, subject, polarity.ne), *links(rng, verb, subject)]
    french = ["ne", order, polarity.french] if polarity.ne else [order]
    english = {NOT: "do not", NEVER: "never"}.get(polarity, "")
    return finish(
        [*french, *(piece[0] for piece in tail)],
        [english, verb.english, *(piece[1] for piece in tail)],
        "!",
    )


def _exclamation(rng: Random) -> Piece:
    """*Quelle belle robe !*"""
    word = rng.choice([word for word in ADJECTIVES if word.place == "before"])
    noun = choose_noun(rng, word.kinds)
    phrase = noun_phrase(rng, noun, "what", plural=rng.random() < 0.4, adjectives=(word,))
    bare = phrase.plural or noun.mass
    english = phrase.english if bare else with_article(phrase.english)
    return finish(phrase.french, ["what", english], "!")


_SENTENCES: tuple[tuple[Callable[[Random], Piece], int], ...] = (
    (_statement, 48),
    (being, 14),
    (yes_no_question, 12),
    (adverb_question, 7),
    (object_question, 7),
    (who_question, 4),
    (where_is, 1),
    (there_is, 4),
    (_command, 6),
    (_exclamation, 1),
)
_KINDS = [kind for kind, _ in _SENTENCES]
_WEIGHTS = [weight for _, weight in _SENTENCES]


def draw_phrase(rng: Random) -> Piece:
    """One sentence of 3 to 14 words, in French and in English."""
    while True:
        french, english = rng.choices(_KINDS, _WEIGHTS)[0](rng)
        # Parts count: *As-tu mangé* is three words, *aujourd'hui* two.
        if _FEWEST_WORDS <= len(re.findall(r"\w+", french)) <= _MOST_WORDS:
            return french, english
