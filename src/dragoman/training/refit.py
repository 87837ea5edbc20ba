"""Trains once more from the beginning, on all pairs, for as long as a first run showed to be best.

Of few pairs each one counts, and the held-out ones teach as much as the others. The scores of a run
stay those of its first training, which did not know the held-out pairs.
"""

import shutil
from dataclasses import replace
from itertools import chain
from typing import Any

from dragoman.data.corpus import Corpus, write_corpus, write_groups
from dragoman.data.plans import Group
from dragoman.layout import REFIT, TRAIN
from dragoman.model.folder import save_weights
from dragoman.training.checkpoint import checkpoints
from dragoman.training.folder import add_notes, read_record
from dragoman.training.loop import STOPPED, deciding, train_loop
from dragoman.training.observer import Event, Measured
from dragoman.training.plan import patience
from dragoman.training.start import assemble_run
from dragoman.training.state import Run

_UNWATCHED: dict[str, Any] = {"epochs": 0, "budget": "none", "patience": 0, "schedule": "cosine"}
"""Options of a training whose number of steps is known and that no validation stops."""

_FEWEST_STEPS = 2_000
"""Steps where patience ended the first training: its few held-out pairs may have done so early."""


def refit(run: Run, began: float) -> str:
    """Train a new model on all pairs of a finished run, and put its weights into the folder.

    Its own folder within that of the run has its checkpoints, from which it goes on after an
    interruption; at the end it is removed.

    Args:
        run: finished; its best weights tell the number of steps. Where no validation found
            anything right, the best is but the first, and all steps that it made count.
        began: the monotonic clock when the command started.

    Returns:
        Why it ended; empty where there is nothing to do: it is done already, or the first training
        made no step.
    """
    folder, first, state = run.folder / REFIT, run.prepared, run.state
    if not state.step:
        run.say("no refit: the first training made no step, its model is as it began")
    if not state.step or read_record(run.folder).get("refit") == state.best_step:
        return ""
    useful = any(deciding(state.best_scores, first.config.training.metric))
    learned = state.best_step if useful else state.step
    folder.mkdir(exist_ok=True)
    examples = chain(first.train.examples(), first.validation.examples())
    pairs = write_corpus(folder / TRAIN, examples).total()
    write_groups(folder / TRAIN, [*first.train.groups, Group(len(first.validation))])
    drawn = sum(group.drawn for group in first.train.groups)
    steps = round(learned * (drawn + len(first.validation)) / drawn)
    if patience(first.config.training):
        steps = max(steps, _FEWEST_STEPS)
    options = replace(first.config.training, steps=steps, validate_every=steps + 1, **_UNWATCHED)
    config = replace(first.config, training=options)
    prepared = replace(first, config=config, train=Corpus(folder / TRAIN), held_out=False)

    def tell(event: Event) -> None:
        """Pass on what is not a score on pairs that this model knows."""
        if not isinstance(event, Measured) or event.row["kind"] == "train":
            run.tell(event)

    begins = began if checkpoints(folder) else run.began
    again = assemble_run(folder, prepared, run.processes, [tell], begins)
    run.say(f"refit: learning anew from all {pairs:,} pairs, for {steps:,} steps")
    reason = train_loop(again)
    if not reason.startswith(STOPPED):
        save_weights(run.folder, again.model, first.source, first.target)
        note = f"Refit: these weights learned from all {pairs:,} pairs for {steps:,} steps. "
        note += "The scores are those of the first training, which did not know the held-out pairs."
        add_notes(run.folder, [note], refit=state.best_step)
        shutil.rmtree(folder)
    return reason
