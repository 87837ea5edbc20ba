"""ONNX Runtime computes what torch computes, for every kind of model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dragoman.config.options import ModelOptions, SearchOptions, SideOptions
from dragoman.data.tokenizer import EOS, PAD, SPACE, Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import FolderError
from dragoman.model.build import build_model
from dragoman.model.folder import tensors_of
from dragoman.model.network import TorchNetwork
from dragoman.model.seq2seq import Seq2Seq
from dragoman.runtime.network import OnnxNetwork, cores
from dragoman.runtime.shortlist import Shortlist
from dragoman.runtime.weights import Weights, quantized
from dragoman.search.batched import BatchedScorer
from dragoman.search.network import Network
from dragoman.search.request import Request, Translation
from dragoman.search.translator import Translator
from tiny import GROUP, HYBRID, TRANSFORMER

pytest.importorskip("onnxruntime")
WORDS = [f"w{i}" for i in range(90)]
KINDS: list[dict[str, Any]] = [
    {},
    {"cell": "lstm"},
    {"cell": "rnn", "bidirectional": False},
    {"cell": "gru", "encoder_layers": 2, "decoder_layers": 3, "residual": True, "layer_norm": True},
    {"cell": "lstm", "encoder_layers": 3, "decoder_layers": 2, "directions": "sum"},
    {"attention": "none"},
    {"attention": "none", "cell": "lstm", "bridge": "copy", "encoder_layers": 2},
    {"attention": "bahdanau", "score": "concat", "bridge": "zero"},
    {"attention": "bahdanau", "score": "dot", "cell": "lstm", "decoder_layers": 2},
    {"score": "scaled_dot", "reverse_source": True, "encoder_layers": 2},
    {"score": "concat", "input_feeding": True},
    {"score": "dot", "input_feeding": True, "decoder_layers": 2, "cell": "rnn"},
    {"shared_embeddings": True, "tied_output": True, "embedding": 32},
    {"tied_output": True, "embedding": 32, "copy": True},
    {"copy": True, "attention": "bahdanau"},
    {**TRANSFORMER, "embedding": 32},
    {**TRANSFORMER, "embedding": 32, "copy": True, "shared_embeddings": True, "tied_output": True},
    {**TRANSFORMER, "transformer": replace(GROUP, heads=4), "embedding": 32},
    {**HYBRID, "embedding": 32, "decoder_layers": 2, "cell": "lstm"},
    {"attention_weights": "entmax"},
    {"attention": "monotonic"},
    {"attention": "monotonic", "cell": "lstm", "decoder_layers": 2, "score": "dot"},
    {"attention_weights": "entmax", "attention": "bahdanau", "cell": "lstm"},
    {"attention_weights": "sparsemax", "output_probabilities": "entmax"},
    {**TRANSFORMER, "embedding": 32, "tied_output": True, "output_probabilities": "entmax"},
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    side = replace(SideOptions(), level="word", vocabulary=600)
    return train_tokenizer([" ".join(WORDS)], side)


def options_of(**options: Any) -> ModelOptions:
    return replace(ModelOptions(), **{"embedding": 20, "hidden": 32, "dropout": 0.0} | options)


def model_of(options: ModelOptions, vocabulary: int) -> Seq2Seq:
    torch.manual_seed(5)
    model = build_model(options, source_vocabulary=vocabulary, target_vocabulary=vocabulary)
    # An untrained model says the same of everything; too large weights make some chaotic.
    factor = 1.8 if options.cell == "rnn" or options.family != "recurrent" else 2.5
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
        model.output.bias[EOS] += 2
    return model


def runtime_of(
    options: ModelOptions,
    model: Seq2Seq,
    size: int,
    *,
    int8: bool,
    shortlist: Shortlist | None = None,
) -> OnnxNetwork:
    tensors = {name: one.numpy() for name, one in tensors_of(model).items()}
    weights = Weights(quantized(tensors) if int8 else tensors, "memory")
    return OnnxNetwork(options, weights, (size, size), shortlist)


def translator(network: Network, tokenizer: Tokenizer) -> Translator:
    return Translator(BatchedScorer(network), [tokenizer], tokenizer, 40)


def lines(count: int, strange: bool = False) -> list[str]:
    random = np.random.default_rng(2)
    words = [*WORDS, "zebra", "yak"] if strange else WORDS
    return [" ".join(random.choice(words, random.integers(1, 24))) for _ in range(count)]


def seen(answers: Sequence[Translation]) -> list[Any]:
    return [[(h.ids, h.score, h.steps) for h in answer.hypotheses] for answer in answers]


def some_words(size: int, each: int = 9) -> Shortlist:
    random = np.random.default_rng(3)
    words = random.integers(4, size, (size, each)).astype(np.int32)
    starts = np.arange(0, size * each + 1, each, dtype=np.int32)
    return Shortlist(starts, words.ravel(), np.arange(4, 8, dtype=np.int32))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_fp32_gives_the_outputs_and_probabilities_of_torch(
    tokenizer: Tokenizer, kind: dict[str, Any]
) -> None:
    options, size = options_of(**kind), len(tokenizer)
    model = model_of(options, size)
    ours = translator(runtime_of(options, model, size, int8=False), tokenizer)
    torchs = translator(TorchNetwork(model), tokenizer)
    text = lines(30, strange=bool(kind.get("copy")))
    for search in (
        SearchOptions(beam=1, max_ratio=0.5),
        SearchOptions(beam=4, n_best=4, max_ratio=0.5, unknown="keep"),
        SearchOptions(beam=2, max_ratio=0.5, no_repeat=2),
    ):
        attention = options.attention != "none"
        pairs = zip(
            ours.translate(text, search, attention=attention),
            torchs.translate(text, search, attention=attention),
            strict=True,
        )
        for mine, other in pairs:
            assert [h.ids for h in mine.hypotheses] == [h.ids for h in other.hypotheses]
            for one, another in zip(mine.hypotheses, other.hypotheses, strict=True):
                # rounding grows from step to step in such a network
                np.testing.assert_allclose(one.steps[:6], another.steps[:6], atol=1e-3)
                np.testing.assert_allclose(one.steps, another.steps, atol=0.05)
                if one.weights is not None and another.weights is not None:
                    np.testing.assert_allclose(one.weights[:6], another.weights[:6], atol=1e-3)
    answers = list(ours.translate(text, SearchOptions(beam=1, max_ratio=0.5)))
    assert len({answer.text for answer in answers}) > 10


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("kind", [KINDS[n] for n in (0, 4, 7, 11, 14, 15, 16, 17, 18, -2)], ids=str)
def test_a_line_does_not_depend_on_its_company(
    tokenizer: Tokenizer, kind: dict[str, Any], limited: bool, int8: bool
) -> None:
    options, size = options_of(**kind), len(tokenizer)
    shortlist = some_words(size) if limited else None
    network = runtime_of(options, model_of(options, size), size, int8=int8, shortlist=shortlist)
    one, text = translator(network, tokenizer), lines(40, strange=True)
    order = np.random.default_rng(1).permutation(len(text))
    for beam in (1, 5):
        search = SearchOptions(beam=beam, max_ratio=0.5)
        whole = seen(list(one.translate(text, replace(search, batch_size=64))))
        for batch in (1, 7):
            found = one.translate([text[i] for i in order], replace(search, batch_size=batch))
            assert seen(list(found)) == [whole[i] for i in order]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_8_bits_are_near_fp32(tokenizer: Tokenizer, kind: dict[str, Any]) -> None:
    options, size = options_of(**kind), len(tokenizer)
    model = model_of(options, size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.4)
    whole, bytes_ = (
        translator(runtime_of(options, model, size, int8=int8), tokenizer) for int8 in (False, True)
    )
    pairs = list(zip(lines(12), lines(24)[12:], strict=True))
    for one, other in zip(
        whole.score(pairs, SearchOptions()), bytes_.score(pairs, SearchOptions()), strict=True
    ):
        steps = [np.array(scored.hypothesis.steps) for scored in (one, other)]
        if options.output_probabilities == "entmax":
            # where a word begins to have weight, its root is linear in the score, its logarithm not
            np.testing.assert_allclose(*(np.exp(part / 2) for part in steps), atol=0.07)
        else:
            np.testing.assert_allclose(*steps, atol=0.15)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[13]], ids=str)
@pytest.mark.parametrize("int8", [False, True])
def test_a_shortlist_of_all_words_changes_no_output(
    tokenizer: Tokenizer, kind: dict[str, Any], int8: bool
) -> None:
    options, size = options_of(**kind), len(tokenizer)
    every = Shortlist(
        np.zeros(size + 1, np.int32), np.zeros(0, np.int32), np.arange(4, size, dtype=np.int32)
    )
    model = model_of(options, size)
    model.output.bias.data[PAD] = -30  # its probability is left out of a shortlist's
    one, other = (
        translator(runtime_of(options, model, size, int8=int8, shortlist=each), tokenizer)
        for each in (None, every)
    )
    text = lines(20, strange=True)
    for search in (SearchOptions(beam=3, max_ratio=0.5), SearchOptions(beam=2, no_repeat=1)):
        pairs = zip(one.translate(text, search), other.translate(text, search), strict=True)
        assert all(a.texts == b.texts for a, b in pairs)


@pytest.mark.parametrize("copy", [False, True])
def test_only_candidates_are_said_and_what_is_asked_for(tokenizer: Tokenizer, copy: bool) -> None:
    options, size = options_of(copy=copy), len(tokenizer)
    model, limit = model_of(options, size), some_words(size, each=2)
    network = runtime_of(options, model, size, int8=False, shortlist=limit)
    one, search = translator(network, tokenizer), SearchOptions(beam=3, max_ratio=1)
    for request in (Request("w1 w2 zebra"), Request("w1 w2", prefix="w80", must=("w81 w82",))):
        (answer,) = one.translate([request], search)
        sources = tokenizer.encode([request.source])[0]
        likely = {int(w) for i in (*sources, EOS) for w in limit.words[2 * i : 2 * i + 2]}
        names = {
            *tokenizer.tokens([*likely, *limit.always, 1, 2, 3]),
            f"{SPACE}zebra" if copy else "",
        }
        names |= set(tokenizer.tokens(sources)) if copy else set()
        asked = {f"{SPACE}{word}" for word in ("w80", "w81", "w82") if request.must}
        assert set(answer.target_tokens) <= names | asked and not answer.unmet
        assert asked <= set(answer.target_tokens)
        scored = next(iter(one.score([(request.source, "w85 w86")], search)))
        assert np.isfinite(scored.hypothesis.log_prob)


def test_missing_unknown_and_misshapen_weights_are_named(tokenizer: Tokenizer) -> None:
    options, size = options_of(), len(tokenizer)
    tensors = {n: t.numpy() for n, t in tensors_of(model_of(options, size)).items()}
    name = "decoder.combine.weight"
    without = {n: t for n, t in tensors.items() if n != name}
    for wrong, message in (
        (without, "lacks tensor 'decoder.combine.weight'"),
        (tensors | {"more": np.zeros(2, np.float32)}, "has an unknown tensor 'more'"),
        (
            tensors | {name: np.zeros((2, 3), np.float32)},
            r"is \[2, 3\] float32, \[32, 64\] float32",
        ),
    ):
        with pytest.raises(FolderError, match=message):
            OnnxNetwork(options, Weights(wrong, "here"), (size, size), None)


def test_the_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3, 4}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows have none
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_the_environment_limits_the_threads(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, size = options_of(), len(tokenizer)
    model, there = model_of(options, size), cores()
    for text, expected in (("1", 1), ("", there), ("0", there), ("many", there), ("9999", there)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        network = runtime_of(options, model, size, int8=False)
        assert network.concurrency == expected
