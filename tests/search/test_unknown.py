"""Words outside the vocabulary are taken from the source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dragoman.config.options import ModelOptions, SearchOptions, SideOptions
from dragoman.data.tokenizer import UNK, Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.model.build import build_model
from dragoman.model.network import TorchNetwork
from dragoman.search.batched import BatchedScorer
from dragoman.search.hypotheses import Hypothesis
from dragoman.search.keep import copy_unknown
from dragoman.search.translator import Translator

TEXT = ["le chat dort , oui .", "un chien dort ."]


def tokenizer(**options: object) -> Tokenizer:
    chosen = replace(SideOptions(), vocabulary=60, **options)  # type: ignore[arg-type]
    return train_tokenizer(TEXT, chosen)


def said(one: Tokenizer, ids: list[int], text: str, looks: list[int]) -> str:
    """The text of ``ids`` whose n-th token looks at token ``looks[n]`` of ``text``."""
    length = len(one.encode([text])[0])
    weights = np.full((len(ids) + 1, length + 1), 0.01, dtype=np.float32)
    weights[np.arange(len(ids)), looks] = 0.5
    weights[:, -1] = 0.9  # the end of the sentence is no word
    found = Hypothesis(tuple(ids), 0.0, 0.0, True, (), weights)
    return one.join(copy_unknown(one.tokens(ids), found, text, (one, one)))


def test_a_word_comes_from_where_attention_looked() -> None:
    one = tokenizer(level="word")
    dort, stop = one.encode(["dort ."])[0].tolist()
    text = "Zébulon  dort (Oslo) ."
    assert said(one, [UNK, dort, UNK, stop], text, [0, 1, 3, 5]) == "Zébulon dortOslo ."
    assert said(one, [UNK, dort, UNK, UNK], text, [0, 1, 2, 3]) == "Zébulon dort (Oslo"


def test_a_copied_word_is_written_as_the_model_s_text_is() -> None:
    one = tokenizer(level="word", lowercase=True)
    assert said(one, [UNK], "Zébulon", [0]) == "zébulon"
    plain = tokenizer(level="word", split_punctuation=False)
    assert said(plain, [UNK, UNK], "Zébulon chat, Oslo", [0, 2]) == "Zébulon Oslo"


@pytest.mark.parametrize("level", ["char", "bpe"])
def test_a_character_is_copied_at_the_other_levels(level: str) -> None:
    one = tokenizer(level=level)
    text = "chat é"
    position = len(one.encode([text])[0]) - 1
    assert one.encode([text])[0][position] == UNK
    chat = one.encode(["chat"])[0].tolist()
    assert said(one, [*chat, UNK], text, [*range(len(chat)), position]).startswith("chaté")


def test_without_attention_nothing_is_replaced() -> None:
    one = tokenizer(level="word")
    found = Hypothesis((UNK,), 0.0, 0.0, True, (), None)
    assert copy_unknown(["<unk>"], found, "a", (one, one)) == ["<unk>"]


def translator(attention: str) -> Translator:
    one = tokenizer(level="word")
    torch.manual_seed(1)
    small = replace(
        ModelOptions(),
        embedding=8,
        hidden=12,
        dropout=0.0,
        attention=attention,  # type: ignore[arg-type]
    )
    model = build_model(small, source_vocabulary=len(one), target_vocabulary=len(one))
    with torch.no_grad():
        model.output.bias[UNK] = 3.0  # it knows no words
    return Translator(BatchedScorer(TorchNetwork(model)), [one], one, 30)


@pytest.mark.parametrize("attention", ["luong", "none"])
def test_unknown_words_are_copied_dropped_or_kept(attention: str) -> None:
    one, line = translator(attention), "Oslo Rome Paris"
    options = SearchOptions(beam=2, max_ratio=0.0)

    def text(unknown: str) -> str:
        return next(one.translate([line], replace(options, unknown=unknown))).text  # type: ignore[arg-type]

    assert "<unk>" in text("keep")
    assert "<unk>" not in text("drop")
    if attention == "none":
        assert text("copy") == text("drop")
    else:
        assert {*text("copy").split()} & {*line.split()}
