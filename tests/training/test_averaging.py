"""The mean of checkpoints as a model of its own: its confidence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import dragoman
from dragoman.api import Model
from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.errors import FolderError, OptionError
from dragoman.evaluation.confidence import fit_confidence, load_confidence
from dragoman.evaluation.examples import held_out_examples
from dragoman.model.folder import load_folder


@pytest.mark.slow
def test_an_average_has_a_confidence_fitted_to_its_own_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "abcdefghijklmnopqrstuvwxyz"
    lines = [f"{a} {b}\t{b} {a}" for a in words for b in words]
    (tmp_path / "p.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = {
        "model": {"embedding": 16, "hidden": 32},
        "training": {"steps": 100, "save_every": 50, "validate_every": 50, "learning_rate": 0.02},
    }
    folder, out = tmp_path / "m", tmp_path / "mean"
    dragoman.train(tmp_path / "p.tsv", folder, merge(Config(), options, place="test"))
    dragoman.average(folder, out)
    found = load_confidence(out)
    assert found is not None and found != load_confidence(folder)
    model, held_out = Model(load_folder(out)), held_out_examples(folder)  # torch fitted it
    pairs = [(s, t) for s, (t,) in zip(held_out.sources, held_out.references, strict=True)]
    translator, search = model.translator({})
    assert found == fit_confidence(translator, pairs, search)
    (tmp_path / "in").write_text("a b\n", encoding="utf-8")
    asked = ["translate", str(out), "--input", str(tmp_path / "in"), "--min-confidence", "0.5"]
    assert main(asked) == 0

    for wrong in ({"last": 3}, {"steps": [50, 60]}):
        with pytest.raises(FolderError, match=r"m: lacks checkpoints .* there are \[50, 100\]"):
            dragoman.average(folder, tmp_path / "new", **wrong)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="mean: is there already"):
        dragoman.average(folder, out)
    with pytest.raises(OptionError, match="--out: no such folder: .*nowhere"):
        dragoman.average(folder, tmp_path / "nowhere" / "mean")

    shutil.rmtree(folder / "corpus")
    dragoman.average(folder, tmp_path / "without")
    assert load_confidence(tmp_path / "without") is None
    capsys.readouterr()
    assert main([asked[0], str(tmp_path / "without"), *asked[2:]]) == 2
    assert "fitted to held-out pairs (train or average a run with" in capsys.readouterr().err
    assert main([*asked[:2], str(out), *asked[2:]]) == 2
    assert "an ensemble has no confidence: confidence.json is" in capsys.readouterr().err
