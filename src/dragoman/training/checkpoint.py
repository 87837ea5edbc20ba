"""Checkpoints: folders with everything that a run needs to continue to the same bits.

checkpoints/step-00001000/
    model.safetensors      weights
    optimizer.safetensors  the optimizer's tensors of each weight, and the random states
    state.json             counters and the position in the data
"""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save

from dragoman.data.setup import read_tensors
from dragoman.errors import FolderError
from dragoman.files import ASIDE, parse_json, reading, replacing, sync, write_text
from dragoman.layout import CHECKPOINTS, OPTIMIZER, STATE, WEIGHTS
from dragoman.model.folder import fill, tensors_of
from dragoman.model.seq2seq import Seq2Seq
from dragoman.training.state import TrainingState

_RANDOM = "random."


def save_checkpoint(
    folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int
) -> None:
    """Write a checkpoint beside the others, then remove all but the last ``keep``.

    Raises:
        OSError: it could not be written; the others are still there.
    """
    place = folder / CHECKPOINTS
    if not place.exists():
        place.mkdir()
        sync(folder)
    made = place / f"step-{state.step:08d}"
    text = json.dumps(asdict(state), indent=1)
    if made.exists():  # saved at this step before: only the counters can differ
        write_text(made / STATE, text)
        return
    rest = {f"{_RANDOM}cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        rest[f"{_RANDOM}cuda"] = torch.cuda.get_rng_state()
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                rest[f"{name}::{key}"] = value.detach().contiguous().cpu()
    contents = {WEIGHTS: save(tensors_of(model)), OPTIMIZER: save(rest), STATE: text.encode()}
    with replacing(made, folder=True) as aside:
        for name, content in contents.items():
            (aside / name).write_bytes(content)
    for old in checkpoints(folder)[:-keep]:
        with suppress(OSError):  # renamed first, so that it is whole until it is gone
            os.replace(old, f"{old}{ASIDE}")
    for left in place.glob(f"*{ASIDE}"):  # these, and what a crash left
        shutil.rmtree(left, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(path for path in (folder / CHECKPOINTS).glob("step-*") if path.name[5:].isdigit())


def load_checkpoint(path: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Restore weights, optimizer and random states; returns the counters.

    Raises:
        FolderError: a file is missing or damaged.
    """
    cure = f"remove {path}: the run goes on from before it"
    try:
        fill(model, read_tensors(path / WEIGHTS)[0], path / WEIGHTS)
        tensors, _ = read_tensors(path / OPTIMIZER)
    except FolderError as error:
        raise FolderError(error.cause, place=error.place, cure=cure) from error
    with reading(path / STATE, "is damaged", cure):
        for name, parameter in model.named_parameters():
            for key in [key for key in tensors if key.startswith(f"{name}::")]:
                tensor = tensors[key].to(parameter.device)
                if tensor.ndim and tensor.shape != parameter.shape:
                    raise ValueError(f"the optimizer's tensors of {name} have another shape")
                optimizer.state[parameter][key.removeprefix(f"{name}::")] = tensor
        torch.set_rng_state(tensors[f"{_RANDOM}cpu"])
        if torch.cuda.is_available() and f"{_RANDOM}cuda" in tensors:
            torch.cuda.set_rng_state(tensors[f"{_RANDOM}cuda"])
        return TrainingState.from_json(parse_json((path / STATE).read_text("utf-8")))
