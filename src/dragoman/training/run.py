"""A whole training: from files of pairs to a model folder, begun or taken up again."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import flat
from dragoman.data.lines import fingerprint
from dragoman.data.prepare import Prepared, prepare
from dragoman.errors import OptionError, UsageError
from dragoman.files import final_name, refuse_ways_out, write_text
from dragoman.layout import (
    CONFIDENCE,
    CONFIG,
    CORPUS,
    LOCK,
    METRICS,
    RECORD,
    REPORT,
    SOURCE,
    TARGET,
    WEIGHTS,
)
from dragoman.lock import locked
from dragoman.model.folder import save_setup
from dragoman.model.seq2seq import Seq2Seq, build_model
from dragoman.runs.display import clock
from dragoman.runs.history import utf8_text
from dragoman.runs.rows import MetricsLog
from dragoman.runs.scores import scores_line
from dragoman.training.checkpoint import checkpoints, load_checkpoint
from dragoman.training.loop import Run, ended, train_loop
from dragoman.training.machine import fixed_order, keep_freed_memory, keep_threads, threads_restored
from dragoman.training.optimizer import build_optimizer, keep_gradients
from dragoman.training.plan import resolve
from dragoman.training.progress import Reporter
from dragoman.training.resume import LIMITS, asked_for, can_be_read_again, reopen
from dragoman.training.sizing import probe_longest, require_memory, with_fastest_batch
from dragoman.training.start import fill_frequencies, fill_parts, fill_vectors, freeze
from dragoman.training.state import TrainingState
from dragoman.training.trackers import Trackers, require_trackers

Show = Callable[[Seq2Seq, Prepared], Any]
_OURS = {CORPUS, LOCK, RECORD, SOURCE, TARGET, CONFIG}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    folder: Path
    reason: str
    state: TrainingState
    is_main_process: bool = True

    @property
    def interrupted(self) -> bool:
        """A signal ended it; the same command goes on."""
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
    show: Show | None = None,
    refresh: Callable[[Path], None] = lambda folder: None,
    resume_with: Mapping[str, Any] | None = None,
) -> Outcome:
    """Train a model on ``files`` into the folder ``out``; the same call again resumes.

    Started by ``torchrun`` or ``accelerate launch``, all processes train one model together.

    Args:
        files: one file of pairs, or two aligned ones.
        out: the model folder; made when it is not there.
        config: the options; ``"auto"`` is chosen from the data.
        console: where progress is shown (default: stderr).
        began: the monotonic clock when the command started, from which its budget counts.
        show: gives what is printed every ``training.show_every`` steps.
        refresh: called with the folder when it holds something new to report.
        resume_with: options that a run which was begun goes on with from here, by name: see
            :data:`~dragoman.training.resume.CHANGEABLE`.

    Raises:
        UsageError: wrong options, unusable data, or a folder that holds another run.
        TrainingError: the numbers went wrong.
    """
    began = time.monotonic() if began is None else began
    check_options(config)
    require_trackers(config.training.track)
    if config.training.threads != "auto":
        torch.set_num_threads(config.training.threads)
    # Without a device, several processes are told of each other only when it is said so.
    accelerator = Accelerator(cpu=not torch.accelerator.is_available())
    changes = resume_with or {}
    if not (out / CONFIG).exists():
        _require_beginning(out, config, changes, accelerator.num_processes)
    if not accelerator.is_main_process:
        accelerator.wait_for_everyone()  # the main process prepares the folder
        return _train(
            list(files), out, config, Console(quiet=True), began, accelerator, None, refresh, {}
        )
    refuse_foreign(out)
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        try:
            shown = console or Console(stderr=True)
            return _train(
                list(files), out, config, shown, began, accelerator, show, refresh, changes
            )
        except UsageError:
            if is_new:  # it came to nothing: leave nothing
                shutil.rmtree(out, ignore_errors=True)
            raise
        finally:
            if is_new and not (out / CONFIG).exists():
                shutil.rmtree(out, ignore_errors=True)


def _require_beginning(
    out: Path, config: Config, changes: Mapping[str, Any], processes: int
) -> None:
    """Refuse what only a run that was begun can do, in every process and before any waits."""
    if changes:
        raise OptionError(
            f"there is no run in {out} to go on with",
            place="--resume-with",
            cure="give these options themselves to begin one",
        )
    if config.training.batch_tokens == "fastest" and processes > 1:
        raise OptionError(
            f"the fastest batch is measured in one process, here are {processes}",
            place="training.batch_tokens",
            cure="give a number",
        )


def _train(
    files: list[Path],
    out: Path,
    config: Config,
    console: Console,
    began: float,
    accelerator: Accelerator,
    show: Show | None,
    refresh: Callable[[Path], None],
    changes: Mapping[str, Any],
) -> Outcome:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if (out / CONFIG).exists():
        prepared = reopen(files, out, config, changes, say)
        if warning := keep_threads(int(prepared.config.training.threads)):
            say(warning)
    else:
        prepared = begin(files, out, config, say)
    if accelerator.is_main_process:
        accelerator.wait_for_everyone()
    say(_summary(prepared))
    with _signals() as stopper:
        run = assemble_run(out, prepared, console, began, stopper, accelerator)
        if show is not None:
            run.show = lambda: console.print(show(run.model, prepared))
        if run.state.finished and ended(run) and (out / WEIGHTS).exists():
            say(f"nothing to do: {run.state.finished}")
            return Outcome(out, run.state.finished, run.state, accelerator.is_main_process)
        if run.state.step:
            say(f"resuming at step {run.state.step}, after {clock(run.state.elapsed)}")
        run.state.finished = ""
        if accelerator.is_main_process:
            (out / CONFIDENCE).unlink(missing_ok=True)  # it was of other weights
        run.reporter.refresh = partial(refresh, out)
        values = flat(run.config)
        limits = {name: values[name] for name in LIMITS}
        names = run.config.training.track if accelerator.is_main_process else ()
        trackers = Trackers(names, out, run.config, run.state.step, say)
        fixed = fixed_order(run.config.training.deterministic)
        with closing(trackers), run.reporter, fixed:
            run.reporter.start(run.state, limits, trackers.log)
            if not ended(run):
                probe_longest(run)
            reason = train_loop(run)
            run.reporter.end(run.state, reason, interrupted=reason.startswith("stopped by"))
    scores = scores_line(run.state.best_scores) or "not validated yet"
    say(f"{reason} after {clock(run.state.elapsed)}; best at step {run.state.best_step}: {scores}")
    if accelerator.num_processes > 1:
        accelerator.wait_for_everyone()
        accelerator.end_training()  # closes the processes' connections before they end
    return Outcome(out, reason, run.state, accelerator.is_main_process)


def begin(files: list[Path], out: Path, config: Config, say: Any) -> Prepared:
    """Prepare the data and write everything that a model folder has before its weights."""
    digest = fingerprint(files) if can_be_read_again(files) else "a stream"
    notes: list[str] = []

    def note(text: str) -> None:
        say(text)
        notes.append(text)

    prepared = prepare(files, out, config, note)
    if config.training.batch_tokens == "fastest":
        with fixed_order(config.training.deterministic):
            prepared = with_fastest_batch(prepared, note)
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
        "notes": [utf8_text(note) for note in notes],
    }
    write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False))
    # config.toml comes last: a folder that has it has all the rest.
    save_setup(out, resolved, prepared.source, prepared.target)
    return replace(prepared, config=resolved)


def assemble_run(
    out: Path,
    prepared: Prepared,
    console: Console,
    began: float,
    interrupted: Any,
    accelerator: Accelerator,
) -> Run:
    """Build model and optimizer, from the last checkpoint if there is one."""
    config = prepared.config
    options = config.training
    require_memory(prepared)
    keep_freed_memory()
    torch.manual_seed(options.seed)
    model = build_model(config.model, **prepared.sizes)
    saved = checkpoints(out)
    tokenizers = (prepared.source, prepared.target)
    if not saved:
        fill_frequencies(model, prepared.train)
        begun_with = [*fill_vectors(model, config, *tokenizers), *fill_parts(model, config)]
        for line in begun_with:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    freeze(model, config, *tokenizers)
    model.to(accelerator.device)
    optimizer = build_optimizer(model, options)
    state = load_checkpoint(saved[-1], model, optimizer) if saved else TrainingState()
    if accelerator.num_processes == 1 and accelerator.device.type == "cpu":
        keep_gradients(model)
    learner = accelerator.prepare(model)
    log = MetricsLog(out / METRICS, step=state.step) if accelerator.is_main_process else None
    reporter = Reporter(console, log, options)
    return Run(
        out,
        config,
        prepared,
        accelerator,
        model,
        learner,
        optimizer,
        state,
        reporter,
        began - state.elapsed,
        interrupted,
    )


def _summary(prepared: Prepared) -> str:
    config, model = prepared.config, prepared.config.model
    return (
        f"{len(prepared.train):,} pairs to learn from, {len(prepared.validation):,} "
        f"{'held out' if prepared.held_out else 'of them for scores'}; vocabularies of "
        f"{len(prepared.source):,} ({config.source.level}) and {len(prepared.target):,} "
        f"({config.target.level}); {model.cell} {model.embedding} x {model.hidden}, attention "
        f"{model.attention}; {config.training.precision}"
    )


def refuse_foreign(out: Path) -> None:
    """Raise unless ``out`` is absent, empty, or a folder that a training of ours began."""
    for path in (out, *out.parents):
        if path.exists() and not path.is_dir():
            raise OptionError(
                "is a file, a folder is expected", place=str(path), cure="another --out"
            )
    if out.is_dir():
        refuse_ways_out(out)
    if out.is_dir() and not (out / CONFIG).exists():
        foreign = sorted({final_name(path.name) for path in out.iterdir()} - _OURS)
        if foreign:
            raise OptionError(
                f"is not empty and no model folder: it holds {foreign[0]!r}",
                place=str(out),
                cure="choose another --out",
            )


@contextmanager
def _signals() -> Iterator[Any]:
    """Turn the first SIGINT or SIGTERM into a request to stop; the second acts as usual."""
    asked = ""
    old: dict[int, Any] = {}

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        asked = signal.Signals(number).name
        signal.signal(number, old[number])

    for caught in (signal.SIGINT, signal.SIGTERM):
        try:
            old[caught] = signal.signal(caught, ask)
        except ValueError:  # not in the main thread: the caller handles signals
            break
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
