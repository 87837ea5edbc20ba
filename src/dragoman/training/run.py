"""A whole training: from files of pairs to a model folder, begun or resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import to_toml
from dragoman.data.lines import fingerprint
from dragoman.data.prepare import Prepared, Say, prepare
from dragoman.files import write_text
from dragoman.layout import CONFIDENCE, CONFIG, METRICS, RECORD, REPORT, WEIGHTS
from dragoman.model.build import build_model
from dragoman.model.folder import save_setup
from dragoman.model.sampled_softmax import frequency_ranks
from dragoman.runs.display import clock
from dragoman.runs.history import MetricsLog, utf8_text
from dragoman.runs.scores import scores_line
from dragoman.training.checkpoint import checkpoints, load_checkpoint
from dragoman.training.claim import claimed
from dragoman.training.distributed import Processes
from dragoman.training.loop import Run, ended, train_loop
from dragoman.training.machine import fixed_order, keep_freed_memory, keep_threads, threads_restored
from dragoman.training.memory import fit_batches, require_memory
from dragoman.training.observer import Event, Measured, Message, Observer, Observers
from dragoman.training.optimizer import build_optimizer
from dragoman.training.plan import resolve
from dragoman.training.reporter import Reporter
from dragoman.training.resume import add_notes, asked_for, can_be_read_again, open_run, reopen
from dragoman.training.screen import Screen
from dragoman.training.skipped import note_skipped
from dragoman.training.start import fill_frequencies, fill_parts, fill_vectors, freeze
from dragoman.training.state import TrainingState
from dragoman.training.stop import StopRequest, stop_on_signals
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
        return _train(open_run(out), {}, out, Observers(), processes, began)
    with claimed(out), closing(Screen(console or Console(stderr=True))) as screen:
        notify = Observers([screen])
        prepared, changed = _open(list(files), out, config, notify)
        processes.wait()
        return _train(prepared, changed, out, notify, processes, began, observers)


def _open(
    files: list[Path], out: Path, config: Config, notify: Observer
) -> tuple[Prepared, dict[str, Any]]:
    """Begin a run in ``out``, or reopen the one that is there."""

    def say(text: str) -> None:
        notify(Message(text))

    if not (out / CONFIG).exists():
        prepared, changed = begin(files, out, config, say), dict[str, Any]()
    else:
        prepared, changed = reopen(files, out, config, say)
        if warning := keep_threads(int(prepared.config.training.threads)):
            say(warning)
    say(_summary(prepared))
    return prepared, changed


def begin(files: list[Path], out: Path, config: Config, say: Say) -> Prepared:
    """Prepare the data and write everything that a model folder has before its weights."""
    digest = fingerprint(files) if can_be_read_again(files) else "a stream"
    notes: list[str] = []

    def note(text: str) -> None:
        say(text)
        notes.append(utf8_text(text))

    prepared = prepare(files, out, config, note)
    resolved = resolve(prepared.config, prepared.train)
    check_options(resolved)
    record = {
        "asked": asked_for(config),
        "data": digest,
        "held_out": prepared.held_out,
        "tokenizers": [prepared.source.digest, prepared.target.digest],
        "files": [utf8_text(file) for file in files],
        "out": utf8_text(out),
        "facts": prepared.facts(),
        "notes": notes,
    }
    write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
    # config.toml comes last: a folder that has it has all the rest.
    save_setup(out, resolved, prepared.source, prepared.target)
    return replace(prepared, config=resolved)


def _train(
    prepared: Prepared,
    changed: dict[str, Any],
    out: Path,
    notify: Observers,
    processes: Processes,
    began: float,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train what was prepared or reopened, up to its end or a signal."""
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        reporter = Reporter(notify, prepared.config.training)
        run = assemble_run(out, prepared, processes, reporter, stop, began)
        state = run.state
        if state.finished and ended(run) and (out / WEIGHTS).exists():
            reporter.say(f"nothing to do: {state.finished}")
            processes.close()
            return Outcome(out, state.finished, state, processes.is_main)
        if state.step:
            reporter.say(f"resuming at step {state.step}, after {clock(state.elapsed)}")
        state.finished = ""
        stack.enter_context(fixed_order(run.config.training.deterministic))
        if not ended(run) and (note := fit_batches(run)):
            reporter.say(note)
            if processes.is_main:
                write_text(out / CONFIG, to_toml(run.config))
                add_notes(out, [note])
        if processes.is_main:
            (out / CONFIDENCE).unlink(missing_ok=True)  # it was of other weights
            trackers = Trackers(out, run.config, state.step, reporter.say)
            stack.callback(trackers.close)
            log = _log_rows(MetricsLog(out / METRICS, step=state.step, validated=state.validated))
            skipped = note_skipped(out, prepared.train)
            notify.add(log, trackers, skipped, *observers)
        reporter.started(state, changed)
        reason = train_loop(run)
        state = run.state
        reporter.ended(state, reason, interrupted=reason.startswith("stopped by"))
    scores = scores_line(state.best_scores) or "not validated yet"
    reporter.say(f"{reason} after {clock(state.elapsed)}; best at step {state.best_step}: {scores}")
    processes.close()
    return Outcome(out, reason, state, processes.is_main)


def assemble_run(
    out: Path,
    prepared: Prepared,
    processes: Processes,
    reporter: Reporter,
    stop: StopRequest,
    began: float,
) -> Run:
    """Build model and optimizer, from the last checkpoint if there is one.

    Raises:
        OptionError: memory does not hold the model, or parts of another model do not fit.
        FolderError: the checkpoint is damaged.
    """
    config = prepared.config
    require_memory(prepared)
    keep_freed_memory()
    torch.manual_seed(config.training.seed)
    model = build_model(config.model, **prepared.sizes)
    saved = checkpoints(out)
    tokenizers = (prepared.source, prepared.target)
    if not saved:
        fill_frequencies(model, prepared.train)
        for line in [*fill_vectors(model, config, *tokenizers), *fill_parts(model, config)]:
            reporter.say(line)
    freeze(model, config, *tokenizers)
    model.to(processes.device)
    optimizer = build_optimizer(model, config.training)
    state = load_checkpoint(saved[-1], model, optimizer) if saved else TrainingState()
    ranks = None
    if config.training.objective == "sampled":
        counts = prepared.train.target_counts(len(prepared.target))
        ranks = frequency_ranks(counts).to(processes.device)
    return Run(
        folder=out,
        config=config,
        prepared=prepared,
        processes=processes,
        model=model,
        learner=processes.wrap(model),
        optimizer=optimizer,
        state=state,
        reporter=reporter,
        began=began - state.elapsed,
        stop=stop,
        ranks=ranks,
    )


def _log_rows(log: MetricsLog) -> Observer:
    """An observer that appends every row to ``metrics.jsonl``."""

    def observe(event: Event) -> None:
        if isinstance(event, Measured):
            log.write(event.row)

    return observe


def _summary(prepared: Prepared) -> str:
    config, model = prepared.config, prepared.config.model
    return (
        f"{len(prepared.train):,} pairs to learn from, {len(prepared.validation):,} "
        f"{'held out' if prepared.held_out else 'of them for scores'}; vocabularies of "
        f"{len(prepared.source):,} ({config.source.level}) and {len(prepared.target):,} "
        f"({config.target.level}); {model.cell} {model.embedding} x {model.hidden}, attention "
        f"{model.attention}; {config.training.precision}"
    )
