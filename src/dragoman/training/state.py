"""The state of a training: its model, data, options, counters and clocks."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch

from dragoman.config.options import Config
from dragoman.config.values import seconds
from dragoman.data.prepare import Prepared
from dragoman.layout import METRICS
from dragoman.model.seq2seq import Seq2Seq
from dragoman.runs.history import append_row
from dragoman.training.distributed import Processes
from dragoman.training.machine import Usage
from dragoman.training.observer import Event, Measured, Message, Observer


@dataclass(slots=True)
class TrainingState:
    """Counters that a checkpoint keeps beside weights, optimizer and random states, as JSON."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """Whole passes over the data."""
    batch: int = 0
    """Batches of the current epoch that are done."""
    batches: int = 0
    """Number of batches of the current epoch in each process; 0 before the first epoch."""
    tokens: int = 0
    """Real target tokens learned from."""
    window_loss: float = 0.0
    """Negative log-likelihood of the tokens learned from since the last report, in nats."""
    window_tokens: int = 0
    window_right: int = 0
    """Number of these tokens that were the model's most probable ones."""
    elapsed: float = 0.0
    """Seconds of all commands together, preparation included."""
    best_step: int = 0
    """The step of the best validation, by ``training.metric``."""
    waited: int = 0
    """Validations since the best one."""
    cuts: int = 0
    """Times that the plateau schedule halved the learning rate."""
    skipped_in_a_row: int = 0
    """The latest steps, if their gradients were not finite and they changed nothing."""
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

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Make a state from JSON values; names that only another version knows are ignored.

        Raises:
            TypeError, ValueError, KeyError: these are not the values of a state.
        """
        return cls(**{name: type(value)(values[name]) for name, value in asdict(cls()).items()})


@dataclass(slots=True)
class Run:
    """Everything that the training loop works on."""

    folder: Path
    prepared: Prepared
    """The data, and the options of the run."""
    processes: Processes
    model: Seq2Seq
    learner: torch.nn.Module
    """The model, wrapped so that several processes exchange gradients."""
    optimizer: torch.optim.Optimizer
    state: TrainingState
    observers: list[Observer]
    """Receive the events of the training; in the main process only."""
    began: float
    """The monotonic clock (seconds) at which the run would have begun without interruptions."""
    budget_share: float = 1.0
    """Share of the time budget that this training may use; the rest is for the refit."""
    ranks: torch.Tensor | None = None
    """Ranks of the target's words by frequency, [V], for the sampled softmax."""
    stopped_by: int = 0
    """Number of the signal that some process got, known to all processes; 0: none."""
    usage: Usage = field(default_factory=Usage)
    reported: tuple[float, int] = (0.0, 0)
    """When the speed was last measured, and ``state.tokens`` then."""

    @property
    def config(self) -> Config:
        """The options."""
        return self.prepared.config

    @property
    def done(self) -> float:
        """Share of the run that is over, by the limit that is nearest; 0 without a limit."""
        state, options = self.state, self.config.training
        shares = [state.elapsed / max(1e-9, self.budget - self.reserve)]
        if options.steps:
            shares.append(state.step / options.steps)
        if options.epochs:
            shares.append((state.epoch + state.batch / max(1, state.batches)) / options.epochs)
        return min(1.0, max(shares))

    @property
    def budget(self) -> float:
        """Seconds that this training may take."""
        return self.budget_share * seconds(self.config.training.budget)

    @property
    def reserve(self) -> float:
        """Seconds of a time budget that are kept for the last validation and save."""
        return min(self.state.reserve, 0.3 * self.budget) if math.isfinite(self.budget) else 0.0

    def tell(self, event: Event) -> None:
        """Pass an event to every observer, in the order in which they were added."""
        for observer in self.observers:
            observer(event)

    def say(self, text: str) -> None:
        """Tell the user one line."""
        self.tell(Message(text))

    def log(self, kind: str, values: dict[str, Any], best: str = "") -> None:
        """Add a row to ``metrics.jsonl`` and tell the observers; in the main process only.

        JSON has no infinity and no NaN: they become null.
        """
        if self.processes.is_main:
            state = self.state
            row = {"kind": kind, "step": state.step, "epoch": state.epoch}
            row |= {"elapsed": round(state.elapsed, 3), **values}
            for name, value in row.items():
                if isinstance(value, float) and not math.isfinite(value):
                    row[name] = None
            append_row(self.folder / METRICS, row)
            self.tell(Measured(row, best))
