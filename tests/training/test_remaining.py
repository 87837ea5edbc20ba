"""The remaining time of runs whose whole course is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from dragoman.config.options import TrainingOptions
from dragoman.training.remaining import Pace
from dragoman.training.state import TrainingState

BATCHES, RESERVE = 130, 7.0


@dataclass
class Told:
    """What was said at one moment of a run."""

    at: float
    seconds: float
    open_end: bool


def course(
    options: TrainingOptions, *, cost: float, better_until: int = 0
) -> tuple[list[Told], float]:
    """Play a run: steps of about 0.2 s, slow at first; what was told, and when it ended."""
    random = np.random.default_rng(3)
    state, pace, told = TrainingState(batches=BATCHES), Pace(), []
    every = BATCHES if options.validate_every == "epoch" else int(options.validate_every)
    clock, mark = 11.0, (0, 11.0)  # preparation took a while

    def validate() -> None:
        nonlocal clock, mark
        clock += cost
        pace.validations.append(cost)
        mark, state.validated = (state.step, clock), state.step
        state.waited = 0 if state.step <= better_until else state.waited + 1

    while True:
        state.step += 1
        state.epoch, state.batch = divmod(state.step, BATCHES)
        clock += 0.2 * random.uniform(0.6, 1.4) + (0.5 if state.step < 20 else 0.0)
        state.elapsed = clock
        if state.step % options.report_every == 0:
            pace.windows.append((state.step - mark[0], clock - mark[1]))
            mark = (state.step, clock)
            left = pace.remaining(state, options, reserve=RESERVE)
            if left is not None:
                told.append(Told(clock, *left))
        if state.step % every == 0:
            validate()
        if (
            (options.steps and state.step >= options.steps)
            or (options.epochs and state.epoch >= options.epochs)
            or (options.budget != "none" and clock + RESERVE >= 600)
            or (options.patience and state.waited >= options.patience)
        ):
            if state.validated != state.step:
                validate()
            return told, clock


@pytest.mark.parametrize("cost", [0.0, 2.0, 15.0])
@pytest.mark.parametrize(
    "limit",
    [
        {"steps": 3000},
        {"epochs": 20},
        {"budget": "10m"},
        {"steps": 2950, "epochs": 90},
        {"epochs": 21, "validate_every": "epoch"},
    ],
)
def test_it_is_right_after_a_tenth_of_the_run(limit: dict[str, object], cost: float) -> None:
    options = replace(TrainingOptions(), **({"validate_every": 100, "patience": 0} | limit))  # type: ignore[arg-type]
    told, end = course(options, cost=cost)
    later = [t for t in told if t.at >= 0.1 * end]
    assert len(later) > 20 and not any(t.open_end for t in later)
    for t in later:
        # To 10 % of what is left; to a report interval at the very end.
        assert t.seconds == pytest.approx(end - t.at, rel=0.1, abs=10), t


def test_without_a_limit_it_is_the_earliest_end(limit: int = 1500) -> None:
    options = replace(TrainingOptions(), validate_every=100, patience=6)
    told, end = course(options, cost=3.0, better_until=limit)
    assert all(t.open_end for t in told)
    # As long as the model improves nothing more can be known; it is never told too long a time.
    assert all(t.seconds <= 1.1 * (end - t.at) for t in told if t.at >= 0.1 * end)
    final = [t for t in told if end - t.at < 6 * (100 * 0.2 + 3.0) - 25]
    assert len(final) > 5
    for t in final:
        assert t.seconds == pytest.approx(end - t.at, rel=0.1, abs=5), t


def test_before_anything_was_measured_nothing_is_told() -> None:
    options = replace(TrainingOptions(), validate_every=100, steps=10)
    assert Pace().remaining(TrainingState(), options, reserve=0.0) is None
    endless = replace(options, steps=0, patience=0)
    pace = Pace(windows=[(10, 2.0)])
    assert pace.remaining(TrainingState(step=10, batches=5), endless, reserve=0.0) is None
