"""The level of a tokenizer and the size of its vocabulary, chosen by statistics of the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dragoman.config.options import SideOptions
from dragoman.data.tokenizer import BYTES

_BYTES_FROM = 1000
"""Smallest vocabulary that gets byte tokens when ``byte_fallback`` is "auto"."""
_WORDS_PER_SUBWORD = 60
"""Running words of training text for each subword of a vocabulary of size "auto"."""


@dataclass(frozen=True, slots=True)
class TextStatistics:
    """What :func:`choose_level` must know of one side's text."""

    lines: int
    words: int
    """Running words, split at white space."""
    distinct: int
    """Different words."""
    characters: int = 0

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextStatistics:
        """Count in one pass."""
        words, lines, characters = Counter[str](), 0, 0
        for text in texts:
            lines += 1
            characters += len(text)
            words.update(text.split())
        return cls(lines, words.total(), len(words), characters)


def choose_level(
    options: SideOptions, statistics: TextStatistics, *, whole_words: bool = False
) -> SideOptions:
    """Put a level and a size in the place of ``"auto"``.

    The level is ``char`` for text of one word a line and for scripts without spaces; ``word`` for
    up to 200 different words, or up to 1,500 that each come 50 times on average; else ``bpe``,
    about one subword for every 60 running words, with byte tokens for unseen characters.

    Args:
        options: of one side.
        statistics: of the training text of that side.
        whole_words: the model copies words, so that ``word`` is chosen in the place of ``bpe``.
    """
    level, vocabulary = options.level, options.vocabulary
    if level == "auto":
        average = statistics.words / max(1, statistics.distinct)
        without_spaces = statistics.characters > 20 * statistics.words
        if without_spaces or statistics.words < 1.5 * statistics.lines:
            level = "char"
        elif statistics.distinct <= 200 or (statistics.distinct <= 1500 and average >= 50):
            level = "word"
        else:
            level = "word" if whole_words else "bpe"
    fallback = level in ("bpe", "unigram") and options.byte_fallback
    if fallback == "auto":
        fallback = vocabulary == "auto" or vocabulary >= _BYTES_FROM
    if vocabulary == "auto":
        subwords = min(8000, max(500, statistics.words // _WORDS_PER_SUBWORD // 100 * 100))
        subwords += len(BYTES) if fallback else 0
        vocabulary = subwords if level in ("bpe", "unigram") else 50_000
    return replace(options, level=level, vocabulary=vocabulary, byte_fallback=fallback)
