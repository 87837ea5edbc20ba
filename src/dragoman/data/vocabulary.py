"""Learns the vocabulary of a tokenizer from text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import trainers

from dragoman.config.options import SideOptions
from dragoman.data.pipeline import special_tokens, untrained
from dragoman.data.tokenizer import SPECIAL, UNK, Tokenizer
from dragoman.data.tokenizer_file import with_vocabulary
from dragoman.errors import DataError, DragomanError, OptionError


def train_tokenizer(texts: Iterable[str], options: SideOptions, side: str = "source") -> Tokenizer:
    """Learn a vocabulary from ``texts``.

    Args:
        texts: the training text of one side (or of both, for a shared vocabulary).
        options: without ``"auto"``.
        side: whose options they are, for messages.

    Raises:
        DataError: nothing is left of the text to learn from.
        OptionError: the vocabulary is too small.
    """
    vocabulary, level = options.vocabulary, options.level
    assert vocabulary != "auto" and level != "auto", "choose_level first"
    if vocabulary <= (taken := len(special_tokens(options))):
        raise OptionError(
            f"{vocabulary} tokens leave none to learn: {taken} are taken",
            place=f"{side}.vocabulary",
            cure="raise it, or turn byte_fallback off",
        )
    backend = untrained(options)
    try:
        backend.train_from_iterator(texts, _trainer(options, vocabulary))
    except (DragomanError, OSError):
        raise
    except Exception as error:  # tokenizers raises plain Exception
        raise OptionError(
            f"no {level} vocabulary of {vocabulary} can be learned: {error}",
            cure="raise the vocabulary, or choose another level",
        ) from error
    tokenizer = Tokenizer(with_vocabulary(json.loads(backend.to_str())["model"], options))
    if len(tokenizer) <= taken:
        raise DataError(
            "no token is left to learn from", cure="lower min_count, or look at keep_only"
        )
    return tokenizer


def _trainer(options: SideOptions, size: int) -> trainers.Trainer:
    special = special_tokens(options)
    common: dict[str, Any] = {"vocab_size": size, "special_tokens": special, "show_progress": False}
    if options.level == "bpe":
        fewest, letters = max(2, options.min_count), max(1, size - len(special))
        return trainers.BpeTrainer(**common, min_frequency=fewest, limit_alphabet=letters)
    if options.level == "unigram":
        return trainers.UnigramTrainer(**common, unk_token=SPECIAL[UNK])
    return trainers.WordLevelTrainer(**common, min_frequency=options.min_count)
