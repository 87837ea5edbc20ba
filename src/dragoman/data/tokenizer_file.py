"""A ``tokenizer.json`` of unknown origin: nothing in it may take endless time or memory.

The library behind it compiles any regular expression and runs any chain of replacements. Here only
what Dragoman itself writes gets through: its own expressions, replacements that cannot feed each
other, and a vocabulary whose ids are 0, 1, 2 ...
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from dragoman.data.invisible import INVISIBLE
from dragoman.files import parse_json

Tree = dict[str, Any]

_NOTHING_ELSE: Tree = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "post_processor": None,
}
_STEPS: tuple[Tree, ...] = (
    *({"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Lowercase")),
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Replace", "pattern": {"Regex": f"[{INVISIBLE}]"}, "content": ""},
    {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
)
OWN = ("vocab", "merges", "unk_id")


def is_one_class(inside: str) -> bool:
    """Whether ``[^inside]`` is one class of characters, and no more of an expression than that."""
    return re.fullmatch(r"(?:[^\[\]\\]|\\.)+", inside, re.DOTALL) is not None


def checked(text: str, cuts: Sequence[Tree], models: Sequence[Tree]) -> str:
    """The same tokenizer, written anew.

    Args:
        text: the file.
        cuts: the pairs of ``pre_tokenizer`` and ``decoder`` that Dragoman makes.
        models: its models, their vocabularies left aside.

    Raises:
        ValueError: it is not JSON, or has something that no tokenizer of Dragoman has.
    """
    tree = parse_json(text)
    try:
        wrong = _foreign(tree, cuts, models)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it has another structure") from error
    if wrong:
        raise ValueError(f"its {wrong} is not one that Dragoman writes")
    return json.dumps(tree, ensure_ascii=False, allow_nan=False)


def _foreign(tree: Tree, cuts: Sequence[Tree], models: Sequence[Tree]) -> str:
    """The first part that is not ours; empty when all is."""
    for name, value in _NOTHING_ELSE.items():
        if tree[name] != value:
            return name
    if not _is_our_normalizer(tree["normalizer"]):
        return "normalizer"
    if {name: tree[name] for name in ("pre_tokenizer", "decoder")} not in list(cuts):
        return "pre_tokenizer or decoder"
    model = tree["model"]
    if {n: v for n, v in model.items() if n not in OWN} not in list(models):
        return "model"
    if tree.keys() != {*_NOTHING_ELSE, "normalizer", "pre_tokenizer", "decoder", "model"}:
        return "list of parts"
    tokens = model["vocab"]
    if isinstance(tokens, list):
        numbers = [score for _, score in tokens]
        sound = all(isinstance(n, float) and math.isfinite(n) for n in numbers)
        sound &= model["unk_id"] == 1
        tokens = [token for token, _ in tokens]
    else:
        sound = sorted(tokens.values()) == list(range(len(tokens)))
    texts = all(isinstance(token, str) and not _CONTROL.search(token) for token in tokens)
    return "" if sound and texts else "vocabulary"


_CONTROL = re.compile("[\0-\x1f\x7f]")
"""A token with one could end a line of output, or command a terminal."""


def _is_our_normalizer(normalizer: Tree) -> bool:
    marks, classes = [], 0
    for step in normalizer["normalizers"]:
        if step in _STEPS:
            continue
        if step["type"] != "Replace" or step.keys() != {"type", "pattern", "content"}:
            return False
        pattern, content = step["pattern"], step["content"]
        mark, outside = pattern.get("String", ""), pattern.get("Regex", "")
        if len(mark) == 1 and content == f" {mark} " and mark not in marks:
            marks.append(mark)
        elif outside[:2] == "[^" and outside[-1:] == "]" and is_one_class(outside[2:-1]):
            classes += 1 if content == " " else 2
        else:
            return False
    return normalizer["type"] == "Sequence" and classes < 2
