"""Runs that are stopped and go on: to the same bits, or with options that may change."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.toml import from_toml, merge
from dragoman.errors import FolderError, OptionError
from dragoman.layout import STATE
from dragoman.training import folder as room
from dragoman.training import loop
from dragoman.training.checkpoint import checkpoints
from dragoman.training.run import train
from dragoman.training.state import Run
from tools.differences import differences

pytestmark = pytest.mark.slow

PAIRS = [f"a{i} b{j}\tB{j} A{i}" for i in range(12) for j in range(10)]
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("\n".join(PAIRS) + "\n", encoding="utf-8")
    return path


def options(**training: Any) -> Config:
    given = {
        "steps": 6,
        "batching": "sentences",
        "batch_sentences": 12,
        "validate_every": 50,
        "report_every": 1,
        "precision": "fp32",
        "learning_rate": 0.01,
        "warmup": 0,
        "schedule": "constant",
    } | training
    small = {"embedding": 8, "hidden": 8, "dropout": 0.2}
    return merge(Config(), {"model": small, "training": given}, place="test")


def rows(out: Path, kind: str = "train") -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text("utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def said(pairs: Path, out: Path, config: Config) -> str:
    """Train, and give back what was said."""
    text = io.StringIO()
    train([pairs], out, config, console=Console(file=text, width=200))
    return text.getvalue()


def test_a_run_goes_on_with_another_rate_and_keeps_it(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(), console=QUIET)
    told = said(pairs, out, options(steps=8, learning_rate=0.004))
    again = said(pairs, out, options(steps=9, learning_rate=0.004))
    assert [row["learning_rate"] for row in rows(out)] == [0.01] * 6 + [0.004] * 3
    notes = [
        "From step 6 on: training.steps 8 (before: 6).",
        "From step 6 on: training.learning_rate 0.004 (before: 0.01).",
        "From step 8 on: training.steps 9 (before: 8).",
    ]
    assert all(note in told for note in notes[:2])
    assert notes[2] in again and "learning_rate" not in again
    record = json.loads((out / "run.json").read_text("utf-8"))
    assert record["notes"][-3:] == notes
    assert record["asked"]["training.learning_rate"] == 0.004
    assert from_toml(out / "config.toml").training.learning_rate == 0.004
    assert [row["step"] for row in rows(out, "start")] == [0, 6, 8]


def test_an_option_that_is_given_no_longer_is_chosen_from_the_data(
    pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=1), console=QUIET)
    auto = options(steps=2, learning_rate="auto", schedule="auto", validate_every="auto")
    train([pairs], out, auto, console=QUIET)
    found = from_toml(out / "config.toml").training
    assert (found.learning_rate, found.schedule, found.validate_every) == (0.002, "cosine", 100)


def test_an_epoch_cut_into_other_batches_goes_on_at_the_same_share(
    pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=6), console=QUIET)  # of 9 batches of 12: 108 pairs
    state = json.loads((checkpoints(out)[-1] / STATE).read_text("utf-8"))
    assert (state["batch"], state["batches"]) == (6, 9)
    train([pairs], out, options(steps=9, batch_sentences=4), console=QUIET)
    state = json.loads((checkpoints(out)[-1] / STATE).read_text("utf-8"))
    assert (state["batch"], state["batches"]) == (18 + 3, 27)


def test_a_checkpoint_of_an_earlier_version_at_the_end_of_an_epoch_goes_on_to_the_same_bits(
    pairs: Path, tmp_path: Path
) -> None:
    train([pairs], tmp_path / "now", options(steps=9), console=QUIET)  # all batches of an epoch
    shutil.copytree(tmp_path / "now", tmp_path / "then")
    file = checkpoints(tmp_path / "then")[-1] / STATE
    state = json.loads(file.read_text("utf-8"))
    assert (state["epoch"], state["batch"], state["batches"]) == (1, 0, 9)
    file.write_text(json.dumps(state | {"epoch": 0, "batch": 9}), encoding="utf-8")
    for name in ("now", "then"):
        train([pairs], tmp_path / name, options(steps=12), console=QUIET)
    now, then = ([row["loss"] for row in rows(tmp_path / name)] for name in ("now", "then"))
    assert now == then and len(now) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "with other options: training.seed was 1, now 2 .give the same options"),
        ({"momentum": 0.9, "optimizer": "sgd"}, "optimizer was 'adam', now 'sgd'.*momentum"),
        ({"learning_rate": 0.5, "metric": "bleu"}, "options: training.metric was 'auto', now"),
    ],
)
def test_other_changes_are_refused_and_change_nothing(
    pairs: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=1), console=QUIET)
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    with pytest.raises(OptionError, match=message):
        train([pairs], out, options(steps=2, **change), console=QUIET)
    assert {path: path.read_bytes() for path in before} == before


def test_what_was_chosen_may_be_asked_for(pairs: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "m", options(steps=2)
    train([pairs], out, options(steps=1), console=QUIET)
    luong, other = (merge(config, {"model": {"attention": a}}, place="") for a in ("luong", "none"))
    assert "resuming at step 1" in said(pairs, out, luong)
    with pytest.raises(OptionError, match="model.attention was 'auto', now 'none'"):
        train([pairs], out, other, console=QUIET)
    assert "nothing to do" in said(pairs, out, config)


def test_every_changeable_option_is_one(pairs: Path) -> None:
    known = set(room.plain(Config()))
    assert known >= room.CHANGEABLE


@pytest.mark.parametrize(
    ("name", "value"),
    [("asked", []), ("notes", None), ("notes", [1]), ("held_out", "x"), ("digests", [])],
)
def test_a_record_of_other_kinds_is_damaged(
    pairs: Path, tmp_path: Path, name: str, value: object
) -> None:
    train([pairs], tmp_path / "m", options(steps=1), console=QUIET)
    record = json.loads((tmp_path / "m" / "run.json").read_text("utf-8"))
    (tmp_path / "m" / "run.json").write_text(json.dumps(record | {name: value}), "utf-8")
    with pytest.raises(FolderError, match="run.json is missing or damaged"):
        train([pairs], tmp_path / "m", options(steps=2))


def test_tokenizers_of_another_run_are_refused(pairs: Path, tmp_path: Path) -> None:
    train([pairs], tmp_path / "m", options(steps=1), console=QUIET)
    shutil.copy(tmp_path / "m" / "target.json", tmp_path / "m" / "source.json")
    with pytest.raises(FolderError, match="m: source.json is not what was prepared here"):
        train([pairs], tmp_path / "m", options(steps=2), console=QUIET)


def test_exchanged_shards_are_refused(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.data.text.CHUNK", 10)
    monkeypatch.setattr("dragoman.data.text.SHARD", 5)
    train([pairs], tmp_path / "m", options(steps=1), console=QUIET)
    one, other, aside = (
        tmp_path / "m" / "corpus" / n for n in ("train.arrow", "train-1.arrow", "x")
    )
    for old, new in ((one, aside), (other, one), (aside, other)):
        old.rename(new)
    with pytest.raises(FolderError, match="m: corpus is not what was prepared here"):
        train([pairs], tmp_path / "m", options(steps=2), console=QUIET)


@pytest.mark.parametrize("cut", ["config.toml", "run.json"])
def test_a_change_that_was_cut_short_is_made_and_noted(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    out, real = tmp_path / "m", room.write_text
    train([pairs], out, options(steps=1), console=QUIET)

    def killed(path: Path, text: str) -> None:
        if path.name == cut:
            raise KeyboardInterrupt
        real(path, text)

    monkeypatch.setattr(room, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        train([pairs], out, options(steps=1, clip=0.5), console=QUIET)
    monkeypatch.undo()
    train([pairs], out, options(steps=1, clip=0.5), console=QUIET)
    assert from_toml(out / "config.toml").training.clip == 0.5
    notes = json.loads((out / "run.json").read_text("utf-8"))["notes"]
    assert [note for note in notes if "clip" in note] == [
        "From step 1 on: training.clip 0.5 (before: 1.0)."
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"epochs": 9, "steps": 0, "scheduled_sampling": "token", "sampling_schedule": "linear"},
        {"objective": "sampled", "samples": 8, "label_smoothing": 0.0},
        {"batching": "buckets", "buckets": [[5, 5]], "validate_every": "epoch"},
        {"validate_every": 4, "save_every": 3},
    ],
    ids=str,
)
def test_a_stop_changes_nothing(pairs: Path, tmp_path: Path, more: dict[str, Any]) -> None:
    """As many steps with a stop after the fifth as without, to the bit."""
    for name, stops in (("whole", (10,)), ("parts", (5, 10))):
        for stop in stops:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(loop, "ended", lambda run, to=stop: _stop_at(run, to))
                config = options(**{"threads": 1, "steps": 20} | more)
                train([pairs], tmp_path / name, config, console=QUIET)
    assert differences(tmp_path / "parts", tmp_path / "whole") == []
    state = checkpoints(tmp_path / "parts")[-1] / STATE  # that the comparison sees a difference
    state.write_text(state.read_text().replace('"batch": 1', '"batch": 7'))
    assert differences(tmp_path / "parts", tmp_path / "whole") == ["state.json: batch"]


def test_a_step_is_in_the_metrics_once_wherever_its_run_was_killed(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a validation and the checkpoint after it, the checkpoint before it may be as far."""
    config = options(steps=6, save_every=6, report_every=3)
    saves: list[int] = []
    real = loop.save_checkpoint

    def killed(folder: Path, model: Any, optimizer: Any, state: Any, keep: int) -> None:
        saves.append(state.step)
        if len(saves) == 2:  # the checkpoint after the last validation
            raise KeyboardInterrupt
        real(folder, model, optimizer, state, keep)

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        train([pairs], tmp_path / "m", config, console=QUIET)
    assert saves == [6, 6]
    monkeypatch.undo()
    train([pairs], tmp_path / "m", config, console=QUIET)
    for kind, steps in (("train", [3, 6]), ("validation", [6])):
        assert [row["step"] for row in rows(tmp_path / "m", kind)] == steps


def test_weights_of_a_run_that_is_not_validated_are_its_last(pairs: Path, tmp_path: Path) -> None:
    last = {}
    for step in (2, 4):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "ended", lambda run, to=step: _stop_at(run, to))
            train([pairs], tmp_path / "m", options(steps=9), console=QUIET)
        last[step] = (tmp_path / "m" / "model.safetensors").read_bytes()
    assert last[2] != last[4]


def _stop_at(run: Run, step: int) -> str:
    return "stopped by SIGTERM" if run.state.step >= step else ""


def test_only_what_was_asked_for_makes_another_run(pairs: Path, tmp_path: Path) -> None:
    """A later version's new options and other defaults do not."""
    train([pairs], tmp_path / "m", options(steps=1), console=QUIET)
    asked = json.loads((tmp_path / "m" / "run.json").read_text("utf-8"))["asked"]
    assert "search.beam" not in asked and "training.optimizer" not in asked
    assert asked["model.hidden"] == 8
