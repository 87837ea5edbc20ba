"""Chooses the level and the size of a vocabulary, and how its text is spelt, by counts of text."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from dragoman.config.options import Casing, SideOptions
from dragoman.data.invisible import UNSEEN
from dragoman.data.tokenizer import BYTES

_BYTES_FROM = 1000
"""Smallest vocabulary that gets byte tokens when ``byte_fallback`` is "auto"."""
_WORDS_PER_SUBWORD = 60
"""Running words of training text for each subword of a vocabulary of size "auto"."""
_USUAL = 20
"""A character is part of the spelling if at least one of so many texts has it."""
_CASINGS: dict[str, Casing] = {"ı": "turkish", "İ": "turkish", "ς": "greek", "Σ": "greek"}
_CASINGS["ė\u0307"] = "lithuanian"
"""Letters that together show a language, and its name in the option ``casing``."""


@dataclass(slots=True)
class TextStatistics:
    """Counts of one side's text, by which its options are chosen."""

    lines: int = 0
    words: int = 0
    """Running words, split at white space."""
    distinct: int = 0
    """Different words."""
    characters: int = 0
    texts_with: Counter[str] = field(default_factory=Counter)
    """The number of texts that have each character; those in ASCII are not counted."""
    alphabet: set[str] = field(default_factory=set)
    """The different characters."""
    _occurrences: Counter[str] = field(default_factory=Counter)
    """How often each word occurs."""

    def add(self, texts: Sequence[str]) -> None:
        """Count the texts as well."""
        joined = "\n".join(texts)
        others = (set(text) for text in texts if not text.isascii())
        self.lines += len(texts)
        self.characters += sum(map(len, texts))
        self.words += len(words := joined.split())
        self._occurrences.update(words)
        self.distinct = len(self._occurrences)
        self.texts_with.update(chain.from_iterable(others))
        self.alphabet |= set(joined) - {"\n"}

    def remove(self, texts: Sequence[str]) -> None:
        """Count the texts no longer, which were added before; the alphabet stays."""
        gone = TextStatistics()
        gone.add(texts)
        self.lines -= gone.lines
        self.characters -= gone.characters
        self.words -= gone.words
        self._occurrences -= gone._occurrences
        self.distinct = len(self._occurrences)
        self.texts_with -= gone.texts_with


def choose_level(
    options: SideOptions, statistics: TextStatistics, *, whole_words: bool = False
) -> SideOptions:
    """Put a level and a size in the place of ``"auto"``.

    The level is ``char`` for words, which must be spelt (one a line, or fewer than 1.8 where most
    are rare), and for scripts without spaces; ``word`` for up to 200 different words, or up to
    1,500 that each come 50 times on average; else ``bpe``, about one subword for every 60 running
    words, with byte tokens for unseen characters.

    Args:
        options: of one side.
        statistics: of the training text of that side.
        whole_words: the model copies words, so that ``word`` is chosen in the place of ``bpe``.
    """
    level, vocabulary = options.level, options.vocabulary
    if level == "auto":
        words, distinct = statistics.words, statistics.distinct
        rare = distinct > 200 and words < 5 * distinct
        if statistics.characters > 20 * words or words < (1.8 if rare else 1.5) * statistics.lines:
            level = "char"
        elif whole_words or distinct <= 200 or (distinct <= 1500 and words >= 50 * distinct):
            level = "word"
        else:
            level = "bpe"
    fallback = level in ("bpe", "unigram") and options.byte_fallback
    if fallback == "auto":
        fallback = vocabulary == "auto" or vocabulary >= _BYTES_FROM
    if vocabulary == "auto":
        subwords = min(8000, max(500, statistics.words // _WORDS_PER_SUBWORD // 100 * 100))
        if level == "unigram":  # it must hold every character
            subwords = max(subwords, len(statistics.alphabet) + 500)
        subwords += len(BYTES) if fallback else 0
        vocabulary = subwords if level in ("bpe", "unigram") else 50_000
    return replace(options, level=level, vocabulary=vocabulary, byte_fallback=fallback)


def choose_spelling(options: SideOptions, statistics: TextStatistics) -> SideOptions:
    """Replace ``"auto"`` in keep_invisible and casing, by what a twentieth of the texts has."""
    kept, casing = options.keep_invisible, options.casing
    usual = {c for c, n in statistics.texts_with.items() if n * _USUAL >= statistics.lines}
    if kept == "auto":
        kept = " ".join(f"U+{ord(c):04X}" for c in sorted(usual & UNSEEN - {"\ufeff"}))
    if casing == "auto":
        languages = (name for letters, name in _CASINGS.items() if usual >= set(letters))
        casing = next(languages, "plain")
    return replace(options, keep_invisible=kept, casing=casing)


def losses(options: SideOptions, statistics: TextStatistics) -> Iterator[str]:
    """Yield a message for each option that removes characters of the training text."""
    found = {c: n for c, n in statistics.texts_with.items() if 1000 * n >= statistics.lines}
    for c in sorted(UNSEEN & found.keys() - {"\ufeff"}):
        if (code := f"U+{ord(c):04X}") not in options.keep_invisible:
            share = f"{found[c]:,} of {statistics.lines:,} texts"
            yield f"keep_invisible: {code} is dropped (in {share})"
    signs = [c for c in found if _has_sign(c)] if options.strip_accents else []
    if signs:
        names = ", ".join(f"U+{ord(c):04X}" for c in sorted(signs)[:5])
        yield f"strip_accents: takes signs away that are no accents in their scripts: {names}"


def _has_sign(letter: str) -> bool:
    """Whether a character is or has a mark, such as a vowel sign, of no Latin or Greek letter."""
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if "\u0300" <= base <= "\u036f" or unicodedata.name(base, "").startswith(("LATIN", "GREEK")):
        return False
    return "Mn" in map(unicodedata.category, (base, *marks))
