"""Averages checkpoints: writes the mean of their weights as a new model folder."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from dragoman.data.setup import load_setup, read_tensors, save_setup
from dragoman.errors import FolderError, OptionError
from dragoman.files import replacing
from dragoman.layout import WEIGHTS
from dragoman.model.build import build_model
from dragoman.model.folder import fill, save_weights
from dragoman.training.checkpoint import checkpoints, step_of
from dragoman.training.folder import open_run
from dragoman.training.validation import fit_and_save_confidence


def average(
    folder: str | Path, out: str | Path, *, last: int = 0, steps: Sequence[int] = ()
) -> list[Path]:
    """Write the mean of the weights of some checkpoints of ``folder`` as the model folder ``out``.

    Its confidence is fitted to the run's held-out pairs.

    Args:
        folder: a run.
        out: the new model folder; all of it appears at once.
        last: number of latest checkpoints; 0: all.
        steps: steps of the checkpoints to average instead.

    Returns:
        The checkpoints that were taken.

    Raises:
        FolderError: ``folder`` is no run, has no such checkpoints, or one is damaged.
        OptionError: ``out`` is there already, or cannot be made.
    """
    folder, out = Path(folder), Path(out)
    config, source, target = load_setup(folder)
    if out.exists():
        raise OptionError("is there already", place=str(out), cure="choose another --out")
    if not out.parent.is_dir():
        raise OptionError(f"no such folder: {out.parent}", place="--out")
    there = {step_of(path): path for path in checkpoints(folder)}
    wanted = sorted({*steps}) or list(there)[-last:]
    if not wanted or last > len(there) or {*wanted} - {*there}:
        cause = f"lacks checkpoints that are asked for; there are {list(there)}"
        cure = "training keeps as many as training.keep says"
        raise FolderError(cause, place=str(folder), cure=cure)
    chosen = [there[step] for step in wanted]
    model = build_model(config.model, source_vocabulary=len(source), target_vocabulary=len(target))
    sums = [torch.zeros_like(weight, dtype=torch.float64) for weight in model.parameters()]
    with torch.no_grad():
        for path in chosen:
            fill(model, read_tensors(path / WEIGHTS)[0], path / WEIGHTS)
            for total, parameter in zip(sums, model.parameters(), strict=True):
                total.add_(parameter)
        for total, parameter in zip(sums, model.parameters(), strict=True):
            parameter.copy_(total / len(chosen))
    with replacing(out, folder=True) as aside:
        save_setup(aside, config, source, target)
        save_weights(aside, model, source, target)
    with suppress(FolderError):  # the corpus was deleted
        prepared = open_run(folder)
        if prepared.held_out:
            fit_and_save_confidence(out, prepared)
    return chosen
