"""Alignments of words, read off weights that were written by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dragoman.config.options import SideOptions
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.search.alignment import pharaoh

TEXTS = ["le chat noir dort", "the black cat sleeps.", "le chat !"] * 3


def tokenizer(level: str, **more: Any) -> Tokenizer:
    return train_tokenizer(TEXTS, SideOptions(level=level, vocabulary=30, **more))  # type: ignore[arg-type]


def aligned(source: str, output: str, looks: list[int], tokens: Tokenizer) -> str:
    """The alignment when each output token looks at one source token."""
    (ids,) = tokens.encode([output])
    width = len(tokens.encode([source])[0]) + 1
    weights = np.full((len(looks), width + 3), 0.1 / width, dtype=np.float32)
    weights[np.arange(len(looks)), looks] += 0.9
    weights[:, width:] = 0  # padding
    best = SimpleNamespace(ids=tuple(ids.tolist()), weights=weights)
    return pharaoh(source, (best,), tokens, tokens)  # type: ignore[arg-type]


def test_words_as_they_stand() -> None:
    words = tokenizer("word", split_punctuation=False)
    found = aligned("le chat noir dort", "the black cat sleeps.", [0, 2, 1, 3, 4], words)
    assert found == "0-0 2-1 1-2 3-3"


def test_a_mark_belongs_to_the_word_that_it_is_attached_to() -> None:
    words = tokenizer("word")  # "sleeps." are two tokens and one word, "chat !" two words
    assert aligned("le chat !", "the cat sleeps.", [0, 1, 2, 2, 3], words) == "0-0 1-1 2-2"
    assert aligned("le chat!", "the cat sleeps.", [0, 1, 1, 1, 3], words) == "0-0 1-1 1-2"


@pytest.mark.parametrize("level", ["char", "bpe"])
def test_tokens_are_joined_to_words(level: str) -> None:
    tokens = tokenizer(level)
    source, output = "le chat noir", "the cat"
    reads = [len(source[:end].split()) - 1 for _, end in tokens.spans(source)]
    (ids,) = tokens.encode([output])
    says = [len(output[:end].split()) - 1 for _, end in tokens.spans(output)]
    assert len(ids) == len(says) > 2 and len(reads) > 3
    # "the" looks at the tokens of "noir" one after another, "cat" at those of "chat".
    noir = [i for i, word in enumerate(reads) if word == 2]
    chat = [i for i, word in enumerate(reads) if word == 1]
    looks = [(noir if word == 0 else chat)[n % 2] for n, word in enumerate(says)]
    assert aligned(source, output, [*looks, len(reads)], tokens) == "2-0 1-1"


def test_a_word_that_looks_at_the_end_stands_for_none() -> None:
    words = tokenizer("word")
    assert aligned("le chat", "the black cat", [0, 2, 1, 2], words) == "0-0 1-2"


def test_unknown_words_and_odd_spaces_have_their_places() -> None:
    words = tokenizer("word")
    assert aligned("  le\u00a0zzz   chat ", "the cat", [1, 2, 3], words) == "1-0 2-1"


def test_no_attention_no_alignment() -> None:
    words = tokenizer("word")
    for hypotheses in ((), (SimpleNamespace(ids=(5,), weights=None),)):
        assert pharaoh("le chat", hypotheses, words, words) == ""  # type: ignore[arg-type]
    assert aligned("le chat", "", [2], words) == ""


def test_a_line_that_was_cut_off_links_what_was_read() -> None:
    words = tokenizer("word")
    weights = np.eye(3, dtype=np.float32)  # two words were read, and the end
    best = SimpleNamespace(ids=tuple(words.encode(["the cat"])[0].tolist()), weights=weights)
    assert pharaoh("le chat noir dort", (best,), words, words) == "0-0 1-1"  # type: ignore[arg-type]
