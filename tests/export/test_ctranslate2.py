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
from dragoman.export import ctranslate2 as exported
from dragoman.export.argos import require_sentencepiece, sentencepiece_model, vocabulary
from dragoman.export.bundle import export
from dragoman.export.ctranslate2 import export_ctranslate2
from dragoman.model.folder import load_folder, save_weights
from sites import PAIRS, save_folder
from tiny import HYBRID, TRANSFORMER

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
    sizes = {"embedding": 32, "hidden": 32, **model}
    made = load_folder(save_folder(path, TRANSFORMER | sizes, {}, {"max_tokens": 90} | side))
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
    names = [token for token, _ in vocabulary(model.folder.source)]
    source, target = (
        [[names[i] for i in ids] for ids in model.folder.source.encode(list(texts))]
        for texts in zip(*PAIRS, strict=True)
    )
    theirs = [sum(one.log_probs) for one in translator.score_batch(source, target)]
    ours = [one.hypothesis.log_prob for one in model.score(PAIRS)]
    np.testing.assert_allclose(theirs, ours, rtol=1e-4)


@pytest.mark.slow
def test_a_package_answers_as_its_folder(folder: Path, tmp_path: Path) -> None:
    program = pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    pieces = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    place = tmp_path / "made.argosmodel"
    for options in ({}, {"int8": True}):
        found = export_ctranslate2(folder, place, PAIRS, languages=("de", "en"), **options)
    assert found["parity"]["lines"] == len(PAIRS) and list(tmp_path.iterdir()) == [place]
    with zipfile.ZipFile(place) as file:
        file.extractall(tmp_path / "u")
    home = tmp_path / "u" / "translate-de_en-1_0"
    facts = json.loads((home / "metadata.json").read_text())
    assert (facts["from_code"], facts["to_code"]) == ("de", "en")
    assert "A **card**." in (home / "README.md").read_text()
    weights = (home / "model" / "model.bin").stat().st_size
    export_ctranslate2(folder, tmp_path / "c", PAIRS)
    assert weights < (tmp_path / "c" / "model.bin").stat().st_size
    cut = pieces.SentencePieceProcessor(model_file=str(home / "sentencepiece.model"))
    (answer,) = program.Translator(str(home / "model")).translate_batch(
        [cut.encode("w1 w2 Ü", out_type=str)]
    )
    assert answer.hypotheses[0]


@pytest.mark.parametrize("side", SIDES, ids=str)
def test_sentencepiece_cuts_text_alike(side: dict[str, Any]) -> None:
    pieces = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    options = replace(SideOptions(), vocabulary=420, byte_fallback=True, **side)
    tokenizer = train_tokenizer(TEXTS * 3, options)
    names = [token for token, _ in vocabulary(tokenizer)]
    model = pieces.SentencePieceProcessor(model_proto=sentencepiece_model(tokenizer, options))

    letters = "abzABZİIıσςéÉếß½ﬁ한국日😀.,!?'()0123 \t\n\u00a0\u200b\u0301\u0302"

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.one_of(st.sampled_from(TEXTS), st.text(letters, max_size=12)))
    def cuts_alike(text: str) -> None:
        ours = [names[i] for i in tokenizer.encode([text])[0]]
        theirs = [one if one in names else "<unk>" for one in model.encode(text, out_type=str)]
        assert theirs == ours

    cuts_alike()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({}, "no model that is of the family 'recurrent' (leave it out: a bundle has ONNX graphs"),
        (HYBRID, "no model that is of the family 'hybrid'"),
        (TRANSFORMER | {"copy": True}, "no model that copies source words"),
    ],
)
def test_other_models_are_refused_with_the_name_of_onnx(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: dict[str, Any], said: str
) -> None:
    pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    made = save_folder(tmp_path / "m", {"embedding": 32, "hidden": 32} | model, {}, {})
    for to in ("ctranslate2", "argos"):
        assert main(["export", str(made), "--to", to, "--out", str(tmp_path / "o")]) == 2
        assert said in capsys.readouterr().err and not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("side", "languages", "said"),
    [
        ({"level": "word"}, ("de", "en"), "level bpe or unigram and byte_fallback on both sides"),
        (SUBWORDS | {"byte_fallback": False}, ("de", "en"), "byte_fallback on both sides"),
        (SUBWORDS | {"keep_only": "a-z"}, ("de", "en"), "a source without keep_only"),
        (SUBWORDS | {"lowercase": True, "casing": "greek"}, ("de", "en"), "without Greek"),
        (SUBWORDS, ("source", "target"), r"codes of its languages \(--languages fr:en\)"),
    ],
)
def test_what_a_package_cannot_say_is_refused(
    tmp_path: Path, side: dict[str, Any], languages: tuple[str, str], said: str
) -> None:
    found = load(save_folder(tmp_path / "m", {}, {}, side))
    with pytest.raises(OptionError, match=f"--to argos: a package needs .*{said}"):
        require_sentencepiece(found.config, found.folder.source, languages)


def test_tags_of_a_source_are_refused(tmp_path: Path) -> None:
    found = load(save_folder(tmp_path / "m", {}, {}, SUBWORDS, tags=["1 de"]))
    with pytest.raises(OptionError, match="a source without tags"):
        require_sentencepiece(found.config, found.folder.source, ("de", "en"))


def test_outputs_that_differ_are_refused_with_the_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ctranslate2", reason="needs ctranslate2")
    monkeypatch.setattr(exported, "LONGEST", 2)
    monkeypatch.setattr(exported, "PLACES", 64)
    with (
        monkeypatch.context() as other,
        pytest.raises(DataError, match=r"CTranslate2: .* equal; the first other is '.*', not '"),
    ):
        other.setattr(exported, "SOURCE_TABLE", exported.TARGET_TABLE)
        export_ctranslate2(folder, tmp_path / "o", PAIRS)
    assert not (tmp_path / "o").exists()


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
    assert "--zip: ctranslate2 reads no such file" in capsys.readouterr().err


def test_a_missing_package_names_its_command(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dragoman\[ecosystem\]'"):
        export_ctranslate2(folder, tmp_path / "o", PAIRS)
