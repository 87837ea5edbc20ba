"""The events of a training, the observers that receive them, and the one that prints.

An observer is a function of one event. It is called in the main process, in the thread that trains,
in the order in which things happen. It matches the events that it needs and ignores the others::

    def print_losses(event: Event) -> None:
        match event:
            case Measured({"kind": "train", "step": step, "loss": loss}):
                print(step, loss)
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
class StepShown:
    """A training step follows that the user asked to look at (``training.show_every``)."""

    model: Seq2Seq
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Measured:
    """A row was added to ``metrics.jsonl``."""

    row: dict[str, Any]
    """Its ``kind`` is ``start`` (a command starts to train), ``train`` (the mean loss and speed of
    the last ``training.report_every`` steps), ``validation`` (scores and translations of held-out
    pairs; the best weights are saved) or ``end`` (the command's training is over and saved)."""
    best: str = ""
    """In words, the best score so far; for rows of kind ``train`` after the first validation."""


Event = Message | StepShown | Measured
Observer = Callable[[Event], None]


class Screen:
    """An observer that prints; on a terminal, progress is a bar that stays in its place.

    A console that fails (the terminal was closed, the pipe's reader ended) is left alone from then
    on, so that the training is not ended by it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = BarColumn(10), TextColumn("{task.fields[facts]}")
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("training", total=None, facts="")

    def __call__(self, event: Event) -> None:
        """Print what the user should read."""
        lines: list[str] = []
        try:
            match event:
                case Message(text):
                    lines = [text]
                case Measured(row, best):
                    lines = list(row_lines(row, best and f"best {best}"))
                    if row["kind"] == "train" and self._console.is_terminal:
                        self._bar.start()
                        done, facts = row["done"], lines.pop()
                        total = 1.0 if done else None
                        self._bar.update(self._task, completed=done, total=total, facts=facts)
            for line in lines:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        except (OSError, SystemExit):  # rich ends the program when a pipe is closed
            self._console = Console(quiet=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar.live.is_started:
            self._bar.stop()
