"""How neighbouring words change each other's spelling, in French and in English.

The grammar writes plain words (``de le ami``); this file alone knows elision (``l'ami``),
contraction (``du pain``) and the choice between *a* and *an*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Mark = Literal[".", "?", "!"]

_VOWELS = frozenset("aeiouyàâéèêëîïôœ")
_ASPIRATED = frozenset({"hamster", "hamsters"})
"""Words whose h bars elision: *le hamster*, but *l'homme*."""
_ELIDING = frozenset({"le", "la", "je", "ne", "de", "que", "me", "te"})
_CONTRACTIONS = {
    ("de", "le"): "du",
    ("de", "les"): "des",
    ("à", "le"): "au",
    ("à", "les"): "aux",
}


def vowel_sound(word: str) -> bool:
    """Whether French treats ``word`` as beginning with a vowel."""
    first = word[0].lower()
    return first in _VOWELS or (first == "h" and word.lower() not in _ASPIRATED)


def french_sentence(words: Iterable[str], mark: Mark) -> str:
    """Elide, contract, capitalise and close: ``je, ne, ai, pas`` is ``Je n'ai pas.``"""
    text = ""
    rest = " ".join(words).split()
    while rest:
        word, *rest = rest
        elided = word in _ELIDING and bool(rest) and vowel_sound(rest[0])
        preposition = text.rsplit(maxsplit=1)[-1] if text else ""
        if not elided and (preposition, word) in _CONTRACTIONS:
            # The preposition is written already; only a whole article merges with it.
            text, word = text[: -len(preposition) - 1], _CONTRACTIONS[preposition, word]
        text += f"{word[:-1]}'" if elided else f"{word} "
    text = text.rstrip()
    return f"{text[0].upper()}{text[1:]}{'.' if mark == '.' else ' ' + mark}"


def english_sentence(words: Iterable[str], mark: Mark) -> str:
    """Join the pieces that are not empty, capitalise and close."""
    text = " ".join(word for word in words if word)
    return f"{text[0].upper()}{text[1:]}{mark}"


def finish(french: Iterable[str], english: Iterable[str], mark: Mark) -> tuple[str, str]:
    """The same sentence in both languages."""
    return french_sentence(french, mark), english_sentence(english, mark)


def with_article(words: str) -> str:
    """``a`` or ``an`` before ``words``, by their sound: *an honest man*, *a university*."""
    first = words.split(maxsplit=1)[0].lower()
    vowel = first == "honest" or (first[0] in "aeiou" and first != "university")
    return f"{'an' if vowel else 'a'} {words}"


def third_person(verb: str) -> str:
    """The form after *she*: ``look for`` is ``looks for``."""
    head, *rest = verb.split()
    return " ".join(({"have": "has", "go": "goes"}.get(head, f"{head}s"), *rest))
