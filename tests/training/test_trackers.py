"""Trackers: what they were sent is read back from their own files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.errors import MissingExtraError, TrainingError
from dragoman.runs.history import History
from dragoman.training import observer
from dragoman.training.observer import Measured, Trackers

PAIRS = "".join(f"{a} {b}\t{b} {a}\n" for a in "abcdefgh" for b in "ijklmnop")


def options(**training: object) -> Config:
    given = {
        "steps": 12,
        "validate_every": 6,
        "report_every": 2,
        "batch_tokens": 64,
        "precision": "fp32",
    } | training
    return merge(Config(), {"model": {"embedding": 8, "hidden": 16}, "training": given}, place="t")


def trained(place: Path, config: Config) -> History:
    (place / "p.tsv").write_text(PAIRS, encoding="utf-8")
    dragoman.train(place / "p.tsv", place / "m", config)
    return History.of(place / "m")


def wanted(history: History) -> dict[str, list[tuple[int, float]]]:
    """Every number that was logged, as curves."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in history.rows:
        for name, value in row.items():
            if name != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                curves.setdefault(f"{row['kind']}/{name}", []).append((row["step"], value))
    return curves


@pytest.mark.slow
def test_tensorboard_has_options_and_curves_of_both_commands(tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    trained(tmp_path, options(track=("tensorboard",)))
    history = trained(tmp_path, options(track=("tensorboard",), steps=20))
    folder = tmp_path / "m" / "tensorboard"
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    curves = wanted(history)
    assert set(events.Tags()["scalars"]) == set(curves) and "train/gradient_norm_encoder" in curves
    for name, points in curves.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in found] == [step for step, _ in points], name
        assert [v for _, v in found] == pytest.approx([v for _, v in points], rel=1e-6), name
    assert [row["step"] for row in history.kind("train")] == list(range(2, 21, 2))
    written = [path.read_text("utf-8") for path in folder.rglob("hparams.yml")]
    assert len(written) == 2  # one a command
    assert all("model.hidden: 16" in text for text in written)


@pytest.mark.slow
def test_mlflow_has_options_and_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # its own local files, not its database
    trained(tmp_path, options(track=("mlflow",)))
    history = trained(tmp_path, options(track=("mlflow",), steps=20))
    client = mlflow.MlflowClient()
    (experiment,) = mlflow.search_experiments(filter_string="name = 'dragoman'")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.run_name for run in runs] == ["m", "m"]  # one a command
    assert all(run.data.params["model.hidden"] == "16" for run in runs)
    for name, points in wanted(history).items():
        parts = [client.get_metric_history(run.info.run_id, name) for run in runs]
        found = [(m.step, m.value) for part in parts for m in part]
        assert sorted(found) == sorted(points), name


def test_a_missing_package_is_named_before_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"'wandb' \(pip install 'dragoman\[track\]'\)"):
        dragoman.train(tmp_path / "no such file", tmp_path / "m", options(track=("wandb",)))
    assert not (tmp_path / "m").exists()


class Broken:
    """A tracker whose network is down."""

    def __init__(self, *fails: str) -> None:
        self.fails, self.tracker = fails, None
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*_: object, **__: object) -> None:
            self.calls.append(name)
            if name in self.fails:
                raise RuntimeError("no\nroute")

        return call


def test_a_tracker_that_does_not_start_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "_build", lambda *_: Broken("start"))
    with pytest.raises(TrainingError, match=r"tensorboard does not start: no route \(set it up"):
        Trackers(tmp_path, options(track=("tensorboard",)), 0, print)


def test_a_tracker_that_fails_is_left_out_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, said = Broken("log"), []
    monkeypatch.setattr(observer, "_build", lambda *_: broken)
    used = Trackers(tmp_path, options(track=("tensorboard",)), 0, said.append)
    for step in (1, 2):
        used(Measured({"kind": "train", "step": step, "loss": 1.0}))
    used.close()
    assert said == ["tensorboard is left out from here, it fails: no route"]
    assert broken.calls == ["start", "store_init_configuration", "log"]
