"""How neighbouring words change each other's spelling, in French and in English.

The grammar writes plain words (``de le ami``); this file alone knows elision (``l'ami``),
contraction (``du pain``) and the choice between *a* and *an*.
"""

from __future__ import annotations

from typing import Literal

Mark = Literal[".", "?"]

_VOWELS = frozenset("aeiouyàâéèêëîïôœ")
_ELIDING = frozenset({"le", "la", "je", "ne", "de", "que"})
_CONTRACTIONS = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}


def vowel_sound(word: str) -> bool:
    """Whether French treats ``word`` as beginning with a vowel: *homme* does, *hamster* not."""
    first = word[0].lower()
    return first in _VOWELS or (first == "h" and not word.startswith("hamster"))


def french_sentence(plain: str, mark: Mark) -> str:
    """Elide, contract, capitalise and close: ``je ne ai pas`` is ``Je n'ai pas.``"""
    words, written = plain.split(), [""]
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        if word in _ELIDING and vowel_sound(following):
            written.append(f"{word[:-1]}'")
        elif merged := _CONTRACTIONS.get((written[-1], word)):
            written[-1] = merged  # only a whole article merges with the preposition before it
        else:
            written.append(word)
    text = " ".join(written).replace("' ", "'").strip()
    return f"{text[0].upper()}{text[1:]}{' ?' if mark == '?' else mark}"


def finish(french: str, english: str, mark: Mark) -> tuple[str, str]:
    """The same sentence in both languages, from plain words."""
    english = " ".join(english.split())
    return french_sentence(french, mark), f"{english[0].upper()}{english[1:]}{mark}"


def indefinite_article(words: str) -> str:
    """``a`` or ``an`` before ``words``, by their sound: *an honest man*, *a university*."""
    vowel = words[0].lower() in "aeiou" and not words.startswith("university")
    return "an" if vowel or words.startswith("honest") else "a"
