"""The tokenizers of a run: taken from the model that it starts from, or learned from its text.

Levels and sizes of vocabularies that are "auto" are chosen by statistics of the training text.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.data.levels import choose_level, choose_spelling, losses
from dragoman.data.setup import load_setup
from dragoman.data.text import StoredText
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import OptionError

Taken = dict[str, Tokenizer]
"""The tokenizers that come from another model, by side: "source", "target"."""
_SIDE_OF = {"encoder": "source", "decoder": "target"}
"""The side that a part of a model reads or writes."""
_OF_THIS_RUN = ("max_tokens", "min_characters", "max_characters", "vectors", "freeze_vectors")
"""Options of a side that do not belong to its tokenizer."""


def taken_tokenizers(config: Config, say: Callable[[str], None]) -> tuple[Config, Taken]:
    """The tokenizers that come with the parts of ``training.start_from``.

    Embeddings belong to the words of their own tokenizer, so its options replace those of the run;
    ``say`` is told where the run asks for another level.

    Returns:
        The options, and the tokenizers by side.

    Raises:
        FolderError: there is no such model, or it is damaged.
        OptionError: the model has two vocabularies where the run asks for a shared one.
    """
    if not config.training.start_from:
        return config, {}
    folder = Path(config.training.start_from)
    other, *tokenizers = load_setup(folder)
    there = dict(zip(("source", "target"), tokenizers, strict=True))
    taken = {side: there[side] for side in map(_SIDE_OF.__getitem__, config.training.parts)}
    if config.model.shared_embeddings:
        if not other.model.shared_embeddings:
            cure = "leave out model.shared_embeddings"
            raise OptionError("has two vocabularies", place=str(folder), cure=cure)
        taken = there
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
    """Replace each ``"auto"`` of the sides, and learn the tokenizers that are not taken.

    ``say`` receives a line about each character that the options remove from the text.

    Returns:
        The options of the sides without "auto"; the tokenizers of source and target.

    Raises:
        DataError: no text is left to learn from.
        OptionError: a vocabulary is too small, or the model cannot use such a level.
    """
    shared = config.model.shared_embeddings
    for side in ("source", "target"):
        if side in taken:
            continue
        options, statistics = getattr(config, side), text.statistics[side]
        options = choose_level(options, statistics, whole_words=config.model.copy)
        chosen: Any = choose_spelling(options, statistics)
        config = replace(config, **{side: chosen})
        for line in losses(chosen, statistics):
            say(f"{side}.{line}")
    check_options(config)
    texts = text.column("source")
    if shared:
        texts = chain(texts, text.column("target"))
    found = sorted(text.vocabulary_tags.tokens)
    source = taken.get("source") or train_tokenizer(texts, config.source, tags=found)
    if shared:
        return config, source, source
    texts = text.column("target")
    target = taken.get("target") or train_tokenizer(texts, config.target, "target")
    return config, source, target
