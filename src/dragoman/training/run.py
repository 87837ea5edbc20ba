"""A whole training: from files of pairs to a model folder, begun or resumed."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.data.prepare import Prepared
from dragoman.layout import CONFIDENCE, CONFIG, METRICS, WEIGHTS
from dragoman.runs.display import before_and_after, clock
from dragoman.runs.history import History, delete_later_rows
from dragoman.runs.scores import scores_line
from dragoman.training.distributed import Processes
from dragoman.training.folder import add_notes, begin, claimed, open_run, reopen
from dragoman.training.loop import STOPPED, ended, stop_on_signals, train_loop
from dragoman.training.machine import environment, torch_settings
from dragoman.training.observer import Message, Observer, Screen, Trackers
from dragoman.training.refit import refit
from dragoman.training.start import assemble_run
from dragoman.training.state import Run, TrainingState
from dragoman.training.validation import verdict


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

    Started by ``torchrun`` or ``accelerate launch``, all processes train one model together.

    Args:
        files: one file of pairs, or two aligned ones.
        out: the model folder; made when it is not there.
        config: the options; ``"auto"`` is chosen from the data. A run that is resumed goes on with
            those of its options that may change and have.
        console: where progress is shown (default: stderr).
        began: the monotonic clock when the command started, from which its budget counts.
        observers: receive the events of the training, in the main process.

    Raises:
        UsageError: wrong options, unusable data, or a folder that holds another run.
        TrainingError: gradients stay non-finite, or memory does not hold one pair.
    """
    began = time.monotonic() if began is None else began
    check_options(config)
    for name in config.training.track:
        import_module(name)  # a missing package is an error before any work is done
    processes = Processes()
    receivers: list[Observer] = []
    with ExitStack() as stack:
        if processes.is_main:
            stack.enter_context(claimed(out))
            screen = stack.enter_context(closing(Screen(console or Console(stderr=True))))
            receivers = [screen, *observers]
            opened = reopen if (out / CONFIG).exists() else begin
            prepared = opened(files, out, config, lambda text: screen(Message(text)))
            screen(Message(_summary(prepared)))
        processes.wait()  # until the main process has prepared the folder
        if not processes.is_main:
            prepared = open_run(out)
        stack.enter_context(torch_settings(prepared.config.training))
        run = assemble_run(out, prepared, processes, receivers, began)
        stack.enter_context(stop_on_signals(run))
        options, reason = run.config.training, run.state.finished
        refits = options.refit is True and prepared.held_out
        if refits and processes.count > 1:
            run.say("no refit: it takes a single process")
            refits = False
        run.budget_share = 0.5 if refits else 1.0
        if reason and ended(run) and (out / WEIGHTS).exists():
            run.say(f"nothing to do: {reason}")
        else:
            reason = _train(run)
        if refits and not reason.startswith(STOPPED):
            reason = refit(run, began) or reason
        processes.close()
        return Outcome(out, reason, run.state, processes.is_main)


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
        run.reported = (time.monotonic(), state.tokens)
        reason = train_loop(run)
        run.log("end", {"reason": reason, "interrupted": reason.startswith(STOPPED)})
    state = run.state
    if is_main and state.best_scores and not reason.startswith(STOPPED):
        said = verdict(out, run.prepared, state.best_scores)
        add_notes(out, [], verdict=said)
        if said:
            run.say(said)
        if changes := before_and_after(History.of(out)):
            add_notes(out, [changes])
            run.say(changes)
    first = run.config.training.metric
    scores = scores_line(state.best_scores, first) or "not validated yet"
    run.say(f"{reason} after {clock(state.elapsed)}; best at step {state.best_step}: {scores}")
    return reason


def _summary(prepared: Prepared) -> str:
    config, model = prepared.config, prepared.config.model
    return (
        f"{len(prepared.train):,} pairs to learn from, {len(prepared.validation):,} "
        f"{'held out' if prepared.held_out else 'of them for scores'}; vocabularies of "
        f"{len(prepared.source):,} ({config.source.level}) and {len(prepared.target):,} "
        f"({config.target.level}); {model}; {config.training.precision}"
    )
