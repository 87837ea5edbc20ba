"""A Transformer, and one that reads for an RNN, in everything that is done with a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dragoman
from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.export.bundle import export

pytestmark = pytest.mark.slow
WORDS = {"un": "one", "deux": "two", "trois": "three", "quatre": "four", "cinq": "five"}
LINES = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS]
RIGHT = [" ".join(WORDS[word] for word in reversed(line.split())) for line in LINES]
SIZES: dict[str, dict[str, Any]] = {
    "recurrent": {"hidden": 48, "embedding": 24},
    "transformer": {"hidden": 48, "transformer": {"decoder_layers": 1, "encoder_layers": 2}},
    "hybrid": {"hidden": 48, "transformer": {"encoder_layers": 2}},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of every family, on the same pairs."""
    home = tmp_path_factory.mktemp("families")
    pairs = zip(LINES, RIGHT, strict=True)
    (home / "p.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in pairs), "utf-8")
    for family, sizes in SIZES.items():
        options: dict[str, Any] = {
            "model": {"family": family, "dropout": 0.1, **sizes},
            "source": {"level": "word"},
            "target": {"level": "word"},
            "data": {"validation": 12},
            "training": {"steps": 300, "batch_tokens": 200, "learning_rate": 0.003},
        }
        options["training"] |= {"validate_every": 150, "warmup": 50, "precision": "fp32"}
        config = merge(Config(), options, place="test")
        dragoman.train(home / "p.tsv", home / family, config)
    return home


@pytest.fixture(params=["transformer", "hybrid"])
def folder(home: Path, request: pytest.FixtureRequest) -> Path:
    return home / str(request.param)


def test_it_learns_its_task_and_says_so(folder: Path) -> None:
    model = dragoman.load(folder)
    texts = [answer.text for answer in model.translate(LINES)]
    assert sum(a == b for a, b in zip(texts, RIGHT, strict=True)) > 110
    card = (folder / "README.md").read_text("utf-8")
    assert f"of the family {folder.name}: 2 Transformer layers of 4 heads" in card
    assert model.evaluate().outputs


def test_attention_is_explained_and_aligned(folder: Path, tmp_path: Path) -> None:
    model, line = dragoman.load(folder), "un deux trois"
    found = model.explain(line)
    weights = found["weights"]  # [B, T, S]
    assert weights.shape[1:] == (4, 4)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    told = json.loads(found.to_json())
    assert len(told["examples"][0]["steps"][0]["weights"]) == 4
    names = {"encoder layer 1", "encoder layer 2", "encoder states", "features"}
    names |= {"attentional vector"} if folder.name == "hybrid" else {"decoder layer 1"}
    assert names - {"features"} <= told["values"].keys()
    assert "trois" in found.to_html()
    (answer,) = model.translate([line], attention=True)
    best = answer.hypotheses[0]
    assert best.weights is not None
    np.testing.assert_allclose(best.weights, weights[0], atol=1e-4)  # ONNX Runtime and torch
    picture = tmp_path / "map.png"
    assert main(["explain", str(folder), line, "--attention", str(picture)]) == 0
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("int8", [False, True])
def test_a_bundle_says_what_its_folder_says(folder: Path, tmp_path: Path, int8: bool) -> None:
    facts = export(folder, tmp_path / "b", int8=int8)
    assert facts["parity"]["largest_difference"] < (1 if int8 else 1e-4)
    model, other = dragoman.load(folder), dragoman.load(tmp_path / "b")
    for beam in (1, 4):
        both = (one.translate(LINES, beam=beam) for one in (model, other))
        same = [a.text == b.text for a, b in zip(*both, strict=True)]
        assert sum(same) >= (len(LINES) if not int8 else 100)


def test_families_answer_together(home: Path) -> None:
    model = dragoman.load(*(home / family for family in SIZES))
    for options in ({"beam": 1}, {"beam": 4, "n_best": 2}, {"batch_size": 3}):
        texts = [answer.text for answer in model.translate(LINES, **options)]
        assert sum(a == b for a, b in zip(texts, RIGHT, strict=True)) > 115


def test_a_part_of_another_model_starts_it(home: Path, tmp_path: Path) -> None:
    """The encoder of a Transformer goes on under an RNN."""
    options = {
        "model": {"family": "hybrid", "dropout": 0.1, **SIZES["hybrid"]},
        "training": {"steps": 2, "start_from": str(home / "transformer"), "parts": ["encoder"]},
    }
    config = merge(Config(), options, place="test")
    dragoman.train(home / "p.tsv", tmp_path / "m", config)
    assert dragoman.load(tmp_path / "m").translate(["un"])[0].text is not None
