"""One of the random cuts of ``benchmarks/hosts.py``, which takes twenty."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import hosts, namespaces

pytestmark = pytest.mark.slow


def test_two_hosts_train_as_one_and_a_host_that_is_cut_off_is_taken_back(
    python_command: list[str],
) -> None:
    if reason := namespaces.unfit():
        pytest.skip(reason)
    command = ["-m", "benchmarks.hosts", "--cuts", "1", "--seed", "7", "--steps", "160"]
    command += ["--at", "40"]
    done = subprocess.run(
        [*python_command, *command],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHON_EXEC": python_command[0]},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "160 steps on two hosts are those of two processes on one host" in done.stdout
    assert "0 differences from the run that was not cut" in done.stdout
    rows = re.findall(r"^power +\d +(\d+) +(\d+) ", done.stdout, re.MULTILINE)
    assert [min(map(int, row)) >= 40 for row in rows] == [True], done.stdout


def test_a_damaged_checkpoint_is_found(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints" / "step-00000020" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cut short")
    (wrong,) = hosts.damaged(tmp_path)
    assert wrong.startswith("step-00000020/model.safetensors: ")
    assert hosts.newest(tmp_path) == 20 and hosts.newest(tmp_path / "none") == 0


def test_bare_processes_are_told_what_hosts_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(namespaces.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["hosts"])
    assert hosts.main() == 2
    assert capsys.readouterr().err == "needs Linux, root and the program ip (package iproute2)\n"
