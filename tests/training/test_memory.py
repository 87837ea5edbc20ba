"""Models and batches that memory does not hold."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from dragoman.config.options import Config
from dragoman.data.batches import assemble
from dragoman.data.source import Source
from dragoman.errors import OptionError, TrainingError
from dragoman.training import start, step
from dragoman.training.run import train
from dragoman.training.state import TrainingState


def test_a_model_that_memory_does_not_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pairs.tsv").write_text("".join(f"a{i % 7} b\tb c{i % 5}\n" for i in range(120)))
    little = SimpleNamespace(total=1000)
    monkeypatch.setattr(start.psutil, "virtual_memory", lambda: little)
    with pytest.raises(OptionError, match="model: it takes 0 GB to train"):
        console = Console(file=io.StringIO())
        train([tmp_path / "pairs.tsv"], tmp_path / "m", Config(), console=console)
    assert not (tmp_path / "m").exists()


def test_several_processes_do_not_split_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(step, "_backward", full)
    row = np.full(5, 7, np.int32)  # 6 source and 6 target positions, with the end tokens
    batch = assemble([(Source(row), row)] * 3)
    run: Any = SimpleNamespace(state=TrainingState(step=7), processes=SimpleNamespace(count=2))
    with pytest.raises(TrainingError, match=r"step 7: memory does not hold a batch of 36 tokens"):
        step._learn(run, batch, torch.ones(()))
    assert run.state.positions == 0
