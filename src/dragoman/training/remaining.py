"""How long a run still takes, from how long its last steps and validations took."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import mean

from dragoman.config.options import TrainingOptions, seconds
from dragoman.training.state import TrainingState


@dataclass(slots=True)
class Pace:
    """What was measured in this process; a resumed run measures anew."""

    windows: list[tuple[int, float]] = field(default_factory=list)
    """Steps, and seconds of training alone, between two reports or validations."""
    validations: list[float] = field(default_factory=list)
    """Seconds of each validation, reporting included."""

    def step_seconds(self) -> float:
        """Seconds a step: over the later half of the windows, without the first (it warms up)."""
        recent = self.windows[1:] or self.windows
        recent = recent[len(recent) // 2 :]
        return sum(took for _, took in recent) / max(1, sum(steps for steps, _ in recent))

    def remaining(
        self, state: TrainingState, options: TrainingOptions, *, reserve: float
    ) -> tuple[float, bool] | None:
        """Seconds to the end that is nearest, and whether it is only the earliest possible one.

        A run that nothing but ``patience`` ends goes on for as long as it improves: what can be
        told is when it would end if it no longer did.

        Args:
            state: where the run stands.
            options: its limits.
            reserve: seconds of its budget that a run keeps for its last validation.

        Returns:
            None while there is nothing to tell it from.
        """
        if not self.windows:
            return None
        cost = mean(self.validations[-3:]) if self.validations else 0.0
        by_epoch = options.validate_every == "epoch"
        every = state.batches if by_epoch else int(options.validate_every)
        since = state.batch if by_epoch else state.step % every  # steps after the last validation
        if since == 0 and state.validated != state.step:
            since = every  # it is still to come

        def steps_take(steps: int) -> float:
            validations = math.ceil((since + steps) / every)  # the end is always validated
            return steps * self.step_seconds() + validations * cost

        ends = []
        if options.steps:
            ends.append(steps_take(options.steps - state.step))
        if options.epochs:
            done = state.epoch * state.batches + state.batch
            ends.append(steps_take(options.epochs * state.batches - done))
        if options.budget != "none":
            ends.append(seconds(options.budget) - reserve - state.elapsed + cost)
        if ends:
            return max(0.0, min(ends)), False
        if not options.patience:
            return None
        return steps_take((options.patience - state.waited) * every - since), True
