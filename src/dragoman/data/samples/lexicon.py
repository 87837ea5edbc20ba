"""The words of the ``phrases`` sample, French beside English.

Every form is written out, so that a reader can check it; only participles, imperatives and the
English third person follow rules. ``kind`` says what a noun is, and thereby which verbs and
adjectives can stand with it: the sentences stay sensible, and idioms whose English is not the sum
of their words (``petite amie``, ``vieille fille``) never arise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gender = Literal["m", "f"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun: its singular and plural, or one form where the grammar uses no plural.

    That is so for mass nouns, and for places, which are spoken of one at a time.
    """

    french: tuple[str, ...]
    english: tuple[str, ...]
    gender: Gender
    kind: str

    @property
    def has_plural(self) -> bool:
        """Whether it is used in the plural and with numbers."""
        return len(self.french) == 2

    @property
    def mass(self) -> bool:
        """Whether it takes *du* and *de la* where others take *un* and *une*."""
        return self.kind in ("dish", "drink")


@dataclass(frozen=True, slots=True)
class Adjective:
    """An adjective; ``french`` is masculine, feminine, and the two plurals in the same order."""

    french: tuple[str, ...]
    english: str
    place: Literal["before", "after", "alone"]
    """Where it stands in French; ``alone`` only after the verb *to be*."""
    kinds: tuple[str, ...]
    """Nouns that it describes; ``person`` marks what can be said of anybody."""
    liaison: str = ""
    """The masculine singular before a vowel sound, where it differs (``bel``)."""
    relational: bool = False
    """Colours and origins: they can follow another adjective in both languages."""


