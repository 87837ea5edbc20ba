"""The tokenizers of a run: taken from the model that it starts from, or learned from its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import load_config
from dragoman.data.levels import WordCount, choose_level
from dragoman.data.split import TRAIN
from dragoman.data.text import StoredText
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.tokenizer_file import load_tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import OptionError
from dragoman.layout import SOURCE, TARGET

_OF_PART = {"encoder": ("source", SOURCE), "decoder": ("target", TARGET)}
"""The side that a part of a model reads or writes, and the file of its tokenizer."""
_OF_THIS_RUN = ("max_tokens", "min_characters", "max_characters", "vectors", "freeze_vectors")
"""Options of a side that do not belong to its tokenizer."""


@dataclass(frozen=True, slots=True)
class Vocabularies:
    """Both tokenizers, and the options with the levels and sizes that these have."""

    config: Config
    source: Tokenizer
    target: Tokenizer


def taken_tokenizers(
    config: Config, say: Callable[[str], None]
) -> tuple[Config, dict[str, Tokenizer]]:
    """The tokenizers that come with the parts of ``training.start_from``.

    Embeddings belong to the words of their own tokenizer, so its options replace those of the run;
    ``say`` is told where the run asks for another level.

    Returns:
        The options, and the tokenizers by side.

    Raises:
        FolderError: there is no such model, or it is damaged.
        OptionError: the model has two vocabularies where the run asks for a shared one.
    """
    taken: dict[str, Tokenizer] = {}
    if not config.training.start_from:
        return config, taken
    folder = Path(config.training.start_from)
    other = load_config(folder)
    for part in config.training.parts:
        side, file = _OF_PART[part]
        taken[side] = load_tokenizer(folder / file, getattr(other, side))
    if config.model.shared_embeddings:
        if not other.model.shared_embeddings:
            raise OptionError(
                "has one vocabulary for the source and another for the target",
                place=str(folder),
                cure="leave out model.shared_embeddings, or start from a model that has it",
            )
        shared = next(iter(taken.values()))
        taken = {"source": shared, "target": shared}
    changes = {}
    for side in taken:
        asked, has = getattr(config, side), getattr(other, side)
        if asked.level not in ("auto", has.level):
            say(f"{side}.level is {has.level!r}, as in {folder}: its tokenizer is taken")
        own = {name: getattr(asked, name) for name in _OF_THIS_RUN}
        changes[side] = replace(has, **own)
    return replace(config, **changes), taken


def learn_vocabularies(
    text: StoredText, config: Config, taken: dict[str, Tokenizer]
) -> Vocabularies:
    """Choose what is left to be chosen, and learn the tokenizers that are not taken.

    Raises:
        DataError: no text is left to learn from.
        OptionError: a vocabulary is too small, or the model cannot use such a level.
    """
    config = _choose_levels(config, text.counts)
    check_options(config)
    if config.model.shared_embeddings:
        both = chain(text.column("source", TRAIN), text.column("target", TRAIN))
        shared = taken.get("source") or train_tokenizer(both, config.source)
        return Vocabularies(config, shared, shared)
    source, target = (
        taken.get(side) or train_tokenizer(text.column(side, TRAIN), options, side)
        for side, options in (("source", config.source), ("target", config.target))
    )
    return Vocabularies(config, source, target)


def _choose_levels(config: Config, counts: tuple[WordCount, WordCount]) -> Config:
    """``config`` without "auto" in the level and the vocabulary of a side."""
    source, target = (
        choose_level(options, count.statistics(), whole_words=config.model.copy)
        for options, count in zip((config.source, config.target), counts, strict=True)
    )
    return replace(config, source=source, target=target)
