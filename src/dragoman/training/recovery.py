"""When a step goes wrong: gradients that are no numbers, and batches that memory does not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from dragoman.data.batches import Batch
from dragoman.data.corpus import Corpus
from dragoman.data.plans import Rows
from dragoman.errors import TrainingError
from dragoman.files import remove_folder, write_text
from dragoman.layout import SKIPPED
from dragoman.model.seq2seq import Loss, Seq2Seq
from dragoman.training.checkpoint import checkpoints, load_checkpoint, step_of
from dragoman.training.state import TrainingState

MOST_SKIPPED = 20
"""Steps with a non-finite gradient, one after another, before the run goes back."""
MOST_RETURNS = 3
"""Times that a run goes back before it ends."""
_KEPT = 20
"""Batches that are written down."""


def note_batch(folder: Path, step: int, corpus: Corpus, rows: Rows) -> None:
    """Write down the pairs of a step that was left out: their lines in the file of pairs."""
    place = folder / SKIPPED
    place.mkdir(exist_ok=True)
    if len(list(place.iterdir())) < _KEPT:
        pairs = [
            {"line": corpus.line(row), "source": source.ids.tolist(), "target": target.tolist()}
            for row in sorted(map(int, rows))
            for source, target in (corpus.pair(row),)
        ]
        write_text(place / f"step-{step:08d}.json", json.dumps({"step": step, "pairs": pairs}))


def go_back(
    folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, state: TrainingState, step: int
) -> TrainingState:
    """The last checkpoint before those left out up to ``step``, with half the learning rate.

    Raises:
        TrainingError: there is none, or the run has gone back often enough.
    """
    good = step + 1 - state.skipped_in_a_row
    saved = [path for path in checkpoints(folder) if step_of(path) <= good]
    if not saved or state.returns == MOST_RETURNS:
        raise TrainingError(
            f"{MOST_SKIPPED} steps in a row had no finite gradient",
            place=f"step {step + 1}",
            cure="lower --training.learning-rate, or set --training.precision fp32",
        )
    old = load_checkpoint(saved[-1], model, optimizer)
    for later in checkpoints(folder):
        if step_of(later) > good:  # of a way that the run does not take now
            remove_folder(later)
    return replace(
        old,
        returns=state.returns + 1,
        skipped=state.skipped,
        elapsed=state.elapsed,
        best=state.best,
        best_step=state.best_step,
        best_scores=state.best_scores,
    )


def in_parts(
    batch: Batch,
    state: TrainingState,
    run: Callable[[Batch], Loss],
    undo: Callable[[], None],
    say: Callable[[str], None],
) -> Loss:
    """Run a batch whole, or in as many parts as memory asks for; their sums.

    Args:
        batch: what is to be learned from.
        state: remembers the most positions that memory held.
        run: forward and backward of one part.
        undo: takes back the gradients of the parts that are done.
        say: receives what the user should read.

    Raises:
        TrainingError: memory does not hold a single pair.
    """
    sentences, positions = len(batch.source), batch.source.numel() + batch.target_in.numel()
    while True:
        parts = min(sentences, -(-positions // state.positions) if state.positions else 1)
        try:
            sums = [run(part) for part in batch.split(parts)]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            undo()
            if parts >= sentences:
                raise TrainingError(
                    f"memory does not hold one pair of {positions // sentences} tokens",
                    place=f"step {state.step}",
                    cure="lower max_tokens, or the model's sizes",
                ) from error
        else:
            return Loss(*(torch.stack(each).sum() for each in zip(*sums)))  # noqa: B905
        state.positions = max(1, positions // (2 * parts))
        say(f"step {state.step}: out of memory; from here on {state.positions:,} tokens at a time")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python failed for want of memory, on a processor or a GPU."""
    text = str(error)
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or "can't allocate memory" in text
        or "not enough memory" in text
    )