@dataclass(frozen=True, slots=True)
class Link:
    """A preposition with its English, and the kinds of noun that can follow it."""

    french: str
    english: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb; the French present is je, tu, il, nous, vous, ils."""

    infinitive: str
    present: tuple[str, ...]
    participle: str
    """Past participle; empty for a verb that the grammar never puts in the past."""
    english: str
    english_past: str
    objects: tuple[str, ...]
    """Kinds of its direct object; none for an intransitive verb."""
    pronoun: Literal["thing", "person", "none"]
    """How *le* and *la* are read before it: *it*, or *him* and *her*; ``none``: never there."""
    links: tuple[Link, ...]
    """What may follow with a preposition."""
    linked: bool
    """Whether one of ``links`` must follow."""
    animals: bool
    """Whether an animal does it too."""
    with_etre: bool
    """Whether its past is formed with *être*."""
    command: bool
    """Whether it makes a sensible order."""
    known: bool
    """Whether its object must be a known one (see ``choose_determiner``)."""


def _noun(french: str, english: str, gender: Gender, kind: str) -> Noun:
    return Noun(_words(french), _words(english), gender, kind)


NOUNS = (
    _noun("homme hommes", "man men", "m", "adult"),
    _noun("femme femmes", "woman women", "f", "adult"),
    _noun("garçon garçons", "boy boys", "m", "child"),
    _noun("fille filles", "girl girls", "f", "child"),
    _noun("enfant enfants", "child children", "m", "child"),
    _noun("professeur professeurs", "teacher teachers", "m", "role"),
    _noun("médecin médecins", "doctor doctors", "m", "role"),
    _noun("ami amis", "friend friends", "m", "role"),
    _noun("amie amies", "friend friends", "f", "role"),
    _noun("frère frères", "brother brothers", "m", "family"),
    _noun("sœur sœurs", "sister sisters", "f", "family"),
    _noun("chien chiens", "dog dogs", "m", "animal"),
    _noun("chat chats", "cat cats", "m", "animal"),
    _noun("oiseau oiseaux", "bird birds", "m", "animal"),
    _noun("cheval chevaux", "horse horses", "m", "animal"),
    _noun("vache vaches", "cow cows", "f", "animal"),
    _noun("mouton moutons", "sheep sheep", "m", "animal"),
    _noun("hamster hamsters", "hamster hamsters", "m", "animal"),
    _noun("pomme pommes", "apple apples", "f", "food"),
    _noun("orange oranges", "orange oranges", "f", "food"),
    _noun("gâteau gâteaux", "cake cakes", "m", "food"),
    _noun("œuf œufs", "egg eggs", "m", "food"),
    _noun("pain", "bread", "m", "dish"),
    _noun("fromage", "cheese", "m", "dish"),
    _noun("viande", "meat", "f", "dish"),
    _noun("eau", "water", "f", "drink"),
    _noun("café", "coffee", "m", "drink"),
    _noun("lait", "milk", "m", "drink"),
    _noun("livre livres", "book books", "m", "book"),
    _noun("journal journaux", "newspaper newspapers", "m", "paper"),
    _noun("lettre lettres", "letter letters", "f", "writing"),
    _noun("histoire histoires", "story stories", "f", "writing"),
    _noun("voiture voitures", "car cars", "f", "thing"),
    _noun("robe robes", "dress dresses", "f", "thing"),
    _noun("chapeau chapeaux", "hat hats", "m", "thing"),
    _noun("clé clés", "key keys", "f", "thing"),
    _noun("couteau couteaux", "knife knives", "m", "thing"),
    _noun("porte portes", "door doors", "f", "opening"),
    _noun("fenêtre fenêtres", "window windows", "f", "opening"),
    _noun("maison maisons", "house houses", "f", "house"),
    _noun("école", "school", "f", "building"),
    _noun("hôtel", "hotel", "m", "building"),
    _noun("gare", "station", "f", "place"),
    _noun("marché", "market", "m", "place"),
    _noun("université", "university", "f", "place"),
    _noun("jardin", "garden", "m", "garden"),
    _noun("table", "table", "f", "table"),
    _noun("arbre arbres", "tree trees", "m", "tree"),
)

PEOPLE = ("adult", "child", "role", "family")
NAMES: tuple[tuple[str, Gender], ...] = (
    ("Paul", "m"),
    ("Marc", "m"),
    ("Marie", "f"),
    ("Anne", "f"),
)
NUMBERS = (
    ("deux", "two"),
    ("trois", "three"),
    ("quatre", "four"),
    ("cinq", "five"),
    ("six", "six"),
    ("dix", "ten"),
)


def _adjective(
    french: str,
    english: str,
    place: Literal["before", "after", "alone"],
    kinds: str,
    liaison: str = "",
) -> Adjective:
    """``kinds`` may open with ``relational``, which is no kind but a trait."""
    relational, names = kinds.startswith("relational "), kinds.removeprefix("relational ")
    return Adjective(_words(french), english, place, _words(names), liaison, relational)


ADJECTIVES = (
    _adjective("petit petite petits petites", "small", "before",
               "child animal food thing house building garden table tree person"),
    _adjective("grand grande grands grandes", "big", "before",
               "animal food thing house building garden table tree"),
    _adjective("grand grande grands grandes", "tall", "alone", "person"),
    _adjective("beau belle beaux belles", "beautiful", "before",
               "animal food thing book writing house building garden tree", "bel"),
    _adjective("vieux vieille vieux vieilles", "old", "before",
               "adult role animal thing book paper house building table tree person", "vieil"),
    _adjective("nouveau nouvelle nouveaux nouvelles", "new", "before",
               "role thing book house building", "nouvel"),
    _adjective("jeune jeune jeunes jeunes", "young", "before", "adult child role animal person"),
    _adjective("bon bonne bons bonnes", "good", "before", "role food dish drink book building"),
    _adjective("long longue longs longues", "long", "before", "writing"),
    _adjective("rouge rouge rouges rouges", "red", "after", "relational thing opening house"),
    _adjective("blanc blanche blancs blanches", "white", "after",
               "relational thing opening house animal"),
    _adjective("noir noire noirs noires", "black", "after",
               "relational thing opening house animal"),
    _adjective("italien italienne italiens italiennes", "Italian", "after",
               "relational role thing book paper dish person"),
    _adjective("cher chère chers chères", "expensive", "after", "thing book house building"),
    _adjective("intéressant intéressante intéressants intéressantes", "interesting", "after",
               "book writing paper"),
    _adjective("frais fraîche frais fraîches", "fresh", "after", "food dish"),
    _adjective("froid froide froids froides", "cold", "after", "drink"),
    _adjective("heureux heureuse heureux heureuses", "happy", "after", "adult child person"),
    _adjective("intelligent intelligente intelligents intelligentes", "intelligent", "after",
               "adult child role animal person"),
    _adjective("honnête honnête honnêtes honnêtes", "honest", "after", "adult role person"),
    _adjective("malade malade malades malades", "sick", "after", "adult child animal person"),
    _adjective("fatigué fatiguée fatigués fatiguées", "tired", "after",
               "adult child animal person"),
)  # fmt: skip

AT = Link("à", "at", ("building", "place"))
LOCATIONS = (
    AT,
    Link("dans", "in", ("house", "building", "garden")),
    Link("devant", "in front of", ("house", "building", "place", "tree")),
    Link("derrière", "behind", ("house", "building", "tree")),
    Link("près de", "near", ("house", "building", "place", "garden", "tree")),
    Link("sous", "under", ("table", "tree")),
)
ON_THE_TABLE = Link("sur", "on", ("table",))
TO_SOMEBODY = Link("à", "to", ("role", "family", "child", "name"))
