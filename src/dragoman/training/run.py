"""A whole training: from files of pairs to a model folder, begun or resumed, and its refit.

A refit trains once more from the beginning, on all pairs, for as long as the first training showed
to be best. Of few pairs each one counts, and the held-out ones teach as much as the others. The
scores stay those of the first training, which did not know the held-out pairs.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from signal import Signals
from typing import Any

from rich.console import Console

from dragoman.config.continuing import prepared_folder
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import flat
from dragoman.data.corpus import Corpus, write_corpus, write_groups
from dragoman.data.plans import Group
from dragoman.data.remote import local_paths
from dragoman.layout import CONFIDENCE, METRICS, REFIT, TRAIN, WEIGHTS
from dragoman.model.folder import save_weights
from dragoman.runs.display import before_and_after, clock, scores_line
from dragoman.runs.history import History, delete_later_rows
from dragoman.training.checkpoint import checkpoints
from dragoman.training.distributed import Processes
from dragoman.training.folder import add_notes, begin, claimed, open_run, read_record
from dragoman.training.loop import STOPPED, deciding, ended, stop_on_signals, train_loop
from dragoman.training.machine import environment, torch_settings
from dragoman.training.observer import Event, Measured, Message, Observer, Screen, Trackers
from dragoman.training.plan import patience
from dragoman.training.start import assemble_run
from dragoman.training.state import Run, TrainingState
from dragoman.training.validation import verdict

_UNWATCHED: dict[str, Any] = {"epochs": 0, "budget": "none", "patience": 0, "schedule": "cosine"}
"""Options of a refit: its number of steps is known, and no validation stops it."""
_FEWEST_STEPS = 2_000
"""Least number of steps of a refit where patience ended the first training: with few held-out pairs
it may have ended it too early."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    folder: Path
    reason: str
    state: TrainingState
    is_main_process: bool = True

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it; the same command goes on."""
        return self.reason.startswith(STOPPED)

    @property
    def exit_code(self) -> int:
        """The exit code of its command: 0, or 128 and the number of the signal that stopped it."""
        return 128 + Signals[self.reason.rpartition(" ")[2]] if self.interrupted else 0


def train(
    files: list[Path],
    out: Path,
    config: Config,
    *,
    console: Console | None = None,
    began: float | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train a model on ``files`` into the folder ``out``; the same call again resumes.

    Started by ``torchrun`` or ``accelerate launch``, all processes train one model together. Where
    ``files`` name a prepared corpus, each reads its own copy, and only the first needs ``out``.

    Args:
        files: one file of pairs, two aligned ones, or a folder with a prepared corpus.
        out: the model folder; made when it is not there.
        config: the options; ``"auto"`` is chosen from the data. A run that is resumed goes on with
            those of its options that may change and have.
        console: where progress is shown (default: stderr).
        began: the monotonic clock when the command started, from which its budget counts.
        observers: receive the events of the training, in the main process.

    Raises:
        UsageError: wrong options, unusable data, a folder that holds another run, or processes
            with different corpora.
        TrainingError: gradients stay non-finite, or memory does not hold one pair.
    """
    began = time.monotonic() if began is None else began
    check_options(config)
    for name in config.training.track:
        import_module(name)  # a missing package is an error before any work is done
    processes, receivers = Processes(), list[Observer]()
    _require_alike(processes, files, config)
    with ExitStack() as stack:
        with processes.together():  # until the main process has prepared the folder
            if processes.is_main:
                stack.enter_context(claimed(out))
                screen = stack.enter_context(closing(Screen(console or Console(stderr=True))))
                receivers = [screen, *observers]
                prepared = begin(files, out, config, lambda text: screen(Message(text)))
                model, precision = prepared.config.model, prepared.config.training.precision
                screen(Message(f"{prepared}; {model}; {precision}"))
        if processes.count > 1:
            with processes.together():
                # The main process has told of downloads; standard output is for results.
                mine = () if processes.is_main else local_paths(files, lambda text: None)
                prepared = open_run(place := prepared_folder(mine) or out)
            processes.agree(read_record(place)["digests"])
            prepared = replace(prepared, config=processes.from_main(prepared.config))
        stack.enter_context(torch_settings(prepared.config.training))
        run = assemble_run(out, prepared, processes, receivers, began)
        stack.enter_context(stop_on_signals(run))
        reason = _train_and_refit(run, began)
        if reason.startswith(STOPPED):
            run.say("the same command goes on from here")
        processes.close()
        return Outcome(out, reason, run.state, processes.is_main)


def _require_alike(processes: Processes, files: Sequence[Path], config: Config) -> None:
    """Refuse processes that do not have the same versions, options and files.

    Raises:
        OptionError: something differs.
    """
    here = environment()
    versions = {"version of dragoman": here["dragoman"], "version of torch": here["torch"]}
    # Hosts may have other numbers of cores.
    alike = flat(replace(config, training=replace(config.training, threads="auto")))
    processes.agree({**versions, **alike, "PAIRS": [file.name for file in files]})


def _train_and_refit(run: Run, began: float) -> str:
    """Train an assembled run to its end, and refit it where its options ask for that.

    Args:
        run: begun or resumed; it may have ended already.
        began: the monotonic clock when the command started.

    Returns:
        Why the last training ended.
    """
    refits, reason = run.config.training.refit is True and run.prepared.held_out, run.state.finished
    if refits and not (refits := run.processes.count == 1):
        run.say("no refit: it takes a single process")
    run.budget_share = 0.5 if refits else 1.0
    if run.processes.from_main(bool(reason and ended(run) and (run.folder / WEIGHTS).exists())):
        run.say(f"nothing to do: {reason}")
    else:
        reason = _train(run)
    if refits and not reason.startswith(STOPPED):
        reason = refit(run, began) or reason
    return reason


def _train(run: Run) -> str:
    """Train an assembled run; returns why it ended."""
    out, state, is_main = run.folder, run.state, run.processes.is_main
    if state.step:
        run.say(f"resuming at step {state.step}, after {clock(state.elapsed)}")
    state.finished = ""
    with ExitStack() as stack:
        if is_main:
            (out / CONFIDENCE).unlink(missing_ok=True)  # it was of other weights
            trackers = Trackers(out, run.config, state.step, run.say)
            run.observers.insert(0, stack.enter_context(closing(trackers)))
            delete_later_rows(out / METRICS, step=state.step, validated=state.validated)
        run.log("start", {"environment": environment()})
        reason = train_loop(run)
        run.log("end", {"reason": reason, "interrupted": reason.startswith(STOPPED)})
    state = run.state
    if is_main and state.best_scores and not reason.startswith(STOPPED):
        said = verdict(out, run.prepared, state.best_scores)
        changes = before_and_after(History.of(out))
        add_notes(out, [changes] if changes else [], verdict=said)
        for text in filter(None, (said, changes)):
            run.say(text)
    scores = scores_line(state.best_scores, run.config.training.metric) or "not validated yet"
    run.say(f"{reason} after {clock(state.elapsed)}; best at step {state.best_step}: {scores}")
    return reason


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
