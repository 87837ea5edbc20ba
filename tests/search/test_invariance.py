"""The numbers of a sentence do not depend on its company, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dragoman.config.options import ModelOptions, SearchOptions, SideOptions
from dragoman.data.tokenizer import EOS, Tokenizer
from dragoman.data.vocabulary import load_tokenizer, train_tokenizer
from dragoman.model.build import build_model
from dragoman.model.folder import tensors_of
from dragoman.runtime.network import OnnxNetwork
from dragoman.runtime.weights import Weights, quantized
from dragoman.search.batched import BatchedScorer
from dragoman.search.reading import read_pieces
from dragoman.search.request import Request
from dragoman.search.translator import Translator
from tiny import HYBRID, TRANSFORMER

TEXT = ["le chat noir dort", "un chien blanc", "la maison est grande et vieille , oui .", "dort"]


SIDE = replace(SideOptions(), level="word", vocabulary=700)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    words = [" ".join(f"w{i}{j}" for j in range(10)) for i in range(60)]
    return train_tokenizer(TEXT + words, SIDE)


def translator(
    tokenizer: Tokenizer, *, int8: bool = False, ends: float = 0, **options: object
) -> Translator:
    """A model in ONNX Runtime, in fp32 or 8 bits; ``ends`` makes it end sooner."""
    torch.manual_seed(3)
    chosen = replace(ModelOptions(), **{"embedding": 48, "hidden": 96, "dropout": 0.0} | options)  # type: ignore[arg-type]
    model = build_model(chosen, source_vocabulary=len(tokenizer), target_vocabulary=len(tokenizer))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)  # an untrained model says the same of everything; this one does not
        model.output.bias[EOS] += ends
    tensors = {name: one.numpy() for name, one in tensors_of(model).items()}
    weights = Weights(quantized(tensors) if int8 else tensors, "memory")
    network = OnnxNetwork(chosen, weights, (len(tokenizer), len(tokenizer)), None)
    return Translator(BatchedScorer(network), [tokenizer], tokenizer, 30)


def lines(count: int) -> list[str]:
    random = np.random.default_rng(5)
    return [
        " ".join(
            f"w{random.integers(60)}{random.integers(10)}" for _ in range(random.integers(0, 75))
        )
        for _ in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "lstm", "encoder_layers": 2, "decoder_layers": 2},
        {"attention": "none"},
        {"attention": "bahdanau", "score": "concat"},
        {"attention_weights": "entmax"},
        {"attention_weights": "sparsemax", "output_probabilities": "entmax"},
        {"attention": "monotonic"},
        {"input_feeding": True, "score": "dot"},
        {"int8": True},
        {"int8": True, "cell": "lstm", "decoder_layers": 2},
        {**TRANSFORMER, "embedding": 96},
        {**TRANSFORMER, "embedding": 96, "int8": True},
        {**HYBRID, "embedding": 96},
    ],
    ids=str,
)
def test_scores_are_the_same_in_any_batch_and_order(
    tokenizer: Tokenizer, beam: int, options: dict[str, object]
) -> None:
    search, one = SearchOptions(beam=beam, max_ratio=0.5), translator(tokenizer, **options)  # type: ignore[arg-type]
    text = lines(60)
    whole = list(one.translate(text, replace(search, batch_size=64)))
    assert len(whole) == len(text)
    assert sum(len(set(t.target_tokens)) for t in whole) > 100  # it does say something
    order = np.random.default_rng(1).permutation(len(text))
    for size in (1, 3, 17):
        shuffled = list(one.translate([text[i] for i in order], replace(search, batch_size=size)))
        for place, i in enumerate(order):
            assert shuffled[place].texts == whole[i].texts
            for a, b in zip(shuffled[place].hypotheses, whole[i].hypotheses, strict=True):
                assert (a.ids, a.score) == (b.ids, b.score)


@pytest.mark.parametrize("asked", [{"prefix": "w10"}, {"must": ("w10",)}, {"never": ("w10",)}])
def test_what_is_asked_of_another_line_changes_nothing(
    tokenizer: Tokenizer, asked: dict[str, Any]
) -> None:
    one, options = translator(tokenizer), SearchOptions(beam=4, max_ratio=0.5)
    text = lines(20)
    plain = list(one.translate(text, options))
    beside = list(one.translate([Request("w10 w11", **asked), *text], options))[1:]
    for a, b in zip(plain, beside, strict=True):
        assert [(h.ids, h.score) for h in a.hypotheses] == [(h.ids, h.score) for h in b.hypotheses]


@pytest.mark.slow
def test_an_odd_size_does_not_depend_on_company(tokenizer: Tokenizer) -> None:
    one = translator(tokenizer, hidden=17, bidirectional=False)
    options = SearchOptions(beam=4, n_best=4, max_ratio=0.5)
    text = lines(40)
    whole = list(one.translate(text, options))
    for size in (1, 3, 5):
        for a, b in zip(whole, one.translate(text, replace(options, batch_size=size)), strict=True):
            assert [h.score for h in a.hypotheses] == [h.score for h in b.hypotheses]


def test_empty_lines_answer_empty_lines(tokenizer: Tokenizer) -> None:
    answers = list(translator(tokenizer).translate(["", "dort", "   ", "\u200b"], SearchOptions()))
    assert [a.text == "" for a in answers] == [True, False, True, True]
    assert [a.source for a in answers] == ["", "dort", "   ", "\u200b"]


def test_a_long_line_is_cut_where_sentences_end(tokenizer: Tokenizer) -> None:
    one = translator(tokenizer)
    sentence = "la maison est grande , oui ."
    line = " ".join([sentence] * 9)
    pieces = read_pieces(["", line], [tokenizer], None, 30)
    assert [len(piece.sources[0].ids) for piece in pieces] == [28, 28, 7]
    assert {piece.line for piece in pieces} == {1}
    assert "".join(piece.text for piece in pieces) == line
    ids = tokenizer.encode([line])[0]
    assert np.array_equal(np.concatenate([piece.sources[0].ids for piece in pieces]), ids)
    answer = next(iter(one.translate([" ".join([sentence] * 9)], SearchOptions(max_ratio=0.1))))
    alone = next(iter(one.translate([" ".join([sentence] * 4)], SearchOptions(max_ratio=0.1))))
    assert answer.text.startswith(f"{alone.text} {alone.text} ")
    (first,), (cut,) = (
        one.translate([line], SearchOptions(max_ratio=0.1, long=way))
        for way in ("split", "truncate")
    )
    assert first.text == answer.text
    assert len(cut.source_tokens) == 30 and list(cut.source_tokens) == tokenizer.tokens(ids[:30])


def test_half_characters_are_read_as_unknown(tokenizer: Tokenizer) -> None:
    lines = ["dort \ud800", "\udfff", "dort \ufffd"]
    answers = list(translator(tokenizer).translate(lines, SearchOptions(beam=2)))
    assert [a.source for a in answers] == lines
    assert answers[0].text == answers[2].text
    assert all(a.text.encode() is not None for a in answers)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalization": "wu", "length_penalty": 0.6, "coverage_penalty": 0.2},
        {"min_ratio": 0.1},
        {"int8": True},
    ],
    ids=str,
)
def test_a_target_scores_what_its_translation_scored(
    tokenizer: Tokenizer, options: dict[str, object]
) -> None:
    one = translator(tokenizer, int8="int8" in options, ends=6)
    text = [line for line in lines(40) if 0 < len(line.split()) <= 30]
    search = SearchOptions(beam=4, n_best=4, max_ratio=0.1, unknown="drop", **options)  # type: ignore[arg-type]
    found = [(a, n) for a in one.translate(text, search) for n in range(len(a.texts))]
    pairs = [(answer.source, answer.texts[n]) for answer, n in found]
    scored = list(one.score(pairs, search))
    assert len(scored) == len(found) > 20 and len({len(a.hypotheses[n].ids) for a, n in found}) > 3
    for (answer, n), score in zip(found, scored, strict=True):
        hypothesis = answer.hypotheses[n]
        if hypothesis.complete and score.hypothesis.ids == hypothesis.ids:
            assert score.hypothesis.log_prob == pytest.approx(hypothesis.log_prob, abs=1e-4)
            assert score.hypothesis.score == pytest.approx(hypothesis.score, abs=1e-4)
            np.testing.assert_allclose(score.hypothesis.steps, hypothesis.steps, atol=1e-4)
            assert score.tokens == (*tokenizer.tokens(hypothesis.ids), "</s>")
    assert sum(answer.hypotheses[n].complete for answer, n in found) > 20


def test_the_real_path_of_a_folder_is_not_needed(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(tokenizer.json, encoding="utf-8")
    assert load_tokenizer(tmp_path / "t.json", SIDE).digest == tokenizer.digest
