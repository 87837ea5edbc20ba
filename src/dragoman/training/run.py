"""A whole training: from files of pairs to a model folder, begun or resumed."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import to_toml
from dragoman.data.prepare import Prepared
from dragoman.files import write_text
from dragoman.layout import CONFIDENCE, CONFIG, METRICS, REPORT, WEIGHTS
from dragoman.runs.display import clock
from dragoman.runs.history import MetricsLog
from dragoman.runs.scores import scores_line
from dragoman.training.distributed import Processes
from dragoman.training.folder import add_notes, begin, claimed, open_run, reopen
from dragoman.training.loop import ended, stop_on_signals, train_loop
from dragoman.training.machine import environment, fixed_order, keep_threads, threads_restored
from dragoman.training.observer import Ended, Event, Measured, Message, Observer, Screen, Started
from dragoman.training.start import assemble_run
from dragoman.training.state import TrainingState
from dragoman.training.step import fit_batches
from dragoman.training.trackers import Trackers, require_trackers


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
        return self.reason.startswith("stopped by")

    def _repr_html_(self) -> str:
        """The run's report, in a frame of its own."""
        report = self.folder / REPORT
        page = report.read_text("utf-8") if report.exists() else escape(self.reason)
        style = "width:100%;height:44em;border:0"
        return f'<iframe style="{style}" srcdoc="{escape(page)}"></iframe>'


@threads_restored()
def train(
    files: Sequence[Path],
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
        TrainingError: the numbers went wrong.
    """
    began = time.monotonic() if began is None else began
    check_options(config)
    require_trackers(config.training.track)
    if config.training.threads != "auto":
        torch.set_num_threads(config.training.threads)
    processes = Processes()
    if not processes.is_main:
        processes.wait()  # until the main process has prepared the folder
        return _train(out, open_run(out), {}, processes, [], began)
    with claimed(out), closing(Screen(console or Console(stderr=True))) as screen:

        def say(text: str) -> None:
            screen(Message(text))

        changed: dict[str, Any] = {}
        if not (out / CONFIG).exists():
            prepared = begin(list(files), out, config, say)
        else:
            prepared, changed = reopen(list(files), out, config, say)
            if warning := keep_threads(int(prepared.config.training.threads)):
                say(warning)
        say(_summary(prepared))
        processes.wait()
        return _train(out, prepared, changed, processes, [screen, *observers], began)


def _train(
    out: Path,
    prepared: Prepared,
    changed: dict[str, Any],
    processes: Processes,
    observers: list[Observer],
    began: float,
) -> Outcome:
    """Train what was prepared or reopened, up to its end or a signal."""
    with ExitStack() as stack:
        run = assemble_run(out, prepared, processes, observers, began)
        stack.enter_context(stop_on_signals(run))
        state, is_main = run.state, processes.is_main
        if state.finished and ended(run) and (out / WEIGHTS).exists():
            run.say(f"nothing to do: {state.finished}")
            processes.close()
            return Outcome(out, state.finished, state, is_main)
        if state.step:
            run.say(f"resuming at step {state.step}, after {clock(state.elapsed)}")
        state.finished = ""
        stack.enter_context(fixed_order(run.config.training.deterministic))
        if not ended(run) and (note := fit_batches(run)):
            run.say(note)
            if is_main:
                write_text(out / CONFIG, to_toml(run.config))
                add_notes(out, [note])
        if is_main:
            (out / CONFIDENCE).unlink(missing_ok=True)  # it was of other weights
            trackers = Trackers(out, run.config, state.step, run.say)
            stack.callback(trackers.close)
            log = MetricsLog(out / METRICS, step=state.step, validated=state.validated)

            def log_row(event: Event) -> None:
                if isinstance(event, Measured):
                    log.write(event.row)

            run.observers = [log_row, trackers, *observers]  # others may read what was logged
        facts = {"environment": environment(run.config.training), "changed": changed}
        run.tell(Started(run.row("start", facts)))
        run.reported = (time.monotonic(), state.tokens)
        reason = train_loop(run)
        outcome = Outcome(out, reason, run.state, is_main)
        end = {"reason": reason, "interrupted": outcome.interrupted}
        run.tell(Ended(run.row("end", end)))
    state = outcome.state
    scores = scores_line(state.best_scores) or "not validated yet"
    run.say(f"{reason} after {clock(state.elapsed)}; best at step {state.best_step}: {scores}")
    processes.close()
    return outcome


def _summary(prepared: Prepared) -> str:
    config, model = prepared.config, prepared.config.model
    return (
        f"{len(prepared.train):,} pairs to learn from, {len(prepared.validation):,} "
        f"{'held out' if prepared.held_out else 'of them for scores'}; vocabularies of "
        f"{len(prepared.source):,} ({config.source.level}) and {len(prepared.target):,} "
        f"({config.target.level}); {model.cell} {model.embedding} x {model.hidden}, attention "
        f"{model.attention}; {config.training.precision}"
    )
