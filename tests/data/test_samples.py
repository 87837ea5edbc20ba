"""The samples hold to the rules of the languages, to one target a source, and to their seed."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.data.pairs import Pair
from dragoman.data.samples import SAMPLES, sample_pairs
from dragoman.data.samples.clauses import (
    NEVER,
    NO_LONGER,
    NOT,
    OFTEN,
    PLAIN,
    Clitic,
    Polarity,
    Tense,
    conjugate,
    english_question,
    english_statement,
    french_inversion,
    french_statement,
)
from dragoman.data.samples.lexicon import ADJECTIVES, NOUNS
from dragoman.data.samples.nounphrases import PRONOUNS, Determiner, Phrase, noun_phrase
from dragoman.data.samples.phrases import draw_phrase
from dragoman.data.samples.spelling import finish
from dragoman.data.samples.verbs import INTRANSITIVE, TRANSITIVE
from dragoman.errors import DataError

VERBS = {verb.infinitive: verb for verb in TRANSITIVE + INTRANSITIVE}


@cache
def default_sample(name: str) -> list[Pair]:
    return sample_pairs(name)


def noun(words: str, determiner: Determiner = "none", plural: bool = False) -> Phrase:
    """``noun("old tree")``: the noun is named by its English, its adjectives before it."""
    *described, head = words.split()
    adjectives = [next(word for word in ADJECTIVES if word.english == name) for name in described]
    entry = next(entry for entry in NOUNS if entry.english[0] == head)
    return noun_phrase(Random(1), entry, determiner, plural=plural, adjectives=adjectives)


def pronoun(french: str, gender: str = "m") -> Phrase:
    return next(one for one in PRONOUNS if one.french == (french,) and one.gender == gender)


def said(phrase: Phrase) -> tuple[str, str]:
    return finish(phrase.french, [phrase.english], ".")


def statement(
    subject: Phrase,
    verb: str,
    tense: Tense,
    polarity: Polarity = PLAIN,
    *,
    about: Phrase | None = None,
    clitic: Clitic | None = None,
) -> tuple[str, str]:
    group = conjugate(Random(1), VERBS[verb], tense, subject, clitic=clitic)
    tail = [(" ".join(about.french), about.english)] if about else []
    tail += [("", clitic.english)] if clitic else []
    return finish(
        french_statement(subject, group, polarity, tail),
        english_statement(subject, group, polarity, tail),
        ".",
    )


@pytest.mark.parametrize(
    ("words", "determiner", "plural", "french", "english"),
    [
        # gender, number, irregular feminines and plurals
        ("white dress", "a", False, "Une robe blanche.", "A white dress."),
        ("white hat", "the", True, "Les chapeaux blancs.", "The white hats."),
        ("small horse", "this", True, "Ces petits chevaux.", "These small horses."),
        ("happy woman", "this", False, "Cette femme heureuse.", "This happy woman."),
        ("old newspaper", "the", True, "Les vieux journaux.", "The old newspapers."),
        ("Italian car", "the", True, "Les voitures italiennes.", "The Italian cars."),
        ("fresh meat", "a", False, "De la viande fraîche.", "Fresh meat."),
        ("big white sheep", "the", True, "Les grands moutons blancs.", "The big white sheep."),
        # beau, nouveau and vieux before a vowel, and not before an aspirated h
        ("beautiful tree", "this", False, "Ce bel arbre.", "This beautiful tree."),
        ("old hotel", "a", False, "Un vieil hôtel.", "An old hotel."),
        ("new friend", "the", False, "Le nouvel ami.", "The new friend."),
        ("beautiful hamster", "the", False, "Le beau hamster.", "The beautiful hamster."),
        ("old house", "a", False, "Une vieille maison.", "An old house."),
        # elision, cet, partitives, de before an adjective
        ("man", "the", False, "L'homme.", "The man."),
        ("bird", "this", False, "Cet oiseau.", "This bird."),
        ("hamster", "the", False, "Le hamster.", "The hamster."),
        ("bread", "a", False, "Du pain.", "Bread."),
        ("water", "a", False, "De l'eau.", "Water."),
        ("knife", "a", True, "Des couteaux.", "Knives."),
        ("beautiful story", "a", True, "De belles histoires.", "Beautiful stories."),
        ("old tree", "a", True, "De vieux arbres.", "Old trees."),
        # a and an go by sound
        ("honest man", "a", False, "Un homme honnête.", "An honest man."),
        ("university", "a", False, "Une université.", "A university."),
        ("big egg", "a", False, "Un grand œuf.", "A big egg."),
    ],
)
def test_noun_phrases(
    words: str, determiner: Determiner, plural: bool, french: str, english: str
) -> None:
    assert said(noun(words, determiner, plural)) == (french, english)


HER = Clitic("la", "her", "f", False, 2)
IT = Clitic("la", "it", "f", False, 2)
BREAD = noun_phrase(Random(1), next(one for one in NOUNS if "pain" in one.french), "a", denied=True)


@pytest.mark.parametrize(
    ("pair", "french", "english"),
    [
        (statement(pronoun("je"), "aller", "present"), "Je vais.", "I go."),
        (statement(pronoun("elle", "f"), "aller", "past"), "Elle est allée.", "She went."),
        (statement(pronoun("ils"), "partir", "past"), "Ils sont partis.", "They left."),
        (statement(pronoun("elle", "f"), "partir", "past", NOT),
         "Elle n'est pas partie.", "She did not leave."),
        (statement(pronoun("nous", "f"), "venir", "past"), "Nous sommes venues.", "We came."),
        (statement(pronoun("je"), "acheter", "present", about=noun("red car", "this")),
         "J'achète cette voiture rouge.", "I buy this red car."),
        (statement(pronoun("il"), "avoir", "present", about=noun("knife", "a", True)),
         "Il a des couteaux.", "He has knives."),
        (statement(pronoun("tu"), "manger", "present", NOT, about=BREAD),
         "Tu ne manges pas de pain.", "You do not eat bread."),
        (statement(noun("child", "the", True), "écrire", "past", NEVER, about=noun("letter", "a")),
         "Les enfants n'ont jamais écrit une lettre.", "The children never wrote a letter."),
        (statement(pronoun("elle", "f"), "chanter", "present", NO_LONGER),
         "Elle ne chante plus.", "She no longer sings."),
        (statement(pronoun("je"), "dormir", "future", NEVER),
         "Je ne vais jamais dormir.", "I am never going to sleep."),
        (statement(pronoun("nous"), "parler", "past", OFTEN),
         "Nous avons souvent parlé.", "We often talked."),
        (statement(noun("teacher", "the"), "aider", "past", clitic=HER),
         "Le professeur l'a aidée.", "The teacher helped her."),
        (statement(pronoun("il"), "chercher", "present", clitic=IT),
         "Il la cherche.", "He looks for it."),
        (statement(pronoun("je"), "ouvrir", "future", NOT, clitic=IT),
         "Je ne vais pas l'ouvrir.", "I am not going to open it."),
    ],
)  # fmt: skip
def test_statements(pair: tuple[str, str], french: str, english: str) -> None:
    assert pair == (french, english)


def test_questions_put_the_auxiliary_first_in_both_languages() -> None:
    def ask(subject: Phrase, verb: str, tense: Tense) -> tuple[str, str]:
        group = conjugate(Random(1), VERBS[verb], tense, subject)
        return finish(
            french_inversion(subject, group, []), english_question(subject, group, PLAIN, []), "?"
        )

    assert ask(pronoun("il"), "dormir", "past") == ("A-t-il dormi ?", "Did he sleep?")
    assert ask(pronoun("tu"), "partir", "future") == ("Vas-tu partir ?", "Are you going to leave?")
    women, cow = noun("woman", "the", True), noun("cow", "the")
    came = ("Les femmes sont-elles venues ?", "Did the women come?")
    assert ask(women, "venir", "past") == came
    sleeping = ("La vache va-t-elle dormir ?", "Is the cow going to sleep?")
    assert ask(cow, "dormir", "future") == sleeping


def test_the_participle_agrees_with_an_object_before_it() -> None:
    letters = noun("letter", "what", True)
    group = conjugate(Random(1), VERBS["écrire"], "past", pronoun("tu"), preceding=letters)
    assert [*letters.french, *french_inversion(pronoun("tu"), group, [])] == (
        ["quelles", "lettres", "as-tu", "écrites"]
    )


WHOLE = {
    "Il est parti.": "He left.",
    "Qui est malade ?": "Who is sick?",
    "Es-tu heureux ?": "Are you happy?",
    "Elles sont vieilles.": "They are old.",
    "Je suis heureux.": "I am happy.",
    "Nous n'avons pas dormi.": "We did not sleep.",
    "Je ne suis plus fatigué.": "I am no longer tired.",
    "Elle les a vus.": "She saw them.",
    "Je t'ai vu.": "I saw you.",
    "Qui t'a aidé ?": "Who helped you?",
    "Qu'as-tu acheté ?": "What did you buy?",
    "Qu'est-ce que tu manges ?": "What do you eat?",
    "Est-ce qu'il dort ?": "Does he sleep?",
    "Pourquoi êtes-vous partie ?": "Why did you leave?",
    "Quand est-ce que tu pars ?": "When do you leave?",
    "Quel beau chien !": "What a beautiful dog!",
    "Quel vieil arbre !": "What an old tree!",
    "Mange ton pain !": "Eat your bread!",
    "N'ouvre pas la porte !": "Do not open the door!",
    "Ouvrez les fenêtres !": "Open the windows!",
    "Elle aime son frère.": "She loves her brother.",
    "Paul aime sa sœur.": "Paul loves his sister.",
    "Elle parle à son frère.": "She talks to her brother.",
    "Vous allez à la gare.": "You go to the station.",
    "Je vais au marché.": "I go to the market.",
    "Il vient du marché.": "He comes from the market.",
}


@cache
def drawn() -> dict[str, set[str]]:
    """Every English sentence that came with a French one in many raw draws of two seeds."""
    targets: dict[str, set[str]] = {}
    for seed in (1, 2):
        rng = Random(seed)
        for _ in range(60_000):
            source, target = draw_phrase(rng)
            targets.setdefault(source.lower(), set()).add(target)
    return targets


def test_whole_sentences_agree_with_translations_made_by_hand() -> None:
    table = drawn()
    found = {source: table[source.lower()] for source in WHOLE if source.lower() in table}
    assert found == {source: {WHOLE[source]} for source in found}
    assert len(found) >= 15, "rewrite WHOLE: the grammar no longer draws these"


def test_a_french_sentence_has_one_english_one_even_in_lower_case() -> None:
    assert {source: all_of for source, all_of in drawn().items() if len(all_of) > 1} == {}
    assert len(drawn()) > 80_000


# What a text of the rules would forbid, written down without the grammar's own tables.
VOWEL = r"(?:[aeiouyâàéèêîôœ]|h(?!amster))"
WRONG_FRENCH = (
    rf"\b(je|ne|le|la|de|que|me|te) {VOWEL}",
    rf"'(?!{VOWEL})",
    r"\b(de|à) les\b|\b(de|à) le\b",
    rf"\b(ma|ta|sa|ce) {VOWEL}|\bcette (homme|arbre|hôtel|œuf|oiseau|enfant|ami)\b",
    r"\b(beau|nouveau|vieux) (ami|arbre|hôtel|homme|oiseau|enfant|œuf)\b",
    r"\b(bel|nouvel|vieil) (?!ami\b|arbre|hôtel|homme|oiseau|œuf)",
    r"\b(un|le|ce|du|au|mon|ton|son) (petite|grande|belle|vieille|nouvelle|bonne|longue)\b",
    r"\b(une|la|cette|ma|ta|sa) (petit|grand|bon|vieux|beau|nouveau|long)\b",
    r"\b(aux|ces|mes|tes|ses|nos|vos|leurs|deux|trois|quatre|cinq|dix) \w+[^sx\W]\b",
    r"\b(une|cette) (maison|voiture|robe|porte|vache) (blanc|noir|italien|cher)\b",
    r"\b(un|ce) (chat|chien|cheval|chapeau|livre|couteau) (blanche|noire|italienne|chère)\b",
    r"\b(elle est|elles sont) (allé|venu|parti|sorti|arrivé)s?\b",
    r"\b(ils sont|nous sommes|elles sont) (allé|venu|parti|sorti|arrivé)e?\b",
    r"^(ne |n')?(manges|achètes|cherches|ouvres|donnes|aides)\b",
    r"\b(ne |n')(?!.*\b(pas|jamais|plus)\b)",
)
WRONG_ENGLISH = (
    r"\ba ([aeio]|honest|un(?!iv))",
    r"\ban (?![aeio]|honest)",
    r"\b(two|three|four|five|six|ten|these) (old |small )?(man|woman|child|knife|story|house)\b",
    r"\b(a|an|this) (old |small )?(men|women|children|knives|stories|houses|dogs)\b",
    r"\b(?<!and )(he|she|paul|anne) (eat|go|have|do|buy|want|look)\b.*\.$",
    r"^who (eat|go|have|do|buy|want|look)\b",
    r"\b(we|they) (eats|goes|has|reads|does|buys|wants|looks|is|was|am)\b",
    r"\b(i|you) (eats|goes|has|reads|does|buys|wants|looks|is)\b",
    r"\b(did|does|do|not|can|must|to) (ate|went|bought|goes|eats|wrote|has|gave|slept)\b",
)


def test_no_sentence_breaks_a_rule_of_its_language() -> None:
    for pair in default_sample("phrases"):
        for text, rules in ((pair.source, WRONG_FRENCH), (pair.target, WRONG_ENGLISH)):
            broken = [rule for rule in rules if re.search(rule, text.lower())]
            assert not broken, (pair, broken)


def test_negation_and_possession_survive_translation() -> None:
    for pair in default_sample("phrases"):
        french, english = pair.source.lower(), pair.target.lower()
        denied = re.search(r"\b(ne |n')", french) is not None
        assert denied == bool(re.search(r"\b(not|cannot|never|no longer|no)\b", english)), pair
        for mine, my in (("mon|ma|mes", "my"), ("notre|nos", "our"), ("leurs?", "their")):
            times = len(re.findall(rf"\b({mine})\b", french))
            assert times == len(re.findall(rf"\b{my}\b", english)), pair


def test_the_possessive_of_the_third_person_belongs_to_the_subject() -> None:
    for pair in default_sample("phrases"):
        if re.search(r"\b(son|sa|ses)\b", pair.source) and re.match(
            "(Il|Paul|Elle|Anne) ", pair.source
        ):
            his = "his" if pair.source.startswith(("Il", "Paul")) else "her"
            assert re.search(rf"\b{his}\b", pair.target), pair


def test_phrases_are_tidy_short_and_made_of_few_words() -> None:
    pairs = default_sample("phrases")
    for pair in pairs:
        assert re.fullmatch(r"[A-ZÉÊŒ][^ ]*( [^ ]+)*(\.| [?!])", pair.source), pair
        assert re.fullmatch(r"[A-Z][^ ]*( [^ ]+)*[.?!]", pair.target), pair
        assert pair.source[-1] == pair.target[-1]
        assert len(pair.source.split()) <= 15
    for texts, most in (((p.source for p in pairs), 540), ((p.target for p in pairs), 280)):
        counts = Counter(word for text in texts for word in re.findall(r"[\w-]+", text.lower()))
        assert len(counts) <= most
    lengths = [len(re.findall(r"\w+", pair.source)) for pair in pairs]
    assert 5 < sum(lengths) / len(lengths) < 9


MONTHS = (
    "january janvier januar enero gennaio janeiro januari jan",
    "february février februar febrero febbraio fevereiro februari feb",
    "march mars märz marzo março maart mar",
    "april avril abril aprile apr",
    "may mai mayo maggio maio mei",
    "june juin juni junio giugno junho jun",
    "july juillet juli julio luglio julho jul",
    "august août agosto augustus aug",
    "september septembre septiembre settembre setembro sep",
    "october octobre oktober octubre ottobre outubro oct",
    "november novembre noviembre novembro nov",
    "december décembre dezember diciembre dicembre dezembro dec",
)
WEEKDAYS = (
    "monday lundi montag lunes lunedì segunda maandag",
    "tuesday mardi dienstag martes martedì terça dinsdag",
    "wednesday mercredi mittwoch miércoles mercoledì quarta woensdag",
    "thursday jeudi donnerstag jueves giovedì quinta donderdag",
    "friday vendredi freitag viernes venerdì sexta vrijdag",
    "saturday samedi samstag sábado sabato zaterdag",
    "sunday dimanche sonntag domingo domenica zondag",
)


def read_date(text: str) -> date:
    """Read a date the slow way: a named month or the order of its figures decides."""
    words = re.findall(r"[^\W\d]+", text.lower())
    named = [number for number, row in enumerate(MONTHS, 1) if set(row.split()) & set(words)]
    if re.fullmatch(r"\d{8}", text):
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    figures = [int(figure) for figure in re.findall(r"\d+", text)]
    if named:
        (month,), (day, year) = named, figures
    else:
        year, month, day = figures if figures[0] > 31 else figures[::-1]
    found = date(year, month, day)
    weekday = [number for number, row in enumerate(WEEKDAYS) if set(row.split()) & set(words)]
    assert weekday in ([], [found.weekday()]), text
    return found


def test_dates_are_read_alike_by_another_parser() -> None:
    pairs = sample_pairs("dates", count=100_000, seed=3)
    assert len({pair.source for pair in pairs}) == 100_000
    for pair in pairs:
        found = read_date(pair.source)
        assert (found.isoformat(), 1900 <= found.year <= 2099) == (pair.target, True), pair


@pytest.mark.parametrize("ordinal", ["1st", "2nd", "3rd", "11th", "12th", "13th", "22nd", "1er"])
def test_ordinals_are_written_as_in_their_language(ordinal: str) -> None:
    texts = [pair.source.lower() for pair in default_sample("dates")]
    assert any(re.search(rf"\b{ordinal}\b", text) for text in texts)
    assert not any(re.search(r"\b(1th|2th|3th|11st|12nd|13rd|[2-9]er)\b", text) for text in texts)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_default_samples_are_numbered_and_distinct(name: str) -> None:
    pairs = default_sample(name)
    assert len(pairs) == SAMPLES[name].count >= 20_000
    assert [pair.line for pair in pairs] == list(range(1, len(pairs) + 1))
    assert len({pair.source for pair in pairs}) == len(pairs)
    assert "\n" not in SAMPLES[name].description


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_most_pairs_can_really_be_had(name: str) -> None:
    assert len(sample_pairs(name, count=SAMPLES[name].most)) == SAMPLES[name].most >= 40_000


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.integers(1, 200), st.integers(0, 2**32))
def test_the_seed_alone_decides(name: str, count: int, seed: int) -> None:
    pairs = sample_pairs(name, count=count, seed=seed)
    assert len(pairs) == count
    assert pairs == sample_pairs(name, count=count, seed=seed)
    if count > 20:
        assert pairs != sample_pairs(name, count=count, seed=seed + 1)


def test_wrong_requests_say_what_there_is() -> None:
    with pytest.raises(DataError, match=r"no sample 'phrase' \(did you mean 'phrases'\?\)"):
        sample_pairs("phrase")
    with pytest.raises(DataError, match="no sample 'zzz' \\(choices: dates, phrases\\)"):
        sample_pairs("zzz")
    with pytest.raises(DataError, match="'phrases' has 100,000 pairs, 100,001 asked for"):
        sample_pairs("phrases", count=100_001)
    with pytest.raises(DataError, match=r"0 asked for \(ask for 1 to 200,000\)"):
        sample_pairs("dates", count=0)
