"""The verbs of the ``phrases`` sample, with what can follow each of them."""

from __future__ import annotations

from typing import Literal

from dragoman.data.samples.lexicon import AT, LOCATIONS, TO_SOMEBODY, Link, Verb

ETRE = ("suis", "es", "est", "sommes", "êtes", "sont")
ETRE_IMPERFECT = ("étais", "étais", "était", "étions", "étiez", "étaient")
AVOIR = ("ai", "as", "a", "avons", "avez", "ont")
ALLER = ("vais", "vas", "va", "allons", "allez", "vont")

MODALS = (
    (("veux", "veux", "veut", "voulons", "voulez", "veulent"), "want to"),
    (("peux", "peux", "peut", "pouvons", "pouvez", "peuvent"), "can"),
    (("dois", "dois", "doit", "devons", "devez", "doivent"), "must"),
)


def _verb(
    french: str,
    participle: str,
    english: tuple[str, str],
    *,
    objects: str = "",
    pronoun: Literal["thing", "person", "none"] = "none",
    links: tuple[Link, ...] = (),
    more: str = "",
) -> Verb:
    infinitive, *present = french.split()
    traits = more.split()
    return Verb(
        infinitive,
        tuple(present),
        participle,
        *english,
        objects=tuple(objects.split()),
        pronoun=pronoun,
        links=links,
        linked="linked" in traits,
        animals="animals" in traits,
        with_etre="etre" in traits,
        command="command" in traits,
        known="known" in traits,
    )


TRANSITIVE = (
    _verb("manger mange manges mange mangeons mangez mangent", "mangé", ("eat", "ate"),
          objects="food dish", pronoun="thing", links=LOCATIONS, more="animals command"),
    _verb("boire bois bois boit buvons buvez boivent", "bu", ("drink", "drank"),
          objects="drink", pronoun="thing", links=LOCATIONS, more="animals command"),
    _verb("acheter achète achètes achète achetons achetez achètent", "acheté", ("buy", "bought"),
          objects="thing book paper food dish house", pronoun="thing", links=(AT,), more="command"),
    _verb("voir vois vois voit voyons voyez voient", "vu", ("see", "saw"),
          objects="adult child role family name animal house tree", pronoun="person",
          links=LOCATIONS, more="animals"),
    _verb("lire lis lis lit lisons lisez lisent", "lu", ("read", "read"),
          objects="book paper writing", pronoun="thing", links=LOCATIONS, more="command"),
    _verb("écrire écris écris écrit écrivons écrivez écrivent", "écrit", ("write", "wrote"),
          objects="book writing", pronoun="thing", links=LOCATIONS, more="command"),
    _verb("chercher cherche cherches cherche cherchons cherchez cherchent", "cherché",
          ("look for", "looked for"), objects="thing book paper animal", pronoun="thing",
          links=LOCATIONS, more="command"),
    _verb("trouver trouve trouves trouve trouvons trouvez trouvent", "trouvé", ("find", "found"),
          objects="thing book paper animal", pronoun="thing", links=LOCATIONS),
    _verb("perdre perds perds perd perdons perdez perdent", "perdu", ("lose", "lost"),
          objects="thing book paper", pronoun="thing", links=LOCATIONS),
    _verb("ouvrir ouvre ouvres ouvre ouvrons ouvrez ouvrent", "ouvert", ("open", "opened"),
          objects="opening book", pronoun="thing", more="command"),
    _verb("choisir choisis choisis choisit choisissons choisissez choisissent", "choisi",
          ("choose", "chose"), objects="thing book food", pronoun="thing", more="command"),
    _verb("donner donne donnes donne donnons donnez donnent", "donné", ("give", "gave"),
          objects="thing book paper food", pronoun="thing", links=(TO_SOMEBODY,),
          more="linked command"),
    _verb("aimer aime aimes aime aimons aimez aiment", "aimé", ("love", "loved"),
          objects="family book writing animal house name", pronoun="person",
          more="known"),
    _verb("aider aide aides aide aidons aidez aident", "aidé", ("help", "helped"),
          objects="adult child role family name", pronoun="person", more="command"),
    _verb("avoir ai as a avons avez ont", "", ("have", "had"), objects="thing book animal house"),
)  # fmt: skip

INTRANSITIVE = (
    _verb("dormir dors dors dort dormons dormez dorment", "dormi", ("sleep", "slept"),
          links=LOCATIONS, more="animals"),
    _verb("chanter chante chantes chante chantons chantez chantent", "chanté", ("sing", "sang"),
          links=LOCATIONS),
    _verb("parler parle parles parle parlons parlez parlent", "parlé", ("talk", "talked"),
          links=(TO_SOMEBODY, Link("de", "about", ("role", "family", "book", "house", "name"))),
          more="linked"),
    _verb("aller vais vas va allons allez vont", "allé", ("go", "went"),
          links=(Link("à", "to", ("building", "place")),), more="linked etre"),
    _verb("venir viens viens vient venons venez viennent", "venu", ("come", "came"),
          links=(Link("de", "from", ("building", "place", "garden")),), more="animals etre"),
    _verb("arriver arrive arrives arrive arrivons arrivez arrivent", "arrivé",
          ("arrive", "arrived"), links=(AT,), more="animals etre"),
    _verb("partir pars pars part partons partez partent", "parti", ("leave", "left"),
          more="animals etre"),
    _verb("sortir sors sors sort sortons sortez sortent", "sorti", ("go out", "went out"),
          links=(Link("de", "of", ("house", "building", "garden")),), more="animals etre"),
)  # fmt: skip

COMMANDS = tuple(verb for verb in TRANSITIVE if verb.command)
