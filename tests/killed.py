"""Trainings that are killed between two steps, as by SIGKILL: nothing is saved on the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dragoman.training import loop
from dragoman.training.run import Run


class Killed(BaseException):
    """Ends a training at once."""


def kill_at(
    monkeypatch: pytest.MonkeyPatch, steps: Sequence[int], train: Callable[[], Any]
) -> None:
    """Call ``train`` once for each of ``steps``; it is killed when it comes to that step."""
    real = loop.train_step
    for at in steps:

        def step(run: Run, batch: Any, at: int = at) -> Any:
            if run.state.step == at:
                raise Killed
            return real(run, batch)

        monkeypatch.setattr(loop, "train_step", step)
        with pytest.raises(Killed):
            train()
    monkeypatch.setattr(loop, "train_step", real)
