"""Measures how fast this machine trains, with the real training step, by size of batch.

A *round* is a few batches of exactly that many pairs, evenly spread over the lengths in the corpus;
the same round is run again and again, so that what differs between rounds is the machine.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from dragoman.config.options import Config
from dragoman.data.batches import assemble
from dragoman.data.lines import Say
from dragoman.data.plans import Lengths, Rows, plan_batches
from dragoman.data.prepare import Prepared
from dragoman.errors import OptionError, TrainingError
from dragoman.training.distributed import Processes
from dragoman.training.folder import begin
from dragoman.training.machine import Usage, torch_settings
from dragoman.training.start import assemble_run
from dragoman.training.step import train_step

SIZES = tuple(2**power for power in range(10))
"""Sentences of a batch that are tried when none are named."""
ROUND = 8
"""Batches of a round: enough for their tokens a pair to be the corpus's within a hundredth."""
LEAST_ROUNDS, LEAST_SECONDS = 3, 3.0
"""Each size is measured for at least so many rounds and seconds, after a first round to warm up."""


class Throughput(NamedTuple):
    """The speed and memory of one batch size; rates a second are medians over the rounds."""

    sentences: int
    samples_per_second: float
    tokens_per_second: float
    memory_mb: float
    """10^6 bytes held by the process after the last round; on a GPU the most held there so far."""
    utilisation: float | None
    """Share of the cores' time that was used; on a GPU NVML's, None without nvidia-ml-py."""


def bench(
    files: list[Path], config: Config, say: Say, *, sizes: Sequence[int] = ()
) -> Iterator[Throughput]:
    """Measure how fast this machine trains as ``config`` says, in batches of so many sentences.

    Args:
        files: one file of pairs, or two aligned ones.
        config: the options of a training, but for how it fills its batches.
        say: receives what the user should read.
        sizes: sentences of a batch (default: 1, 2, 4 ... 512).

    Yields:
        A row a size, the smallest first.

    Raises:
        UsageError: wrong options or unusable data.
        TrainingError: memory does not hold a batch of the next size.
    """
    with TemporaryDirectory(prefix="dragoman-bench-") as folder:
        prepared = begin(files, Path(folder), config, say)
        there = len(prepared.train)
        asked = sorted(set(sizes)) or [size for size in SIZES if size <= there]
        if not 1 <= asked[0] <= asked[-1] <= there:
            raise OptionError(f"a batch has 1 to {there} of these pairs", place="--sizes")
        yield from (measure(Path(folder), prepared, size) for size in asked)


def measure(folder: Path, prepared: Prepared, sentences: int) -> Throughput:
    """Measure one size for a run that was begun in ``folder``, which is only read.

    Raises:
        TrainingError: memory does not hold a batch of so many sentences.
    """
    train, options, processes = prepared.train, prepared.config.training, Processes()
    run = assemble_run(folder, prepared, processes, [], time.monotonic())
    batches = choose_batches(train.source_lengths, train.target_lengths, sentences, options.seed)

    def play() -> float:
        began = time.perf_counter()
        for rows in batches:
            step = train_step(run, assemble(map(train.pair, rows)))
        step.read(run.state)  # waits for the device
        return time.perf_counter() - began

    with torch_settings(options):
        play()  # every shape once
        took: list[float] = []
        began, usage = time.perf_counter(), Usage()
        while len(took) < LEAST_ROUNDS or time.perf_counter() - began < LEAST_SECONDS:
            took.append(play())
    if run.state.positions:  # batches were taken in parts
        cause = f"memory does not hold {sentences} sentences"
        raise TrainingError(cause, cure="smaller --sizes, or a smaller model")
    used, device = usage.measure(), "device_" if processes.device.type == "cuda" else ""
    tokens = sum(int((train.target_lengths[rows] + 1).sum()) for rows in batches)
    seconds, memory = median(took), used[f"{device}memory_mb"]
    samples, utilisation = sentences * ROUND / seconds, used.get(f"{device}utilisation")
    return Throughput(sentences, samples, tokens / seconds, memory, utilisation)


def choose_batches(source: Lengths, target: Lengths, sentences: int, seed: int) -> list[Rows]:
    """The batches of a round, evenly spread over the lengths."""
    every = np.arange(len(source), dtype=np.int32)
    plan = plan_batches(every, source, target, sentences=sentences, seed=seed, epoch=0)
    whole = [rows for rows in plan if len(rows) == sentences]
    whole.sort(key=lambda rows: int(target[rows].sum()))
    return [whole[int(at)] for at in (np.arange(ROUND) + 0.5) / ROUND * len(whole)]
