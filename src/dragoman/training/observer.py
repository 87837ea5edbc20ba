"""The events of a training and the observers that receive them.

An observer is a function of one event. It is called in the main process, in the thread that trains,
in the order in which things happen. It matches the events that it needs and ignores the others::

    def print_losses(event: Event) -> None:
        match event:
            case Reported(row):
                print(row["step"], row["loss"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dragoman.data.plans import Rows
from dragoman.data.prepare import Prepared
from dragoman.model.seq2seq import Seq2Seq


@dataclass(frozen=True, slots=True)
class Message:
    """One line that the user should read."""

    text: str


@dataclass(frozen=True, slots=True)
class Started:
    """A command starts to train, after preparation or resumption."""

    row: dict[str, Any]
    """The row of ``metrics.jsonl``: ``environment``, and ``changed`` options of a resumed run."""


@dataclass(frozen=True, slots=True)
class StepShown:
    """A training step follows that the user asked to look at (``training.show_every``)."""

    model: Seq2Seq
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step changed nothing, because its gradient was not finite."""

    step: int
    rows: Rows
    """Rows of its batch in the training corpus."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The mean loss and speed of the last ``training.report_every`` steps."""

    row: dict[str, Any]
    best: str = ""
    """The best score so far, in words; empty before the first validation."""


@dataclass(frozen=True, slots=True)
class Validated:
    """Scores and translations of held-out pairs; the best weights are saved."""

    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """The command's training is over and saved."""

    row: dict[str, Any]
    """The row of ``metrics.jsonl``: ``reason``, and whether a signal ``interrupted`` it."""


Measured = Started | Reported | Validated | Ended
"""Events with a row of ``metrics.jsonl``."""
Event = Message | StepShown | Skipped | Measured
Observer = Callable[[Event], None]


class Observers:
    """Several observers as one; each event goes to all, in the order in which they were added."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, *observers: Observer) -> None:
        """Let these receive what happens from now on."""
        self._observers += observers

    def __call__(self, event: Event) -> None:
        """Pass on one event."""
        for observer in self._observers:
            observer(event)
