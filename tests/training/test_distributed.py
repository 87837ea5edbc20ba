"""Two processes that train one model: what they must agree on, and what must differ."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dragoman.layout import members
from ranks import two_ranks
from tools.differences import differences

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, signal, sys, time
from pathlib import Path
import torch
from rich.console import Console
from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.training import loop, run
from dragoman.training.distributed import Processes

place, what = Path(sys.argv[1]), sys.argv[2]
rank = int(os.environ["RANK"])
notes = {"dropped": [], "exchanges": 0}
real_step, real_largest = loop.train_step, Processes.largest


def step(now, batch):
    if what == "signal" and now.state.step == 5 and rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)  # only one of them hears of it
    result = real_step(now, batch)
    notes["dropped"].append(torch.rand(()).item())
    return result


def largest(self, *numbers):
    notes["exchanges"] += 1
    return real_largest(self, *numbers)


loop.train_step, Processes.largest = step, largest
close, opened = Processes.close, []
Processes.close = lambda self: opened.append(self)  # closed below, once it was looked at
given = {"steps": 20, "batch_tokens": 60, "validate_every": 10, "report_every": 1,
         "precision": "fp32", "validation_sample": 5, "threads": 1}
tree = {"model": {"embedding": 8, "hidden": 8, "dropout": 0.5}, "training": given}
outcome = run.train([place / "p.tsv"], place / "m", merge(Config(), tree, place="test"),
                    console=Console(quiet=True))
world = torch.distributed.group.WORLD._get_backend(torch.device("cpu"))
notes |= {"timeout": world.options._timeout.total_seconds()}
notes |= {"step": outcome.state.step, "reason": outcome.reason, "best": outcome.state.best_scores}
(place / f"{what}-{rank}.json").write_text(json.dumps(notes))
close(opened[0])
"""


def two_processes(python: list[str], place: Path, what: str) -> list[dict[str, Any]]:
    """Train with two processes; what each of them noted."""
    (place / "p.tsv").write_text(
        "".join(f"a{i} b{j}\tB{j} A{i}\n" for i in range(12) for j in range(10)), "utf-8"
    )
    (place / "script.py").write_text(SCRIPT, "utf-8")
    two_ranks([*python, str(place / "script.py"), str(place), what])
    return [json.loads((place / f"{what}-{rank}.json").read_text()) for rank in (0, 1)]


def losses(place: Path) -> list[float]:
    rows = [json.loads(line) for line in (place / "m" / "metrics.jsonl").open()]
    return [row["loss"] for row in rows if row["kind"] == "train"]


def test_two_processes_agree_stop_together_and_resume_exactly(
    python_command: list[str], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    one, other = two_processes(python_command, whole, "plain")
    assert not set(one["dropped"]) & set(other["dropped"])
    assert one["best"] == other["best"] and one["step"] == other["step"] == 20
    assert one["exchanges"] == other["exchanges"] == 1 + 20 // 8  # the start, the loop
    assert one["timeout"] == other["timeout"] == 24 * 3600

    one, other = two_processes(python_command, parts, "signal")  # that one of them hears
    assert one["reason"] == other["reason"] == "stopped by SIGTERM"
    assert one["step"] == other["step"] == 8
    one, other = two_processes(python_command, parts, "resumed")
    assert one["reason"] == other["reason"] == "20 steps done"
    assert losses(parts) == losses(whole)


ALONE = """
import sys
from datetime import timedelta
from dragoman.cli import main
from dragoman.training import distributed

distributed.JOIN_TIMEOUT = timedelta(seconds=1)
sys.exit(main(["train", sys.argv[1], "--out", sys.argv[2]]))
"""


def test_a_process_whose_main_one_is_another_program_ends_in_one_line(
    python_command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "p.tsv").write_text("a\tb\n" * 20, "utf-8")
    (tmp_path / "script.py").write_text(ALONE, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as foreign:  # takes calls and never answers
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(foreign.getsockname()[1])}
        done = subprocess.run(
            [*python_command, "script.py", "p.tsv", "m"],
            env=os.environ | address | {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 2 and "process 0 does not answer at 127.0.0.1:" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "m").exists()


def test_a_rank_that_another_program_has_set_is_passed_over(
    python_command: list[str], tmp_path: Path
) -> None:
    """Schedulers set RANK; without an address there is no main process to look for."""
    (tmp_path / "p.tsv").write_text("".join(f"a{i} b{i}\tB{i} A{i}\n" for i in range(30)), "utf-8")
    variables = {name: v for name, v in os.environ.items() if not name.startswith("MASTER_")}
    done = subprocess.run(
        [*python_command, "-m", "dragoman", "train", "p.tsv", "--out", "m", "--steps", "2"],
        env=variables | {"RANK": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m" / "model.safetensors").exists()


def test_two_processes_train_several_seeds_one_after_the_other(
    dragoman_command: list[str], tmp_path: Path
) -> None:
    pairs, out = tmp_path / "p.tsv", tmp_path / "m"
    pairs.write_text("".join(f"a{i} b{i}\tB{i} A{i}\n" for i in range(60)), "utf-8")
    command = [*dragoman_command, "train", str(pairs), "--out", str(out), "--seeds", "2"]
    two_ranks([*command, "--steps", "4", "--hidden", "8", "--embedding", "8", "--threads", "1"])
    assert [(one / "model.safetensors").exists() for one in members(out)] == [True, True]


def test_accelerate_launch_trains_as_torchrun_does(tmp_path: Path) -> None:
    pairs = tmp_path / "p.tsv"
    pairs.write_text("".join(f"a{i} b{i}\tB{i} A{i}\n" for i in range(60)), "utf-8")
    launchers = {
        "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
        # Its plain launcher, as with --cpu, starts one process whatever --num_processes says.
        "accelerate": [
            *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
            *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
            *("--main_process_port", "0"),
        ],
    }
    variables = os.environ | {"OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "none")}
    for name, launch in launchers.items():
        command = [sys.executable, "-m", *launch, "-m", "dragoman", "train", str(pairs)]
        command += ["--out", str(tmp_path / name), "--steps", "12", "--hidden", "8", "--threads"]
        command += ["1", "--embedding", "8", "--precision", "fp32", "--report-every", "1"]
        done = subprocess.run(
            command, capture_output=True, timeout=300, check=False, env=variables, text=True
        )
        assert done.returncode == 0, done.stderr
    assert differences(tmp_path / "torchrun", tmp_path / "accelerate") == []
