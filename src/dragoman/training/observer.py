"""The events of a training, and the observers that receive them: the screen, and trackers.

An observer is a function of one event. It is called in the main process, in the thread that trains,
in the order in which things happen. It matches the events that it needs and ignores the others::

    def print_losses(event: Event) -> None:
        match event:
            case Measured({"kind": "train", "step": step, "loss": loss}):
                print(step, loss)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import tracking
from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.toml import flat
from dragoman.data.lines import Say
from dragoman.data.prepare import Prepared
from dragoman.errors import TrainingError
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
    pairs; the best weights are saved), ``skipped`` (a step changed nothing: its gradient was not
    finite) or ``end`` (the command's training is over and saved)."""
    best: str = ""
    """In words, the best score so far; for rows of kind ``train`` after the first validation."""


Event = Message | StepShown | Measured
Observer = Callable[[Event], None]


class Screen:
    """An observer that prints; on a terminal, progress is a line that stays in its place.

    If the console fails (the terminal was closed, the pipe's reader ended), it is no longer used,
    and the training goes on.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("training")

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
                        self._status.start()
                        self._status.update(lines.pop())
            for line in lines:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        except (OSError, SystemExit):  # rich ends the program when a pipe is closed
            self._console = Console(quiet=True)

    def close(self) -> None:
        """Remove the line of progress."""
        self._status.stop()


class Trackers:
    """An observer that sends options and curves to TensorBoard, Weights & Biases and MLflow.

    Accelerate calls them. A tracker that fails is left out from then on. A resumed run goes on with
    its files for TensorBoard, and is a new run of the same name for the other two.

    Args:
        folder: the run's.
        config: the options; ``training.track`` names the trackers, and all are sent to them.
        step: the run's number of steps so far.
        say: receives what the user should know.

    Raises:
        TrainingError: one does not start; the message is the tracker's own.
    """

    def __init__(self, folder: Path, config: Config, step: int, say: Say) -> None:
        self._say = say
        self._trackers: dict[str, Any] = {}
        options = {n: v if isinstance(v, (int, float)) else str(v) for n, v in flat(config).items()}
        for name in config.training.track:
            try:
                tracker = self._trackers[name] = _build(name, folder, step)
                tracker.start()
                tracker.store_init_configuration(options)
            except Exception as error:
                cause, cure = " ".join(str(error).split()), "set it up, or resume without it"
                raise TrainingError(f"{name} does not start: {cause}", cure=cure) from error

    def __call__(self, event: Event) -> None:
        """Send the numbers of a row of ``metrics.jsonl``."""
        if isinstance(event, Measured):
            row, kind = event.row, event.row["kind"]
            numbers = {n: v for n, v in row.items() if type(v) in (int, float) and n != "step"}
            values = {f"{kind}/{name}": value for name, value in numbers.items()}
            self._each(lambda tracker: tracker.log(values, step=row["step"]))

    def close(self) -> None:
        """Send what the trackers still hold, and end their runs."""
        self._each(lambda tracker: tracker.finish())

    def _each(self, send: Callable[[Any], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                send(tracker)
            except Exception as error:  # such as a network that is down: training goes on
                del self._trackers[name]
                self._say(f"{name} is left out from here, it fails: {' '.join(str(error).split())}")


def _build(name: str, folder: Path, step: int) -> Any:
    if name == "tensorboard":
        # Hides what a killed run logged after its last checkpoint: it is logged again.
        return tracking.TensorBoardTracker(name, folder, purge_step=step + 1 if step else None)
    if name == "wandb":
        return tracking.WandBTracker("dragoman", name=folder.name, dir=str(folder))
    return tracking.MLflowTracker("dragoman", run_name=folder.name)
