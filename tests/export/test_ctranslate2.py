"""A Transformer answers alike in CTranslate2 and in a package of Argos Translate."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.api import load
from dragoman.cli import main
from dragoman.config.options import SideOptions
from dragoman.data.tokenizer import BOS, BYTES, PAD, UNK
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import DataError, MissingExtraError, OptionError, UsageError
from dragoman.export.argos import write_package
from dragoman.export.bundle import export
from dragoman.export.ctranslate2 import export_ctranslate2
from dragoman.model.folder import load_folder, save_weights
from sites import PAIRS, save_folder
from tiny import HYBRID, TRANSFORMER

SIZES = {"embedding": 32, "hidden": 32}
SUBWORDS = {"level": "bpe", "vocabulary": 340, "byte_fallback": True}
TEXTS = [
    "The cat sat on the mat, near the dog.",
    "Two dogs (and 12 cats) ran at 10:45!",
    "ein kleiner Hund läuft über die Straße",
    "İstanbul'un ışığı ve ìíĩ",
]
SIDES: list[dict[str, Any]] = [
    {"level": "bpe"},
    {"level": "unigram"},
    {"level": "bpe", "lowercase": True, "strip_accents": True, "unicode": "nfkc"},
    {"level": "unigram", "lowercase": True, "casing": "turkish"},
    {"level": "bpe", "space_punctuation": ".,!", "keep_invisible": "U+200B"},
]


def save_transformer(path: Path, side: dict[str, Any], **model: Any) -> Path:
    """A folder of a Transformer that was not trained and writes words, as a trained one does."""
    made = load_folder(
        save_folder(path, TRANSFORMER | SIZES | model, {}, {"max_tokens": 90} | side)
    )
    names = made.target.tokens(range(len(made.target)))
    with torch.no_grad():
        for i, name in enumerate(names):
            made.model.output.bias[i] -= 60.0 * (i in (PAD, UNK, BOS) or name in BYTES)
    save_weights(path, made.model, made.source, made.target)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_transformer(tmp_path_factory.mktemp("made") / "xx-yy", SUBWORDS)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["word", "char", "bpe", "unigram"])
@pytest.mark.parametrize("shared", [False, True])
def test_ctranslate2_says_and_scores_as_dragoman(tmp_path: Path, level: str, shared: bool) -> None:
    program = pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    sizes = {"tied_output": shared, "shared_embeddings": shared}
    side = {"level": level, "vocabulary": 340, "byte_fallback": level in ("bpe", "unigram")}
    made = save_transformer(tmp_path / "m", side, **sizes)
    found = export_ctranslate2(made, tmp_path / "c", PAIRS, licence="CC BY 4.0")
    assert found == {"parity": {"lines": len(PAIRS), "equal_outputs": 1.0}}
    assert (tmp_path / "c" / "README.md").read_text("utf-8").endswith("\nLicence: CC BY 4.0\n")
    model, translator = load(made), program.Translator(str(tmp_path / "c"))
    source, target = (
        [model.folder.source.tokens(ids) for ids in model.folder.source.encode(list(texts))]
        for texts in zip(*PAIRS, strict=True)
    )
    theirs = [sum(one.log_probs) for one in translator.score_batch(source, target)]
    ours = [one.hypothesis.log_prob for one in model.score(PAIRS)]
    np.testing.assert_allclose(theirs, ours, rtol=1e-4)


@pytest.mark.slow
def test_a_package_answers_as_its_folder(folder: Path, tmp_path: Path) -> None:
    program = pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    pieces = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    place, sizes = tmp_path / "made.argosmodel", []
    for int8 in (True, False):  # the second replaces the first
        found = export_ctranslate2(folder, place, PAIRS, languages=("de", "en"), int8=int8)
        assert found["parity"]["lines"] == len(PAIRS) and list(tmp_path.iterdir()) == [place]
        sizes.append(place.stat().st_size)
    assert sizes[0] < sizes[1] and found["parity"]["equal_outputs"] == 1.0
    with zipfile.ZipFile(place) as file:
        file.extractall(tmp_path / "u")
    home = tmp_path / "u" / "translate-de_en-1_0"
    facts = json.loads((home / "metadata.json").read_text())
    assert (facts["from_code"], facts["to_code"]) == ("de", "en")
    assert "A **card**." in (home / "README.md").read_text()
    # As Argos Translate does: SentencePiece cuts the source, and joins what CTranslate2 answers.
    processor = pieces.SentencePieceProcessor(model_file=str(home / "sentencepiece.model"))
    lines = ["w1 w2 Ü", "w3, w4  日本\u00a0w5", *(source for source, _ in PAIRS)]
    cut = processor.encode(lines, out_type=str)
    translator = program.Translator(str(home / "model"))
    answers = translator.translate_batch(cut, beam_size=1, max_decoding_length=30)
    theirs = [processor.decode_pieces(one.hypotheses[0]).strip() for one in answers]
    told = load(folder).translate(lines, beam=1, max_ratio=0.0, max_added=29)
    assert theirs == [one.text for one in told] and all(theirs)


@pytest.mark.parametrize("side", SIDES, ids=str)
def test_sentencepiece_cuts_text_alike(
    side: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    pieces = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    options = replace(SideOptions(), vocabulary=420, byte_fallback=True, **side)
    tokenizer = train_tokenizer(TEXTS * 3, options)
    names = tokenizer.tokens(range(len(tokenizer)))
    place = tmp_path_factory.mktemp("package")
    write_package(place, tokenizer, options, ("de", "en"))
    model = pieces.SentencePieceProcessor(model_file=str(place / "sentencepiece.model"))

    letters = "abzABZİIıσςéÉếß½ﬁ한국日😀.,!?'()0123 \t\n\u00a0\u200b\u0301\u0302"

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.one_of(st.sampled_from(TEXTS), st.text(letters, max_size=12)))
    def cuts_alike(text: str) -> None:
        ours = [names[i] for i in tokenizer.encode([text])[0]]
        theirs = [one if one in names else "<unk>" for one in model.encode(text, out_type=str)]
        assert theirs == ours

    cuts_alike()


OTHERS = [
    {},
    HYBRID,
    *(TRANSFORMER | one for one in ({"copy": True}, {"output_probabilities": "entmax"})),
]


@pytest.mark.parametrize("model", OTHERS, ids=str)
def test_other_models_are_refused_with_the_name_of_onnx(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: dict[str, Any]
) -> None:
    made = save_folder(tmp_path / "m", SIZES | model, {}, {})
    for to in ("ctranslate2", "argos"):
        assert main(["export", str(made), "--to", to, "--out", str(tmp_path / "o")]) == 2
        said = capsys.readouterr().err
        assert "--to: CTranslate2 runs only Transformers, and none that copies words" in said
        assert "(leave it out: ONNX Runtime runs a bundle)" in said
        assert not (tmp_path / "o").exists()


def test_tags_of_a_source_are_refused(tmp_path: Path) -> None:
    made = save_folder(tmp_path / "m", TRANSFORMER | SIZES, {}, SUBWORDS, tags=["1 de"])
    with pytest.raises(OptionError, match="--to: CTranslate2 runs .* none that .* reads tags"):
        export_ctranslate2(made, tmp_path / "o", PAIRS)


@pytest.mark.parametrize(
    ("side", "languages", "said"),
    [
        ({"level": "word"}, ("de", "en"), ".* .level bpe or unigram on both"),
        (SUBWORDS | {"byte_fallback": False}, ("de", "en"), "byte_fallback"),
        (SUBWORDS | {"keep_only": "a-z"}, ("de", "en"), "a source without keep_only"),
        (SUBWORDS | {"lowercase": True, "casing": "greek"}, ("de", "en"), "and Greek case"),
        (SUBWORDS, ("source", "target"), r"has languages \(--languages fr:en\)"),
    ],
)
def test_what_a_package_cannot_say_is_refused(
    tmp_path: Path, side: dict[str, Any], languages: tuple[str, str], said: str
) -> None:
    made = save_folder(tmp_path / "m", TRANSFORMER | SIZES, {}, side)
    with pytest.raises(OptionError, match=f"--to argos: a package .*{said}"):
        export_ctranslate2(made, tmp_path / "o", PAIRS, languages=languages)
    assert not (tmp_path / "o").exists()


def test_outputs_that_differ_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    from ctranslate2.converters import opennmt_py

    right = opennmt_py.set_linear

    def negated(spec: Any, tensors: dict[str, torch.Tensor], name: str) -> None:
        right(spec, {at: -tensor for at, tensor in tensors.items()}, name)

    monkeypatch.setattr(opennmt_py, "set_linear", negated)
    with pytest.raises(DataError, match=r"CTranslate2: only \d+\.\d% of the outputs are the fold"):
        export_ctranslate2(folder, tmp_path / "o", PAIRS)
    assert not (tmp_path / "o").exists()
    found = export_ctranslate2(folder, tmp_path / "o", PAIRS, int8=True)
    assert found["parity"]["equal_outputs"] < 0.99


def test_other_files_bundles_and_zip_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    with pytest.raises(OptionError, match="holds other files"):
        export_ctranslate2(folder, folder, PAIRS)
    export(folder, tmp_path / "b", PAIRS, shortlist=False)
    with pytest.raises(UsageError, match="a bundle cannot be exported"):
        export_ctranslate2(tmp_path / "b", tmp_path / "o", PAIRS)
    asked = ["export", str(folder), "--to", "ctranslate2", "--out", str(tmp_path / "o"), "--zip"]
    assert main(asked) == 2
    assert "--zip: a site is a folder, as is a model" in capsys.readouterr().err


def test_a_missing_package_names_its_command(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dragoman\[ecosystem\]'"):
        export_ctranslate2(folder, tmp_path / "o", PAIRS)
