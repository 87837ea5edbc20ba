"""The tokenizers of a run: taken from the model that it starts from, or learned from its text.

Levels and sizes of vocabularies that are "auto" are chosen by statistics of the training text.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, filterfalse
from pathlib import Path
from typing import Any

from dragoman.config.options import Casing, Config, SideOptions
from dragoman.config.rules import allows, check_options
from dragoman.data.invisible import UNSEEN
from dragoman.data.setup import load_setup
from dragoman.data.text import StoredText, TextStatistics
from dragoman.data.tokenizer import BYTES, Tokenizer
from dragoman.data.vocabulary import load_tokenizer, train_tokenizer
from dragoman.errors import OptionError
from dragoman.files import write_text

Taken = dict[str, Tokenizer]
"""The tokenizers that come from another model, by side: "source", "target"."""
_BYTES_FROM = 1000
"""Smallest vocabulary that gets byte tokens when ``byte_fallback`` is "auto"."""
_WORDS_PER_SUBWORD = 60
"""Running words of training text for each subword of a vocabulary of size "auto"."""
_USUAL = 20
"""A character is part of the spelling if at least one of so many texts has it."""
_CASINGS: dict[str, Casing] = {"ı": "turkish", "İ": "turkish", "ς": "greek", "Σ": "greek"}
_CASINGS["ė\u0307"] = "lithuanian"
"""Letters that together show a language, and its name in the option ``casing``."""
_SIDE_OF = {"encoder": "source", "decoder": "target"}
"""The side that a part of a model reads or writes."""
_OF_THIS_RUN = ("max_tokens", "min_characters", "max_characters", "vectors", "freeze_vectors")
"""Options of a side that do not belong to its tokenizer."""


def taken_tokenizers(config: Config, say: Callable[[str], None]) -> tuple[Config, Taken]:
    """The tokenizers that come with the parts of ``training.start_from``.

    Embeddings belong to the words of their own tokenizer, so its options replace those of the run;
    ``say`` is told where the run asks for another level. With the decoder come its attention and
    whether it copies, where these are ``"auto"``: the same weights mean something else in another.

    Returns:
        The options, and the tokenizers by side.

    Raises:
        FolderError: there is no such model, or it is damaged.
        OptionError: the model has two vocabularies where the run asks for a shared one, or its
            sources have other columns of features.
    """
    if not config.training.start_from:
        return config, {}
    folder = Path(config.training.start_from)
    other, *tokenizers = load_setup(folder)
    there = dict(zip(("source", "target"), tokenizers, strict=True))
    if config.model.shared_embeddings and not other.model.shared_embeddings:
        cure = "leave out model.shared_embeddings"
        raise OptionError("has two vocabularies", place=folder, cure=cure)
    for name in ("attention", "copy") if "decoder" in config.training.parts else ():
        if getattr(config.model, name) == "auto":
            known = {name: getattr(other.model, name)}
            config = replace(config, model=replace(config.model, **known))
    parts = _SIDE_OF if config.model.shared_embeddings else config.training.parts
    taken = {_SIDE_OF[part]: there[_SIDE_OF[part]] for part in parts}
    if "source" in taken and other.data.features != config.data.features:
        cause = f"its sources have {other.data.features} columns of features"
        raise OptionError(cause, place=folder, cure="see --features-column, or train a new model")
    for side in taken:
        asked, has = getattr(config, side), getattr(other, side)
        if asked.level not in ("auto", has.level):
            say(f"{side}.level is {has.level!r}, as in {folder}: its tokenizer is taken")
        own = {name: getattr(asked, name) for name in _OF_THIS_RUN}
        config = replace(config, **{side: replace(has, **own)})
    return config, taken


def learn_tokenizers(
    text: StoredText, config: Config, taken: Taken, say: Callable[[str], None]
) -> tuple[Config, Tokenizer, Tokenizer]:
    """Replace ``"auto"`` in the sides and ``model.copy``; learn the tokenizers that are not taken.

    ``say`` receives a line about each character that the options remove from the text. What is
    learned is kept beside the text, so that an interrupted preparation need not learn it again.

    Returns:
        The options without these "auto"; the tokenizers of source and target.

    Raises:
        DataError: no text is left to learn from.
        OptionError: a vocabulary is too small, or the model cannot use such a level.
    """
    shared = config.model.shared_embeddings
    for side in ("source", "target"):
        if side in taken:
            continue
        options, statistics = getattr(config, side), text.statistics[side]
        options = choose_level(options, statistics, whole_words=config.model.copies)
        chosen: Any = choose_spelling(options, statistics, text.statistics["target"])
        config = replace(config, **{side: chosen})
        for line in losses(chosen, statistics):
            say(f"{side}.{line}")
    check_options(config)
    texts = chain.from_iterable(map(text.column, ("source", "target")[: 1 + shared]))
    found = sorted(text.vocabulary_tags.tokens)
    source = taken.get("source") or _learned(texts, text.path, config.source, "source", found)
    target = source if shared else taken.get("target")
    target = target or _learned(text.column("target"), text.path, config.target, "target")
    if config.model.copy == "auto":
        config = replace(config, model=replace(config.model, copy=_copies(text, target, config)))
    return config, source, target


def _learned(
    texts: Iterable[str], path: Path, options: SideOptions, side: str, tags: Sequence[str] = ()
) -> Tokenizer:
    """Learn a tokenizer from ``texts`` and keep it beside ``path``, or load the one kept there."""
    file = path.with_name(f"{side}.json")
    if not file.exists():
        write_text(file, train_tokenizer(texts, options, side, tags).json)
    return load_tokenizer(file, options)


def _copies(text: StoredText, target: Tokenizer, config: Config) -> bool:
    """Whether the output copies letters where ``model.copy`` is ``"auto"``.

    It does if more than one held-out target of a hundred has a letter of its source that is not in
    the target vocabulary, such as a rare Chinese character (docs/log.md), and other options allow
    it.
    """
    if {config.source.level, config.target.level} != {"char"} or not allows(config, copy=True):
        return False
    held = [pair for _, pair in text.held_out()]
    unseen = (set(filterfalse(target.token_id, target.pieces(one.target))) for one in held)
    found = sum(not new.isdisjoint(one.source) for new, one in zip(unseen, held, strict=True))
    return 100 * found > len(held)


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
    words, distinct = statistics.words.total(), len(statistics.words)
    if level == "auto":
        rare = words < 5 * distinct
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
        subwords = min(8000, max(500, words // _WORDS_PER_SUBWORD // 100 * 100))
        if level == "unigram":  # it must hold every character
            subwords = max(subwords, len(statistics.alphabet) + 500)
        subwords += len(BYTES) if fallback else 0
        vocabulary = subwords if level in ("bpe", "unigram") else 50_000
    return replace(options, level=level, vocabulary=vocabulary, byte_fallback=fallback)


def choose_spelling(
    options: SideOptions, statistics: TextStatistics, target: TextStatistics
) -> SideOptions:
    """Replace ``"auto"`` in unicode, keep_invisible and casing.

    The last two follow what a twentieth of the texts has. NFD writes a Korean syllable as its
    letters: training has all letters, but not all of some thousand syllables. It is chosen only
    where targets are in another script: outputs in Hangul shall be NFC, and copied letters too.

    Args:
        options: of one side.
        statistics: of the training text of that side.
        target: of the training text of the target.
    """
    form, kept, casing = options.unicode, options.keep_invisible, options.casing
    if form == "auto":
        spelt = options.level == "char" and not options.keep_only
        form = "nfd" if spelt and _korean(statistics) and not _korean(target) else "nfc"
    usual = {c for c, n in statistics.texts_with.items() if n * _USUAL >= statistics.lines}
    if kept == "auto":
        kept = " ".join(f"U+{ord(c):04X}" for c in sorted(usual & UNSEEN - {"\ufeff"}))
    if casing == "auto":
        languages = (name for letters, name in _CASINGS.items() if usual >= set(letters))
        casing = next(languages, "plain")
    return replace(options, unicode=form, keep_invisible=kept, casing=casing)


def _korean(statistics: TextStatistics) -> bool:
    """Whether a text has one syllable of Hangul on average; repeats in a text do not count."""
    found = sum(n for c, n in statistics.texts_with.items() if "\uac00" <= c <= "\ud7a3")
    return found >= statistics.lines


def losses(options: SideOptions, counts: TextStatistics) -> Iterator[str]:
    """Yield a message for each option that removes characters of the training text."""
    found = {c: n for c, n in counts.texts_with.items() if 1000 * n >= counts.lines}
    for c in sorted(UNSEEN & found.keys() - {"\ufeff"}):
        if (code := f"U+{ord(c):04X}") not in options.keep_invisible:
            yield f"keep_invisible: {code} is dropped (in {found[c]:,} of {counts.lines:,} texts)"
    if options.strip_accents and (signs := sorted(filter(_has_sign, found))):
        names = ", ".join(f"U+{ord(c):04X}" for c in signs[:5])
        yield f"strip_accents: takes signs away that are no accents in their scripts: {names}"


def _has_sign(letter: str) -> bool:
    """Whether a character is or has a mark, such as a vowel sign, of no Latin or Greek letter."""
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if "\u0300" <= base <= "\u036f" or unicodedata.name(base, "").startswith(("LATIN", "GREEK")):
        return False
    return "Mn" in map(unicodedata.category, (base, *marks))
