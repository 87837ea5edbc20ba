"""A few of the random kills of ``benchmarks/kill.py``, which takes two hundred."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("family", "kills"), [("recurrent", 8), ("monotonic", 4), ("transformer", 6)]
)
@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_runs_that_are_killed_end_as_if_nothing_had_been(
    family: str, kills: int, python_command: list[str]
) -> None:
    command = ["-m", "benchmarks.kill", "--kills", str(kills), "--seed", "7", "--family", family]
    done = subprocess.run(
        [*python_command, *command],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{kills} kills,") and "; 0 differences" in done.stdout
