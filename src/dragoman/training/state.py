"""Where a training stands: what a checkpoint keeps beside weights, optimizer and random states."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class TrainingState:
    """Counters of a run; plain numbers, so that they are stored as JSON."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """Whole passes over the data."""
    batch: int = 0
    """Batches of the current epoch that are done."""
    batches: int = 0
    """Of the current epoch, in each process; 0 before the first."""
    tokens: int = 0
    """Real target tokens learned from."""
    window_loss: float = 0.0
    """Negative log-likelihood of the tokens learned from since the last report, in nats."""
    window_tokens: int = 0
    window_right: int = 0
    """Of these, those whose reference the model found most probable."""
    elapsed: float = 0.0
    """Seconds of all commands together, preparation included."""
    best: float = -math.inf
    """Best value of the validation metric; higher is better (a loss is stored as its negative)."""
    best_step: int = 0
    waited: int = 0
    """Validations since the best one."""
    cuts: int = 0
    """Times that the plateau schedule halved the learning rate."""
    skipped: int = 0
    """Steps whose gradient was not finite and changed nothing."""
    skipped_in_a_row: int = 0
    positions: int = 0
    """Most positions (tokens and padding of both sides) that memory held at a time in a step; 0:
    it has held every batch."""
    validated: int = -1
    """The step of the last validation."""
    reserve: float = 8.0
    """Seconds that a last validation and save will take; a guess until the first is done."""
    finished: str = ""
    """Why the run ended; empty while it goes on."""
    best_scores: dict[str, float] = field(default_factory=dict)
    """Every score of the best validation."""

    def to_json(self) -> dict[str, object]:
        """As JSON; infinity, which JSON lacks, as null."""
        values = dataclasses.asdict(self)
        values["best"] = self.best if math.isfinite(self.best) else None
        return values

    @classmethod
    def from_json(cls, values: dict[str, object]) -> TrainingState:
        """The state of its JSON; names that only another version knows are ignored.

        Raises:
            TypeError, KeyError: these are not the values of a state.
        """
        known: dict[str, Any] = {item.name: values[item.name] for item in dataclasses.fields(cls)}
        state = cls(**known | {"best": -math.inf if known["best"] is None else known["best"]})
        for item in dataclasses.fields(cls):
            found, kind = getattr(state, item.name), type(getattr(cls(), item.name))
            if not isinstance(found, (int, float) if kind is float else kind):
                raise TypeError(f"{item.name} is {found!r}")
        return state
