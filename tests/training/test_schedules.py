"""Learning rates at chosen moments, worked by hand."""

from __future__ import annotations

import pytest

from dragoman.config.options import TrainingOptions
from dragoman.training.optimizer import learning_rate


@pytest.mark.parametrize(
    ("schedule", "step", "done", "cuts", "expected"),
    [
        ("constant", 0, 0.0, 0, 0.001),
        ("constant", 4, 0.0, 0, 0.005),
        ("constant", 9, 0.5, 0, 0.01),
        ("constant", 99, 1.0, 0, 0.01),
        ("cosine", 99, 0.0, 0, 0.01),
        ("cosine", 99, 0.5, 0, 0.005),
        ("cosine", 99, 1.0, 0, 0.0),
        ("cosine", 4, 0.5, 0, 0.0025),
        ("cosine", 99, 1.5, 0, 0.0),
        ("linear", 99, 0.25, 0, 0.0075),
        ("linear", 99, 1.0, 0, 0.0),
        ("inverse_sqrt", 9, 0.0, 0, 0.01),
        ("inverse_sqrt", 39, 0.0, 0, 0.005),
        ("inverse_sqrt", 4, 0.0, 0, 0.005),
        ("plateau", 99, 0.9, 0, 0.01),
        ("plateau", 99, 0.0, 3, 0.00125),
    ],
)
def test_learning_rates(schedule: str, step: int, done: float, cuts: int, expected: float) -> None:
    options = TrainingOptions(learning_rate=0.01, warmup=10, schedule=schedule)  # type: ignore[arg-type]
    rate = learning_rate(options, step=step, done=done, cuts=cuts)
    assert rate == pytest.approx(expected)


def test_no_warmup() -> None:
    options = TrainingOptions(learning_rate=0.01, warmup=0, schedule="inverse_sqrt")
    assert learning_rate(options, step=0, done=0, cuts=0) == pytest.approx(0.01)
    assert learning_rate(options, step=3, done=0, cuts=0) == pytest.approx(0.005)
