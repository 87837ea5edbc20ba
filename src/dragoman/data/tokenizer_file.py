"""Reads ``tokenizer.json``: its vocabulary is taken from the file, all else from the options.

A file of unknown origin may hold any regular expression and any chain of replacements, which the
library would compile and run: endless time or memory. So nothing in it is run. A part that is not
what the options make is refused, and the vocabulary must be plain: tokens without control
characters, whose ids are 0, 1, 2 ...
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from dragoman.config.options import SideOptions
from dragoman.data.pipeline import spells_bytes, untrained
from dragoman.data.tokenizer import SPECIAL, Tokenizer
from dragoman.errors import FolderError
from dragoman.files import parse_json

Tree = dict[str, Any]

_LEARNED = ("vocab", "merges", "unk_id")
"""What a model of ``tokenizer.json`` learns from text."""
_CONTROL = re.compile("[\0-\x1f\x7f]")
"""A token with one could end a line of output, or command a terminal."""


def load_tokenizer(path: Path, options: SideOptions) -> Tokenizer:
    """Read a ``tokenizer.json`` that was made with ``options``.

    Raises:
        FolderError: it cannot be read, is damaged, or was made with other options.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = parse_json(text)
        _require_plain(tree["model"]["vocab"], scored=options.level == "unigram")
        backend = with_vocabulary(tree["model"], options)
        made = json.loads(backend.to_str())
        for name, part in tree.items():
            if not _agrees(part, made.get(name, ...)):
                raise ValueError(f"its {name} is not what the options in config.toml make")
    except OSError as error:
        raise FolderError(f"cannot be read: {error.strerror}", place=str(path)) from error
    except Exception as error:  # tokenizers raises plain Exception
        cause = "it has another structure" if isinstance(error, _STRUCTURE) else error
        raise FolderError(
            f"is not a tokenizer: {cause}", place=str(path), cure="copy the folder again"
        ) from error
    if tuple(backend.id_to_token(i) for i in range(4)) != SPECIAL:
        raise FolderError(
            f"is not one of Dragoman's: its first tokens are not {' '.join(SPECIAL)}",
            place=str(path),
        )
    return Tokenizer(backend, text)


_STRUCTURE = (KeyError, TypeError, AttributeError)
"""What reading a tree raises where it is not built as expected."""


def with_vocabulary(model: Tree, options: SideOptions) -> Backend:
    """A tokenizer with the steps that ``options`` ask for and the vocabulary of ``model``.

    Special tokens are not "added" ones, which would be found inside user text.
    """
    tree = json.loads(untrained(options).to_str())
    tree["added_tokens"] = []
    ours = tree["model"]
    ours |= {name: model[name] for name in _LEARNED if name in ours}
    if spells_bytes(options):
        ours["byte_fallback"] = True
    return Backend.from_str(json.dumps(tree, ensure_ascii=False, allow_nan=False))


def _agrees(found: Any, made: Any) -> bool:
    """Whether ``made`` has all that ``found`` has; a newer library may write more."""
    if isinstance(found, dict) and isinstance(made, dict):
        return all(name in made and _agrees(part, made[name]) for name, part in found.items())
    if isinstance(found, list) and isinstance(made, list):
        return len(found) == len(made) and all(map(_agrees, found, made))
    return bool(found == made)


def _require_plain(vocabulary: Any, *, scored: bool) -> None:
    """Check a vocabulary: ``{token: id}``, or ``[[token, score]]`` where it is ``scored``."""
    if scored:
        tokens = [token for token, _ in vocabulary]
        plain = all(isinstance(score, float) and math.isfinite(score) for _, score in vocabulary)
    else:
        tokens = list(vocabulary)
        plain = sorted(vocabulary.values()) == list(range(len(tokens)))
    if not plain or not all(isinstance(t, str) and not _CONTROL.search(t) for t in tokens):
        raise ValueError("its vocabulary is not plain tokens with ids from 0 on")
