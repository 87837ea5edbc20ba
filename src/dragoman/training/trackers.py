"""Sends options and curves to TensorBoard, Weights & Biases and MLflow, through Accelerate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import tracking

from dragoman.config.options import Config
from dragoman.config.toml import flat
from dragoman.errors import TrainingError
from dragoman.files import write_text
from dragoman.layout import TRACKERS
from dragoman.training.observer import Event, Measured


class Trackers:
    """The trackers of one run, as one observer; a tracker that fails is given up.

    Args:
        folder: the run's.
        config: the options; ``training.track`` names the trackers, and all are sent to them.
        step: where the run stands.
        say: receives what the user should know.

    Raises:
        TrainingError: one does not start; the message is the tracker's own.
    """

    def __init__(self, folder: Path, config: Config, step: int, say: Callable[[str], None]) -> None:
        self._say = say
        self._trackers: dict[str, Any] = {}
        path = folder / TRACKERS
        try:  # the identifiers that trackers gave this run in an earlier command
            known = dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}
        except (ValueError, TypeError) as error:
            cure = "delete it: trackers begin a new run"
            raise TrainingError("is damaged", place=str(path), cure=cure) from error
        options = {n: v if isinstance(v, (int, float)) else str(v) for n, v in flat(config).items()}
        for name in config.training.track:
            try:
                tracker = self._trackers[name] = _build(name, folder, step, known.get(name))
                tracker.start()
                if name not in known:
                    tracker.store_init_configuration(options)
                    known[name] = _identity(name, tracker.tracker)
                    write_text(path, json.dumps(known, indent=1))
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


def _build(name: str, folder: Path, step: int, known: str | None) -> Any:
    if name == "tensorboard":
        # Hides what a killed run logged after its last checkpoint: it is logged again.
        purge = step + 1 if known else None
        return tracking.TensorBoardTracker(name, folder, purge_step=purge)
    if name == "wandb":
        place = {"name": folder.name, "dir": str(folder)}
        return tracking.WandBTracker("dragoman", id=known, resume="allow", **place)
    return tracking.MLflowTracker("dragoman", run_name=folder.name, run_id=known)


def _identity(name: str, run: Any) -> str:
    """The tracker's identifier of the run; TensorBoard's files are found by their folder."""
    return str(run.id if name == "wandb" else run.info.run_id if name == "mlflow" else "here")
