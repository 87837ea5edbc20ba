"""How fast this machine trains: the real training step, by sentences of a batch.

Each size is measured in a new process: its peak memory is its own, and a size that memory does
not hold ends that process alone. A *round* is a few batches of exactly that many pairs, evenly
spread over the lengths in the corpus; the same round is run again and again, so that what differs
between rounds is the machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import load_config
from dragoman.data.batches import IdPairs, assemble
from dragoman.data.plans import Rows, longest_batch, plan_sentences
from dragoman.data.prepare import Say
from dragoman.data.samples import sample_pairs
from dragoman.errors import OptionError, TrainingError
from dragoman.files import write_text
from dragoman.model.linear import MKL_LINEAR
from dragoman.training.distributed import Processes
from dragoman.training.machine import (
    cores,
    device_utilisation,
    fixed_order,
    is_out_of_memory,
    peak_memory,
)
from dragoman.training.observer import Observers
from dragoman.training.reporter import Reporter
from dragoman.training.resume import open_run
from dragoman.training.run import assemble_run, begin
from dragoman.training.step import train_step
from dragoman.training.stop import StopRequest

SIZES = tuple(2**power for power in range(10))
"""Sentences of a batch that are tried when none are named."""
ROUND = 8
"""Batches of a round: enough for their tokens a pair to be the corpus's within a hundredth."""
LEAST_ROUNDS = 3
_KILLED = 9
"""The signal by which a system out of memory ends a process; not in ``signal`` everywhere."""


def _cudnn(x: Any, weights: Any, *_: Any, **__: Any) -> int:
    """Operations of a recurrent layer's forward pass: W and U times every position of ``x``."""
    return int(2 * math.prod(x[:-1]) * sum(math.prod(w) for w in weights if len(w) == 2))


# What torch's counter does not know, from the shapes of the operator's arguments.
_UNCOUNTED: dict[Any, Any] = {
    torch.ops.aten.addmm_: lambda there, a, b, **_: 2 * math.prod(a) * b[-1],
    torch.ops.aten._cudnn_rnn: _cudnn,
    torch.ops.aten._cudnn_rnn_backward: lambda *shapes, **_: 2 * _cudnn(*shapes),
}
if MKL_LINEAR is not None:
    _UNCOUNTED[MKL_LINEAR] = lambda x, ordered, weight, *_, **__: 2 * math.prod(x) * weight[0]


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one batch size gives; rates a second are medians over the rounds."""

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
    products_per_second: float
    """Floating-point operations of the step's matrix products, padding included."""
    limit: float
    """The same of large square products alone, at their best beside this size."""


def as_rows(found: Sequence[Throughput]) -> list[dict[str, Any]]:
    """Plain values, with the share of the highest limit that was met beside any size."""
    limit = max(row.limit for row in found)
    return [asdict(row) | {"share_of_limit": row.products_per_second / limit} for row in found]


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
        folder = Path(place) / "run"
        folder.mkdir()
        files = [Path(file) for file in ([pairs] if isinstance(pairs, (str, Path)) else pairs)]
        if not files:
            files = [Path(place) / "phrases.tsv"]
            lines = [f"{pair.source}\t{pair.target}\n" for pair in sample_pairs("phrases")]
            write_text(files[0], "".join(lines))
        there = len(begin(files, folder, config, say).train)
        if max(sizes, default=1) > there:
            raise OptionError(f"there are only {there} pairs to learn from", place="--sizes")
        asked = sorted(set(sizes)) or [size for size in SIZES if size <= there]
        yield from measured(folder, asked, seconds, say)


def measured(folder: Path, sizes: Sequence[int], seconds: float, say: Say) -> Iterator[Throughput]:
    """The rows of :func:`bench` for a run that was begun in ``folder``, which is only read."""
    for size in sizes:
        found = in_own_process(measure, folder, size, seconds)
        if found is None and size == sizes[0]:
            raise TrainingError(f"memory does not hold {size} sentences", cure="a smaller model")
        if found is None:
            say(f"{size} sentences a batch: memory does not hold them, the table ends before")
            return
        yield found


def in_own_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What ``work`` gives in a new process; None when memory does not hold it.

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
    except BrokenProcessPool as error:
        if own.exitcode == -_KILLED:
            return None
        raise TrainingError(
            f"the process that measured ended with exit code {own.exitcode}",
            cure="see what it printed",
        ) from error
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return None
        raise


def measure(folder: Path, sentences: int, seconds: float) -> Throughput:
    """Measure one size in this process; see :func:`measured`."""
    config = load_config(folder)
    torch.set_num_threads(int(config.training.threads))
    prepared, processes = open_run(folder), Processes()
    train, device = prepared.train, processes.device
    quiet = Reporter(Observers(), config.training)
    run = assemble_run(folder, prepared, processes, quiet, StopRequest(), time.monotonic())
    batches, longest = choose_batches(train, sentences, config.training.seed)

    def play() -> float:
        began = time.perf_counter()
        for rows in batches:
            step = train_step(run, assemble(train, rows))
        step.read(run.state)  # waits for the device
        return time.perf_counter() - began

    with fixed_order(config.training.deterministic):
        with FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
            play()  # the warm-up: every shape once
        train_step(run, assemble(train, longest)).read(run.state)
        took: list[float] = []
        used: list[float] = []
        began, processor = time.perf_counter(), time.process_time()
        while len(took) < LEAST_ROUNDS or time.perf_counter() - began < seconds:
            took.append(play())
            used += device_utilisation(device)
    if device.type != "cuda":
        wall = time.perf_counter() - began
        used = [(time.process_time() - processor) / wall / cores()]
    if run.state.positions:
        raise MemoryError("a batch was taken in parts")
    memory = peak_memory(device)
    low, middle, high = (float(part) for part in np.percentile(took, (25, 50, 75)))
    tokens = sum(int((train.target_lengths[rows] + 1).sum()) for rows in batches)
    return Throughput(
        sentences,
        tokens / len(batches),
        sentences * len(batches) / middle,
        tokens / middle,
        (high - low) / 2 / middle,
        memory,
        float(np.mean(used)) if used else None,
        counter.get_total_flops() / middle,
        product_rate(device, config.training.precision),
    )


def choose_batches(train: IdPairs, sentences: int, seed: int) -> tuple[list[Rows], Rows]:
    """The batches of a round, evenly spread over the lengths, and the longest there is."""
    source, target = train.source_lengths, train.target_lengths
    plan = plan_sentences(source, target, sentences, seed=seed, epoch=0)
    whole = [rows for rows in plan if len(rows) == sentences]
    whole.sort(key=lambda rows: int(target[rows].sum()))
    middles = (np.arange(ROUND) + 0.5) / ROUND * len(whole)
    return [whole[int(at)] for at in middles], longest_batch(whole, source, target)


def product_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations a second of large square products: the fastest of many."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    best = 0.0
    for size in (4096, 8192) if device.type == "cuda" else (512, 1024):
        a, b = torch.randn(2, size, size, device=device).to(kind)
        for _ in range(10):
            began = time.perf_counter()
            float(torch.mm(a, b)[0, 0])  # waits for the device
            best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best
