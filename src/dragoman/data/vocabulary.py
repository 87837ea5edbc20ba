"""Learns the vocabulary of a tokenizer from text, or takes it from a ``tokenizer.json``.

A file of unknown origin may hold any regular expression and any chain of replacements, which the
library would compile and run: endless time or memory. So only the vocabulary is taken from it, and
the options make the rest. The vocabulary must be plain: tokens without control characters, whose
ids are 0, 1, 2 ...
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import trainers

from dragoman.config.options import SideOptions
from dragoman.data.pipeline import special_tokens, untrained, with_vocabulary
from dragoman.data.tokenizer import SPECIAL, UNK, Tokenizer
from dragoman.errors import DataError, DragomanError, FolderError, OptionError
from dragoman.files import parse_json

_CONTROL = re.compile("[\0-\x1f\x7f]")
"""A token with one could end a line of output, or command a terminal."""
_MODELS = {"bpe": "BPE", "unigram": "Unigram"}
"""The library's name for what is learned at each level; ``WordLevel`` for words and characters."""


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
    size, level, special = options.vocabulary, options.level, special_tokens(options)
    assert size != "auto" and level != "auto", "choose_level first"
    if size <= len(special):
        cause = f"{size} tokens leave none to learn: {len(special)} are taken"
        cure = "raise it, or turn byte_fallback off"
        raise OptionError(cause, place=f"{side}.vocabulary", cure=cure)
    common: dict[str, Any] = {"vocab_size": size, "special_tokens": special, "show_progress": False}
    trainer: trainers.Trainer
    if level == "bpe":
        fewest, letters = max(2, options.min_count), max(1, size - len(special))
        trainer = trainers.BpeTrainer(**common, min_frequency=fewest, limit_alphabet=letters)
    elif level == "unigram":
        trainer = trainers.UnigramTrainer(**common, unk_token=SPECIAL[UNK])
    else:
        trainer = trainers.WordLevelTrainer(**common, min_frequency=options.min_count)
    backend = untrained(options)
    try:
        backend.train_from_iterator(texts, trainer)
    except (DragomanError, OSError):
        raise
    except Exception as error:  # tokenizers raises plain Exception
        cause = f"no {level} vocabulary of {size} can be learned: {error}"
        raise OptionError(cause, cure="raise it, or choose another level") from error
    tokenizer = Tokenizer(with_vocabulary(json.loads(backend.to_str())["model"], options))
    if len(tokenizer) <= len(special):
        cure = "lower min_count, or look at keep_only"
        raise DataError("no token is left to learn from", cure=cure)
    return tokenizer


def load_tokenizer(path: Path, options: SideOptions) -> Tokenizer:
    """Read the vocabulary of a ``tokenizer.json``; ``options`` make everything else.

    Raises:
        FolderError: it cannot be read, is damaged, or was learned at another level.
    """
    try:
        text = path.read_text(encoding="utf-8")
        model = parse_json(text)["model"]
        if model["type"] != _MODELS.get(options.level, "WordLevel"):
            raise ValueError(f"its model is {model['type']!r}, the level is {options.level}")
        tokens = _tokens(model["vocab"], scored=options.level == "unigram")
        if tokens[:4] != list(SPECIAL):
            raise ValueError(f"its first tokens are not {' '.join(SPECIAL)}")
        return Tokenizer(with_vocabulary(model, options), text)
    except OSError as error:
        raise FolderError(f"cannot be read: {error.strerror}", place=str(path)) from error
    except Exception as error:  # tokenizers raises plain Exception
        of_structure = isinstance(error, KeyError | TypeError | AttributeError)
        cause = f"is not a tokenizer: {'it has another structure' if of_structure else error}"
        raise FolderError(cause, place=str(path), cure="copy the folder again") from error


def _tokens(vocabulary: Any, *, scored: bool) -> list[str]:
    """The tokens of ``{token: id}``, or of ``[[token, score]]`` where it is ``scored``, by id.

    Raises:
        ValueError: they are not plain.
    """
    if scored:
        tokens = [token for token, _ in vocabulary]
        plain = all(isinstance(score, float) and math.isfinite(score) for _, score in vocabulary)
    else:
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        plain = [vocabulary[token] for token in tokens] == list(range(len(tokens)))
    if not plain or not all(isinstance(t, str) and not _CONTROL.search(t) for t in tokens):
        raise ValueError("its vocabulary is not plain tokens with ids from 0 on")
    return tokens
