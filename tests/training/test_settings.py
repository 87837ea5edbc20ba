"""A training and its surroundings: Accelerate's configuration, signals, a closed terminal, the
folder that a refused run leaves, and the budget that it was given."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

import dragoman
from dragoman.config.options import Config
from dragoman.config.toml import merge, to_toml
from dragoman.errors import OptionError
from dragoman.training import loop
from dragoman.training.distributed import Processes
from dragoman.training.loop import stop_on_signals
from dragoman.training.observer import Event, Measured, Message, Screen
from dragoman.training.plan import patience
from dragoman.training.run import train

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    lines = [f"a{i} b{j}\tB{j} A{i}" for i in range(12) for j in range(10)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(**training: Any) -> Config:
    given = {
        "steps": 4,
        "batch_tokens": 60,
        "validate_every": 50,
        "report_every": 1,
        "precision": "fp32",
        "validation_sample": 5,
    } | training
    small = {"embedding": 8, "hidden": 8, "dropout": 0.2}
    return merge(Config(), {"model": small, "training": given}, place="test")


SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from dragoman.config.toml import from_toml
from dragoman.training.run import train
pairs, out, recipe = map(Path, sys.argv[1:])
train([pairs], out, from_toml(recipe), console=Console(quiet=True))
"""
ACCELERATE = """
compute_environment: LOCAL_MACHINE
distributed_type: 'NO'
mixed_precision: fp16
num_processes: 1
use_cpu: true
"""


def trained(pairs: Path, place: Path, *python: str, **environment: str) -> list[Any]:
    """Losses and gradient norms of a training by a command of Python, with these variables."""
    place.mkdir()
    (place / "r.toml").write_text(to_toml(options()), "utf-8")
    (place / "script.py").write_text(SCRIPT, "utf-8")
    files = ("script.py", str(pairs), "m", "r.toml")
    subprocess.run(
        [*python, *files], check=True, timeout=120, env=os.environ | environment, cwd=place
    )
    rows = [json.loads(line) for line in (place / "m" / "metrics.jsonl").open()]
    return [(row["loss"], row["gradient_norm"]) for row in rows if row["kind"] == "train"]


@pytest.mark.slow
def test_accelerates_configuration_changes_no_number(
    pairs: Path, tmp_path: Path, python_command: list[str]
) -> None:
    wanted = trained(pairs, tmp_path / "plain", *python_command)
    variables = {
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "3",
        "ACCELERATE_MIXED_PRECISION": "fp16",
        "ACCELERATE_DYNAMO_BACKEND": "INDUCTOR",
    }
    assert trained(pairs, tmp_path / "variables", sys.executable, **variables) == wanted
    home = tmp_path / "home" / "accelerate"
    home.mkdir(parents=True)
    (home / "default_config.yaml").write_text(ACCELERATE)
    launch = (sys.executable, "-m", "accelerate.commands.launch")
    found = trained(pairs, tmp_path / "launched", *launch, HF_HOME=str(home.parent))
    assert found == wanted


def test_other_kinds_of_parallel_training_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(Processes()._accelerator).distributed_type
    fsdp = dragoman.training.distributed.utils.DistributedType.FSDP
    assert kind is not None
    monkeypatch.setattr(dragoman.training.distributed.Accelerator, "distributed_type", fsdp)
    with pytest.raises(OptionError, match="Accelerate is configured for FSDP.*use torchrun"):
        Processes()


