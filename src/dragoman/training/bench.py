"""Measures how fast this machine trains, with the real training step, by size of batch.

Each size is measured in a new process: its peak memory is its own, and a size that memory does
not hold ends that process alone. A *round* is a few batches of exactly that many pairs, evenly
spread over the lengths in the corpus; the same round is run again and again, so that what differs
between rounds is the machine.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.data.batches import IdPairs, assemble
from dragoman.data.plans import Rows, longest_batch, plan_sentences
from dragoman.data.prepare import Say
from dragoman.data.samples import sample_pairs
from dragoman.errors import OptionError, TrainingError
from dragoman.files import write_text
from dragoman.training.distributed import Processes
from dragoman.training.folder import begin, open_run
from dragoman.training.machine import Usage, fixed_order, is_out_of_memory
from dragoman.training.start import assemble_run
from dragoman.training.step import train_step

SIZES = tuple(2**power for power in range(10))
"""Sentences of a batch that are tried when none are named."""
ROUND = 8
"""Batches of a round: enough for their tokens a pair to be the corpus's within a hundredth."""
LEAST_ROUNDS = 3
_KILLED = 9
"""The signal by which a system out of memory ends a process; not in ``signal`` everywhere."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """The speed and memory of one batch size; rates a second are medians over the rounds."""

    sentences: int
    batch_tokens: float
    """Real target tokens of a batch, on average."""
    samples_per_second: float
    tokens_per_second: float
    spread: float
    """Half the distance between the quartiles, as a share of the median."""
    memory: int | None
    """Most bytes held, the longest batch included: by the whole process, on a GPU by torch there;
    None where the system does not tell."""
    utilisation: float | None
    """Share of the cores' time that was used; on a GPU NVML's, None without nvidia-ml-py."""


def bench(
    pairs: str | Path | Sequence[str | Path] = (),
    config: Config | None = None,
    *,
    sizes: Sequence[int] = (),
    seconds: float = 3.0,
    say: Say = lambda text: None,
) -> Iterator[Throughput]:
    """Measure how fast this machine trains as ``config`` says, in batches of so many sentences.

    It starts processes: a script must call it under ``if __name__ == "__main__":``.

    Args:
        pairs: one file of pairs, or two aligned ones; none: the sample ``phrases``.
        config: the options of a training, but for how it fills its batches.
        sizes: sentences of a batch (default: 1, 2, 4 ... 512).
        seconds: least time to measure each for, after its warm-up.
        say: receives what the user should read.

    Yields:
        A row a size, the smallest first, until memory does not hold one.

    Raises:
        UsageError: wrong options or unusable data.
        TrainingError: memory does not hold the smallest size.
    """
    config = config or Config()
    check_options(config)
    if min(sizes, default=1) < 1:
        raise OptionError("a batch has at least 1 sentence", place="--sizes")
    if not 0 <= seconds < math.inf:
        raise OptionError(f"{seconds} is no time to measure for", place="--seconds")
    with TemporaryDirectory(prefix="dragoman-bench-") as place:
        folder = Path(place)
        files = [Path(file) for file in ([pairs] if isinstance(pairs, (str, Path)) else pairs)]
        if not files:
            files = [folder / "phrases.tsv"]
            lines = [f"{pair.source}\t{pair.target}\n" for pair in sample_pairs("phrases")]
            write_text(files[0], "".join(lines))
        there = len(begin(files, folder, config, say).train)
        if max(sizes, default=1) > there:
            raise OptionError(f"there are only {there} pairs to learn from", place="--sizes")
        asked = sorted(set(sizes)) or [size for size in SIZES if size <= there]
        for size in asked:
            found = in_own_process(measure, folder, size, seconds)
            if found is None and size == asked[0]:
                cause = f"memory does not hold {size} sentences"
                raise TrainingError(cause, cure="a smaller model")
            if found is None:
                say(f"{size} sentences a batch: memory does not hold them, the table ends before")
                return
            yield found


def in_own_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``work`` in a new process; returns its result, or None when memory does not hold it.

    A system that runs out of memory kills the process, and nothing else is expected to.

    Raises:
        TrainingError: the process died otherwise.
    """
    others = active_children()
    try:
        # Not forked: a fork of a process that has met the GPU cannot use it.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            given = pool.submit(work, *arguments)
            (own,) = (process for process in active_children() if process not in others)
            return given.result()
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error) or own.exitcode == -_KILLED:
            return None
        if isinstance(error, BrokenProcessPool):
            cause = f"the process that measured ended with exit code {own.exitcode}"
            raise TrainingError(cause, cure="see what it printed") from error
        raise


def measure(folder: Path, sentences: int, seconds: float) -> Throughput:
    """Measure one size in this process, for a run that was begun in ``folder``, which is only read.

    Raises:
        MemoryError: memory does not hold a batch of so many sentences.
    """
    prepared, processes = open_run(folder), Processes()
    train, device, options = prepared.train, processes.device, prepared.config.training
    torch.set_num_threads(int(options.threads))
    run = assemble_run(folder, prepared, processes, [], time.monotonic())
    batches, longest = choose_batches(train, sentences, options.seed)

    def play() -> float:
        began = time.perf_counter()
        for rows in batches:
            step = train_step(run, assemble(train, rows))
        step.read(run.state)  # waits for the device
        return time.perf_counter() - began

    with fixed_order(options.deterministic):
        play()  # the warm-up: every shape once
        train_step(run, assemble(train, longest)).read(run.state)
        took: list[float] = []
        began, usage = time.perf_counter(), Usage()
        while len(took) < LEAST_ROUNDS or time.perf_counter() - began < seconds:
            took.append(play())
    used = usage.measure()
    if run.state.positions:
        raise MemoryError("a batch was taken in parts")
    low, middle, high = (float(part) for part in np.percentile(took, (25, 50, 75)))
    tokens = sum(int((train.target_lengths[rows] + 1).sum()) for rows in batches)
    return Throughput(
        sentences,
        batch_tokens=tokens / len(batches),
        samples_per_second=sentences * len(batches) / middle,
        tokens_per_second=tokens / middle,
        spread=(high - low) / 2 / middle,
        memory=_peak_memory(device),
        utilisation=used.get("device_utilisation" if device.type == "cuda" else "utilisation"),
    )


def choose_batches(train: IdPairs, sentences: int, seed: int) -> tuple[list[Rows], Rows]:
    """The batches of a round, evenly spread over the lengths, and the longest there is."""
    source, target = train.source_lengths, train.target_lengths
    plan = plan_sentences(source, target, sentences, seed=seed, epoch=0)
    whole = [rows for rows in plan if len(rows) == sentences]
    whole.sort(key=lambda rows: int(target[rows].sum()))
    middles = (np.arange(ROUND) + 0.5) / ROUND * len(whole)
    return [whole[int(at)] for at in middles], longest_batch(whole, source, target)


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    status = Path("/proc/self/status")  # on Linux only
    text = status.read_text("ascii") if status.exists() else ""
    # Not getrusage's: that counts what the parent held when it started this process.
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) * 1024 if found else None
