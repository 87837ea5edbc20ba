"""Checkpoints: folders with all that a run needs to go on as if it had never stopped.

checkpoints/step-00001000/
    model.safetensors      weights
    optimizer.safetensors  the optimizer's tensors of each weight, and the random states
    state.json             counters and the position in the data
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from dragoman.errors import FolderError
from dragoman.files import sync_folder
from dragoman.model.folder import fill, read_tensors, tensors_of
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training.state import TrainingState

FOLDER = "checkpoints"
_RANDOM = "random."


def save_checkpoint(
    folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int
) -> None:
    """Write a checkpoint beside the others, then remove all but the last ``keep``."""
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    made = place / f"step-{state.step:08d}"
    aside = place / f"{made.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        save_file(tensors_of(model), aside / "model.safetensors")
        save_file(_optimizer_tensors(model, optimizer) | _random_states(),
                  aside / "optimizer.safetensors")  # fmt: skip
        text = json.dumps(state.to_json(), indent=1)
        (aside / "state.json").write_text(text, encoding="utf-8")
        for file in aside.iterdir():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
        sync_folder(aside)
        if made.exists():  # the same step saved again: its content is the same
            shutil.rmtree(made)
        os.replace(aside, made)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(place)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in (folder / FOLDER).glob("step-*") if path.name[5:].isdigit())


def load_checkpoint(path: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Put weights, optimizer and random states back as they were.

    Raises:
        FolderError: a file is missing or damaged.
    """
    weights, _ = read_tensors(path / "model.safetensors")
    fill(model, weights, path / "model.safetensors")
    tensors, _ = read_tensors(path / "optimizer.safetensors")
    for name, parameter in model.named_parameters():
        optimizer.state[parameter] = {
            key.removeprefix(f"{name}::"): tensor.to(parameter.device if tensor.dim() else "cpu")
            for key, tensor in tensors.items()
            if key.startswith(f"{name}::")
        }
    torch.set_rng_state(tensors[f"{_RANDOM}cpu"])
    if torch.cuda.is_available() and f"{_RANDOM}cuda" in tensors:
        torch.cuda.set_rng_state(tensors[f"{_RANDOM}cuda"])
    try:
        return TrainingState.from_json(json.loads((path / "state.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FolderError(
            f"is damaged: {error}", place=str(path / "state.json"), cure=f"remove {path}"
        ) from error


def _optimizer_tensors(model: Seq2Seq, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}::{key}": value.detach().contiguous().cpu()
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _random_states() -> dict[str, Tensor]:
    states = {f"{_RANDOM}cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states[f"{_RANDOM}cuda"] = torch.cuda.get_rng_state()
    return states
