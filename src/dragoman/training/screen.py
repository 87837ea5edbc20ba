"""Shows a training to the user: messages, progress, and scores, on a console."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from dragoman.runs.display import row_lines
from dragoman.training.observer import Event, Message, Reported, Validated


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
