"""The tokenizers of a run: taken from the model that it starts from, or learned from its text."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import load_config
from dragoman.data.levels import TextStatistics, choose_level
from dragoman.data.text import TRAIN, StoredText
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import load_tokenizer, train_tokenizer
from dragoman.errors import OptionError
from dragoman.layout import SOURCE, TARGET

_OF_PART = {"encoder": ("source", SOURCE), "decoder": ("target", TARGET)}
"""The side that a part of a model reads or writes, and the file of its tokenizer."""
_OF_THIS_RUN = ("max_tokens", "min_characters", "max_characters", "vectors", "freeze_vectors")
"""Options of a side that do not belong to its tokenizer."""


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
        taken = dict.fromkeys(("source", "target"), next(iter(taken.values())))
    for side in taken:
        asked, has = getattr(config, side), getattr(other, side)
        if asked.level not in ("auto", has.level):
            say(f"{side}.level is {has.level!r}, as in {folder}: its tokenizer is taken")
        own = {name: getattr(asked, name) for name in _OF_THIS_RUN}
        config = replace(config, **{side: replace(has, **own)})
    return config, taken


def learn_tokenizers(
    text: StoredText, config: Config, taken: dict[str, Tokenizer]
) -> tuple[Config, Tokenizer, Tokenizer]:
    """Choose what is left to be chosen, and learn the tokenizers that are not taken.

    Returns:
        The options without "auto" in the level and the vocabulary of a side; the tokenizers of
        source and target.

    Raises:
        DataError: no text is left to learn from.
        OptionError: a vocabulary is too small, or the model cannot use such a level.
    """
    sides, shared = ("source", "target"), config.model.shared_embeddings

    def training_text(side: str) -> Iterator[str]:
        columns = sides if shared else (side,)
        return chain.from_iterable(text.column(name, TRAIN) for name in columns)

    chosen: dict[str, Any] = {}
    for side in sides:
        options = getattr(config, side)
        is_automatic = "auto" in (options.level, options.vocabulary)
        statistics = TextStatistics.of(training_text(side) if is_automatic else ())
        chosen[side] = choose_level(options, statistics, whole_words=config.model.copy)
    config = replace(config, **chosen)
    check_options(config)
    found = dict(taken)
    for side in sides:
        if shared and "source" in found:
            found["target"] = found["source"]
        if side not in found:
            found[side] = train_tokenizer(training_text(side), getattr(config, side), side)
    return config, found["source"], found["target"]
