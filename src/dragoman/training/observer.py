"""The events of a training, the observers that receive them, and the one that prints.

An observer is a function of one event. It is called in the main process, in the thread that trains,
in the order in which things happen. It matches the events that it needs and ignores the others::

    def print_losses(event: Event) -> None:
        match event:
            case Reported(row):
                print(row["step"], row["loss"])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from dragoman.data.prepare import Prepared
from dragoman.model.seq2seq import Seq2Seq
from dragoman.runs.display import row_lines


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
Event = Message | StepShown | Measured
Observer = Callable[[Event], None]


class Screen:
    """An observer that prints; on a terminal, progress is a bar that stays in its place.

    A console that fails (the terminal was closed, the pipe's reader ended) is left alone from then
    on, so that the training is not ended by it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def __call__(self, event: Event) -> None:
        """Print what the user should read."""
        try:
            match event:
                case Message(text):
                    self._print(text)
                case Reported(row, best):
                    self._progress(row, best)
                case Validated(row):
                    for line in row_lines(row):
                        self._print(line)
        except (OSError, SystemExit):  # rich ends the program when a pipe is closed
            self._console = Console(quiet=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _progress(self, row: dict[str, Any], best: str) -> None:
        (facts,) = row_lines(row, best and f"best {best}")
        if not self._console.is_terminal:
            self._print(facts)
            return
        if self._bar is None:
            self._bar = Progress(
                BarColumn(10),
                TextColumn("{task.fields[facts]}"),
                console=self._console,
                transient=True,
            )
            self._bar.add_task("training", total=None, facts="")
            self._bar.start()
        (task,) = self._bar.task_ids
        done = row["done"]
        self._bar.update(task, completed=done, total=1.0 if done else None, facts=facts)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
