"""The report on a device runs through on a processor, which is its own twin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.device import KINDS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_kind_equals_its_twin_and_all_figures_are_there(tmp_path: Path) -> None:
    asked = ["--device", "cpu", "--seconds", "4", "--pairs", "400", "--out", str(tmp_path / "r")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.device", *asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert [kind["kind"] for kind in report["kinds"]] == list(KINDS)
    for kind in report["kinds"]:
        assert kind["loss"] == kind["gradient"] == 0, "the same processor gives the same numbers"
        assert 0 < kind["bf16 loss"] < 0.05
        assert kind["equal outputs, beam 1"] == kind["equal outputs, beam 5"] == 1
    assert report["waits in a step"] is None
    assert report["milliseconds by library"]["products"] > 0
    (speed,) = report["speed"]
    assert speed["target tokens a second"] > 0 and speed["decoded tokens a second, beam 5"] > 0
    assert "| gru | 0 | 0 |" in (tmp_path / "r.md").read_text()
