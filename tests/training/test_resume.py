"""Runs that go on with other options, and the proof that a stop changes nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dragoman.cli import train as cli
from dragoman.config.options import Config
from dragoman.config.toml import from_toml, merge
from dragoman.errors import FolderError, OptionError, TrainingError
from dragoman.layout import STATE
from dragoman.lock import locked
from dragoman.training import loop, resume, verify
from dragoman.training.checkpoint import checkpoints
from dragoman.training.run import train

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


def test_a_run_goes_on_with_another_rate_and_keeps_it(pairs: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "m", io.StringIO()
    train([pairs], out, options(), console=QUIET)
    train(
        [pairs],
        out,
        options(steps=8),
        console=Console(file=said, width=200),
        resume_with={"learning-rate": 0.004},
    )
    train([pairs], out, options(steps=9), console=QUIET)
    assert [row["learning_rate"] for row in rows(out)] == [0.01] * 6 + [0.004] * 3
    note = "From step 6 on: training.learning_rate 0.004 (before: 0.01)."
    assert note in said.getvalue()
    assert json.loads((out / "run.json").read_text("utf-8"))["notes"][-1] == note
    assert from_toml(out / "config.toml").training.learning_rate == 0.004


def test_an_epoch_cut_into_other_batches_goes_on_at_the_same_share(
    pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=6), console=QUIET)  # of 9 batches of 12: 108 pairs
    state = json.loads((checkpoints(out)[-1] / STATE).read_text("utf-8"))
    assert (state["batch"], state["batches"]) == (6, 9)
    change = {"training.batch_sentences": 4}
    train([pairs], out, options(steps=9), console=QUIET, resume_with=change)
    state = json.loads((checkpoints(out)[-1] / STATE).read_text("utf-8"))
    assert (state["batch"], state["batches"]) == (18 + 3, 27)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 16}, "cannot go on with another model.hidden .begin another; these can change"),
        ({"training.steps": 9}, "training.steps may change at any time .give --steps itself"),
        ({"rate": 9}, "there is no option 'rate'"),
        ({"momentum": 0.9}, "cannot go on with another training.momentum"),  # of no state yet
        ({"learning_rate": 10**400}, "learning_rate cannot be 1000"),
        ({3: 4}, "there is no option 3"),
        ({"learning_rate": "auto"}, "learning_rate cannot be 'auto' in a run that was begun"),
        ({"learning_rate": "fast"}, "learning_rate cannot be 'fast'"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_changes_that_make_no_sense_are_refused_and_change_nothing(
    pairs: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=1), console=QUIET)
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    with pytest.raises(OptionError, match=message):
        train([pairs], out, options(steps=2), console=QUIET, resume_with=changes)
    assert {path: path.read_bytes() for path in before} == before


def test_a_changed_command_is_told_how_to_go_on(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=1), console=QUIET)
    with pytest.raises(OptionError, match="--resume-with learning_rate=0.5 to change that"):
        train([pairs], out, options(steps=2, learning_rate=0.5), console=QUIET)
    with pytest.raises(OptionError, match="--resume-with clip_parts=true 'watch=.\"a b\".' to"):
        train([pairs], out, options(steps=2, clip_parts=True, watch=["a b"]), console=QUIET)
    with pytest.raises(OptionError, match="now 'auto' .give the same options to resume it, or"):
        train([pairs], out, options(steps=2, learning_rate="auto"), console=QUIET)
    with pytest.raises(OptionError, match="training.seed was 1, now 2.*or another --out"):
        train([pairs], out, options(steps=2, learning_rate=0.5, seed=2), console=QUIET)


def test_there_must_be_a_run_to_go_on_with(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there is no run in .*m to go on with"):
        train([pairs], tmp_path / "m", options(), resume_with={"learning_rate": 0.1})
    assert not (tmp_path / "m").exists()
    with pytest.raises(OptionError, match="'learning_rate' is no option with a value"):
        cli.main([str(pairs), "--out", str(tmp_path / "m"), "--resume-with", "learning_rate"])


def test_the_command_line_reads_changes(pairs: Path, tmp_path: Path) -> None:
    command = [
        str(pairs),
        "--out",
        str(tmp_path / "m"),
        "--embedding",
        "8",
        "--hidden",
        "8",
        "--threads",
        "1",
        "--validate-every",
        "50",
    ]
    assert cli.main([*command, "--steps", "1"]) == 0
    change = ["--resume-with", "clip=0.5", "schedule=constant", 'watch=["a1 b2"]']
    assert cli.main([*command, "--steps", "2", *change]) == 0
    found = from_toml(tmp_path / "m" / "config.toml").training
    assert (found.clip, found.schedule, found.watch) == (0.5, "constant", ("a1 b2",))


@pytest.mark.parametrize(
    ("name", "value"), [("asked", []), ("notes", None), ("notes", [1]), ("held_out", "x")]
)
def test_a_record_of_other_kinds_is_damaged(
    pairs: Path, tmp_path: Path, name: str, value: object
) -> None:
    train([pairs], tmp_path / "m", options(steps=1), console=QUIET)
    record = json.loads((tmp_path / "m" / "run.json").read_text("utf-8"))
    (tmp_path / "m" / "run.json").write_text(json.dumps(record | {name: value}), "utf-8")
    with pytest.raises(FolderError, match="run.json is missing or damaged"):
        train([pairs], tmp_path / "m", options(steps=2), resume_with={"clip": 0.5})


def test_a_change_that_was_cut_short_is_made_and_noted(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, change = tmp_path / "m", resume.write_text, {"clip": 0.5}
    train([pairs], out, options(steps=1), console=QUIET)

    def killed(path: Path, text: str) -> None:
        if path.name == "config.toml":
            raise KeyboardInterrupt
        real(path, text)

    monkeypatch.setattr(resume, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        train([pairs], out, options(steps=2), console=QUIET, resume_with=change)
    monkeypatch.undo()
    train([pairs], out, options(steps=2), console=QUIET, resume_with=change)
    assert from_toml(out / "config.toml").training.clip == 0.5
    notes = json.loads((out / "run.json").read_text("utf-8"))["notes"]
    assert [note for note in notes if "clip" in note] == [
        "From step 1 on: training.clip 0.5 (before: 1.0)."
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"epochs": 9, "steps": 0, "scheduled_sampling": "token", "sampling_schedule": "linear"},
        {"steps": 0, "budget": "20s", "objective": "sampled", "samples": 8, "label_smoothing": 0.0},
        {"batching": "buckets", "buckets": [[5, 5]], "validate_every": "epoch"},
    ],
)
def test_every_kind_of_run_goes_on_to_the_same_bits(
    pairs: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    asked = options(threads=1, **more)
    assert verify.verify_resume([pairs], tmp_path / "m", asked, print).differences == ()


def test_weights_of_a_run_that_is_not_validated_are_its_last(pairs: Path, tmp_path: Path) -> None:
    last = {}
    for step in (2, 4):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "ended", lambda run, to=step: _stop_at(run, to))
            train([pairs], tmp_path / "m", options(steps=9), console=QUIET)
        last[step] = (tmp_path / "m" / "model.safetensors").read_bytes()
    assert last[2] != last[4]


def _stop_at(run: loop.Run, step: int) -> str:
    return "stopped by SIGTERM" if run.state.step >= step else ""


def test_only_what_was_asked_for_makes_another_run(pairs: Path, tmp_path: Path) -> None:
    """A later version's new options and other defaults do not."""
    train([pairs], tmp_path / "m", options(steps=1), console=QUIET)
    asked = json.loads((tmp_path / "m" / "run.json").read_text("utf-8"))["asked"]
    assert "search.beam" not in asked and "training.optimizer" not in asked
    assert asked["model.hidden"] == 8


