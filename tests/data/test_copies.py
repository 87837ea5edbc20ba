"""Ids of words that can be copied, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dragoman.config.options import SideOptions
from dragoman.data.source import copy_ids, encode_pairs, extend_target
from dragoman.data.tokenizer import EOS, UNK, Tokenizer
from dragoman.data.vocabulary import train_tokenizer


@pytest.fixture(scope="module")
def tokenizers() -> tuple[Tokenizer, Tokenizer]:
    options = replace(SideOptions(), level="word", vocabulary=100, min_count=2)
    source = train_tokenizer(["je suis de"] * 3, options)
    target = train_tokenizer(["i am from , de"] * 3, options)
    return source, target


def test_ids_of_known_and_of_own_words(tokenizers: tuple[Tokenizer, Tokenizer]) -> None:
    source, target = tokenizers
    size = len(target)
    pieces = source.pieces("suis Zoé, de  Zoé suis")
    assert pieces == ["▁suis", "▁Zoé", ",", "▁de", "▁Zoé", "▁suis"]
    ids, words = copy_ids(pieces, target)
    assert words == ["▁suis", "▁Zoé", ","]  # "▁," is in the vocabulary, "," is not
    assert ids.tolist() == [size, size + 1, size + 2, target.token_id("▁de"), size + 1, size, EOS]


def test_targets_take_the_ids_of_the_words_they_share(
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    source, target = tokenizers
    size = len(target)
    pairs = [("je suis Zoé de Bâle", "i am Zoé from Basel")]
    ((read, ids),) = encode_pairs(pairs, tokenizers, copy=True)
    sources, targets, copies = read.ids.tolist(), ids.tolist(), read.copies.tolist()
    known = {word: target.token_id(f"▁{word}") for word in ("i", "am", "from", "de")}
    assert sources == [
        source.token_id("▁je"),
        source.token_id("▁suis"),
        UNK,
        source.token_id("▁de"),
        UNK,
    ]
    assert copies == [size, size + 1, size + 2, known["de"], size + 3, EOS]
    assert targets == [known["i"], known["am"], size + 2, known["from"], UNK]
    assert target.decode(targets, ["▁je", "▁suis", "▁Zoé", "▁Bâle"]) == "i am Zoé from<unk>"


def test_without_copying_nothing_is_added(tokenizers: tuple[Tokenizer, Tokenizer]) -> None:
    ((read, ids),) = encode_pairs([("je suis Zoé", "i am Zoé")], tokenizers, copy=False)
    assert ids[-1] == UNK
    assert len(read.copies) == 0


def test_a_word_that_spells_a_special_token_is_a_word(
    tokenizers: tuple[Tokenizer, Tokenizer],
) -> None:
    ids, words = copy_ids(["</s>", "<unk>"], tokenizers[1])
    assert words == ["</s>", "<unk>"]
    assert ids.min() >= EOS
    extended = extend_target(np.array([UNK, UNK]), ["</s>", "x"], words, 50)
    assert extended.tolist() == [50, UNK]