def test_each_process_has_random_numbers_of_its_own() -> None:
    processes = Processes()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    processes.seed_step(1, 7)
    assert torch.equal(torch.get_rng_state(), before)  # of the main process: in the checkpoints
    drawn = set()
    for rank in (1, 2):
        for step in (7, 8):
            processes.rank = rank
            processes.seed_step(1, step)
            drawn.add(torch.rand(()).item())
            processes.seed_step(1, step)
            assert torch.rand(()).item() in drawn
    assert len(drawn) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": {"hidden": 9, "bidirectional": False, "tied_output": False}},
        {"training": {"freeze": True}},
    ],
    ids=str,
)
def test_a_refused_run_leaves_an_empty_folder_empty(
    pairs: Path, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    train([pairs], tmp_path / "other", options(steps=1), console=QUIET)
    start = {"start_from": str(tmp_path / "other"), "learning_rate": 1e-3}
    asked = options(**start)
    (tmp_path / "m").mkdir()
    if "model" in wrong:  # found when the weights are copied, after all data was prepared
        refused = replace(asked, model=replace(asked.model, hidden=16))
        with pytest.raises(OptionError, match=r"is \[2, 12, 8\] there, \[2, 24, 8\] here"):
            train([pairs], tmp_path / "m", refused, console=QUIET)
    else:  # found while the data is read
        (tmp_path / "p.tsv").write_text("one column\n" * 5)
        with pytest.raises(dragoman.DragomanError):
            train([tmp_path / "p.tsv"], tmp_path / "m", asked, console=QUIET)
    assert list((tmp_path / "m").iterdir()) == []
    train([pairs], tmp_path / "m", asked, console=QUIET)


def test_a_refused_run_leaves_no_folder_above_its_own(pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("one column\n" * 5)
    with pytest.raises(dragoman.DragomanError):
        train([tmp_path / "p.tsv"], tmp_path / "a" / "b" / "m", options(), console=QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["p.tsv"]


def test_a_run_that_has_trained_is_not_removed(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OptionError("too late")

    monkeypatch.setattr(loop, "train_step", failing)
    with pytest.raises(OptionError, match="too late"):
        train([pairs], tmp_path / "m", options(), console=QUIET)
    assert (tmp_path / "m" / "config.toml").exists()


@pytest.mark.parametrize(
    ("given", "validations"),
    [
        ({}, 10),
        ({"steps": 50}, 0),
        ({"epochs": 50}, 0),
        ({"budget": "1h"}, 0),
        ({"steps": 50, "patience": 3}, 3),
        ({"patience": 0}, 0),
    ],
    ids=str,
)
def test_patience_ends_only_runs_without_an_end(given: dict[str, Any], validations: int) -> None:
    config = merge(Config(), {"training": given}, place="test")
    assert patience(config.training) == validations


@pytest.mark.slow
def test_steps_that_were_asked_for_are_taken(pairs: Path, tmp_path: Path) -> None:
    """Even if nothing improves for more than ten validations."""
    config = options(steps=30, validate_every=2, learning_rate=0.0)
    outcome = train([pairs], tmp_path / "m", config, console=QUIET)
    assert outcome.reason == "30 steps done"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows")
def test_a_closed_terminal_stops_a_run_that_goes_on_later(pairs: Path, tmp_path: Path) -> None:
    """The terminal's file fails from then on."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    def hang_up(event: Event) -> None:
        if isinstance(event, Measured) and event.row["kind"] == "train" and event.row["step"] == 3:
            os.kill(os.getpid(), signal.SIGHUP)

    config = options(steps=9)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored
    try:
        outcome = train(
            [pairs], tmp_path / "m", config, console=Console(file=Gone()), observers=[hang_up]
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    assert outcome.interrupted and outcome.reason == "stopped by SIGHUP"
    assert outcome.state.step == 3
    assert train([pairs], tmp_path / "m", config, console=QUIET).state.step == 9


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows")
def test_an_ignored_signal_is_still_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        request = SimpleNamespace(processes=SimpleNamespace(signal=0))
        with stop_on_signals(request):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            assert request.processes.signal == 0
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            assert request.processes.signal == signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_observers_receive_the_events_in_order(pairs: Path, tmp_path: Path) -> None:
    seen: list[Event] = []
    config = options(steps=4, validate_every=4)
    train([pairs], tmp_path / "m", config, console=QUIET, observers=[seen.append])
    told = [event.row for event in seen if isinstance(event, Measured)]
    assert [row["kind"] for row in told] == ["start", *["train"] * 4, "validation", "end"]
    rows = [json.loads(line) for line in (tmp_path / "m" / "metrics.jsonl").open()]
    assert told == [pytest.approx(row) if row["kind"] == "train" else AsJson(row) for row in rows]
    assert seen[-1] == Message(seen[-1].text)  # type: ignore[union-attr]
    remaining = [row["remaining"] for row in told if row["kind"] == "train"]
    elapsed = [row["elapsed"] for row in told if row["kind"] == "train"]
    assert remaining == pytest.approx([3 * elapsed[0], elapsed[1], elapsed[2] / 3, 0], abs=0.2)


class AsJson:
    """Equal to a row that JSON has made lists of tuples in."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row

    def __eq__(self, other: object) -> bool:
        return bool(json.loads(json.dumps(other)) == self.row)

    def __hash__(self) -> int:
        return 0


def test_an_error_of_the_terminal_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with (tmp_path / "stdout").open("w") as stdout:  # rich sends its file to the null device
        monkeypatch.setattr(sys, "stdout", stdout)
        screen = Screen(Console(file=Gone()))
        screen(Message("one"))
        screen(Message("two"))
        screen.close()