@pytest.mark.parametrize("every", [4, 100])
def test_a_stop_is_proved_to_change_nothing(
    pairs: Path, tmp_path: Path, every: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m"
    command = [
        str(pairs),
        "--out",
        str(out),
        "--embedding",
        "8",
        "--hidden",
        "8",
        "--threads",
        "1",
        "--validate-every",
        str(every),
        "--steps",
        "3",
    ]
    with pytest.raises(OptionError, match="a proof changes nothing"):
        cli.main([*command, "--verify-resume", "--resume-with", "clip=0.5"])
    assert cli.main([*command, "--verify-resume"]) == 0
    assert "10 steps from step 0 on, with a stop" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert cli.main(command) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert cli.main([*command, "--verify-resume"]) == 0
    assert "10 steps from step 3 on, with a stop" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_proof_finds_what_was_not_saved(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, parts = verify._in_a_process, []

    def forgetful(folder: Path, step: int) -> None:
        parts.append(step)
        if len(parts) == 3:  # as if the position in the data had not been saved
            state = checkpoints(folder)[-1] / STATE
            values = json.loads(state.read_text("utf-8"))
            state.write_text(json.dumps(values | {"batch": 0}), "utf-8")
        real(folder, step)

    monkeypatch.setattr(verify, "_in_a_process", forgetful)
    proof = verify.verify_resume([pairs], tmp_path / "m", options(threads=1), print)
    assert parts == [10, 5, 10] and len(proof.losses) == 10
    assert "metrics.jsonl: step 6" in proof.differences
    assert "metrics.jsonl: step 5" not in proof.differences
    assert any("/optimizer.safetensors: " in text for text in proof.differences)
    monkeypatch.setattr(verify, "verify_resume", lambda *_: proof)
    with pytest.raises(
        TrainingError, match="with a stop and without, differ in metrics.jsonl: step 6"
    ):
        cli.main([str(pairs), "--out", str(tmp_path / "m"), "--verify-resume"])


def test_the_proof_says_when_it_cannot_be_made(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    train([pairs], out, options(steps=1), console=QUIET)
    with locked(out), pytest.raises(FolderError, match="another training is writing here"):
        verify.verify_resume([pairs], out, options(steps=1), print)
    for file in (out / "corpus").iterdir():
        file.write_bytes(b"")
    with pytest.raises(FolderError, match="corpus"):
        verify.verify_resume([pairs], out, options(steps=1), print)
    with pytest.raises(
        TrainingError, match="up to 3 failed: .*nowhere: cannot be resumed: "
    ) as told:
        verify._in_a_process(tmp_path / "nowhere", 3)
    assert "dragoman.errors" not in str(told.value)
    monkeypatch.setattr(verify.sys, "executable", "false")
    with pytest.raises(TrainingError, match="the steps up to 10 failed: it said nothing"):
        verify.verify_resume([pairs], tmp_path / "n", options(steps=1), print)
