"""Clauses of the ``phrases`` sample: verb forms, negation and word order in both languages.

The English tense is fixed by the French one: the present is the simple present, the *passé
composé* the simple past, the *futur proche* is *going to*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tools.phrases.lexicon import LEXICON, VERBS, Tense, Verb
from tools.phrases.nounphrases import Phrase

Text = tuple[str, str]
"""The same words in French and in English; either may be empty."""


class Polarity(NamedTuple):
    """A negation, or an adverb that stands in the same place."""

    french: str
    english: str
    ne: str


PLAIN = Polarity("", "", "")
POLARITIES = {key: Polarity(*row) for key, row in LEXICON["polarities"].items()}


def choose_polarity(rng: Random, tense: Tense, plain: float) -> Polarity:
    """None in a share of ``plain``, else one that ``tense`` allows."""
    key = rng.choice(LEXICON["polarities_of"][tense])
    return PLAIN if rng.random() < plain else POLARITIES[key]


class VerbGroup(NamedTuple):
    """A verb with its auxiliaries."""

    clitic: str
    """An object pronoun before the finite word."""
    finite: str
    after: str
    """Participle or infinitive, with its own object pronoun."""
    auxiliary: str
    """The English one of questions and of *not*: ``does``, ``did``, ``is``, ``can``."""
    rest: str
    """What follows the auxiliary: ``eat``, ``going to eat``."""
    alone: str = ""
    """The form of plain statements (``eats``, ``ate``), where the auxiliary is only a *do*."""


def conjugate(
    verb: Verb, tense: Tense, subject: Phrase, *, clitic: str = "", preceding: Phrase | None = None
) -> VerbGroup:
    """The verb in ``tense``; ``preceding``: the object, where it stands before the verb."""
    form, third = subject.form, subject.form == 2
    infinitive, (plain, he, past) = f"{clitic} {verb.infinitive}", verb.english
    be = ("am", "are", "is", "are", "are", "are")[form]
    do = "does" if third else "do"
    if tense == "past":
        # With être the participle agrees with the subject, with avoir with an object before it.
        ruler = subject if verb.etre else preceding
        ending = ("e" * (ruler.gender == "f") + "s" * ruler.plural) if ruler else ""
        auxiliary = VERBS["être" if verb.etre else "avoir"].present[form]
        return VerbGroup(clitic, auxiliary, verb.participle + ending, "did", plain, past)
    if tense == "future":
        return VerbGroup("", VERBS["aller"].present[form], infinitive, be, f"going to {plain}")
    if tense == "present" and plain == "be":
        return VerbGroup("", verb.present[form], "", be, "")
    if tense == "present":
        return VerbGroup(clitic, verb.present[form], "", do, plain, he if third else plain)
    modal = LEXICON["modals"][tense][form]
    if tense == "can":
        return VerbGroup("", modal, infinitive, "can", plain)
    want = f"{'wants' if third else 'want'} to {plain}"
    return VerbGroup("", modal, infinitive, do, f"want to {plain}", want)


@dataclass(frozen=True, slots=True)
class Clause:
    """Who does what, ready to be stated or asked."""

    subject: Phrase
    verb: VerbGroup
    polarity: Polarity = PLAIN
    tail: Sequence[Text] = ()
    """What follows the verb."""

    def _tail(self, language: int) -> str:
        return " ".join(text[language] for text in self.tail)

    def statement(self) -> Text:
        """*Il ne mange pas*, *he does not eat*; *he never eats*, *he is never going to eat*."""
        clitic, finite, after, auxiliary, rest, alone = self.verb
        adverb, english_adverb, ne = self.polarity
        if english_adverb == "not":
            verb = f"cannot {rest}" if auxiliary == "can" else f"{auxiliary} not {rest}"
        elif alone:
            verb = f"{english_adverb} {alone}"
        else:
            verb = f"{auxiliary} {english_adverb} {rest}"
        french = f"{self.subject.french} {ne} {clitic} {finite} {adverb} {after} {self._tail(0)}"
        return french, f"{self.subject.english} {verb} {self._tail(1)}"

    def question(self, inverted: bool) -> Text:
        """The auxiliary comes first in English; in French, *est-ce que* or an inversion.

        A noun stays in front of an inverted verb and is taken up again: *Paul a-t-il mangé*.
        """
        subject, verb = self.subject, self.verb
        english = f"{verb.auxiliary} {subject.english} {self.polarity.english} {verb.rest}"
        french = f"est-ce que {self.statement()[0]}"
        if inverted:
            echo, opening = subject.french, ""
            if subject.kind != "pronoun":
                echo = ("elle" if subject.gender == "f" else "il") + "s" * subject.plural
                opening = subject.french
            joint = "-t-" if verb.finite[-1] in "ae" and echo[0] in "ei" else "-"
            asked = f"{verb.clitic} {verb.finite}{joint}{echo} {verb.after}"
            french = f"{opening} {asked} {self._tail(0)}"
        return french, f"{english} {self._tail(1)}"
