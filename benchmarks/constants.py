"""Measures the constants of ``benchmarks/cost.py`` on this machine, and what checks them.

Times are those of processors where one process is measured, so that other work on the machine
changes them little; every measurement has a process of its own. Memory leaves out the pages of
files that are mapped, such as the corpus: the system takes them back when memory is short.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

from benchmarks.cost import Constants, Line, Model, sent
from benchmarks.device import text
from benchmarks.exchange import bandwidth, bytes_a_step
from benchmarks.input import lines
from benchmarks.limit import products
from benchmarks.memory import most_memory, own_memory
from benchmarks.namespaces import torchrun, unfit
from benchmarks.workloads import Workload
from dragoman.layout import CORPUS, METRICS, RECORD, WEIGHTS
from dragoman.runs.history import read_metrics
from dragoman.training.machine import cores

TATOEBA = 160_000
"""About the pairs of Tatoeba."""
SMALL, FEW, MANY = 20_000, 1_000_000, 4_000_000
"""Pairs that models are trained on, and two sizes of data. With fewer pairs buffers are not full,
and memory grows faster than it does later, or hides in what the start of the program takes."""
WORDS = 16_000
"""Vocabulary of the preparation that is measured."""
LEARNED = 4000
"""Vocabulary of the models whose steps are measured; the smallest file has as many words."""
TOKENS = 1000
"""Target tokens of a process in a step."""
STEPS = 60
"""Of a training that is measured."""
HELD_OUT = 20
"""Pairs that are held out."""
Result = TypeVar("Result")


def alone(measure: Callable[..., Result], *arguments: Any) -> Result:
    """Call ``measure`` in a new process, whose memory and time are its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, *arguments).result()


def write_pairs(path: Path, count: int, data: Path) -> Path:
    """Write pairs of Tatoeba, numbered from the second round on, or synthetic ones without it.

    Tatoeba is sorted by length: fewer pairs than :data:`TATOEBA` are taken from all of those.
    """
    tatoeba = data / "tatoeba" / "eng-fra.tsv.gz"
    with path.open("w", encoding="utf-8") as file:
        if tatoeba.exists():
            every = max(1, TATOEBA // count)
            file.writelines(islice(lines(tatoeba), 0, count * every, every))
        else:
            file.writelines(text(count))
    return path


def prepared(pairs: Path, folder: Path) -> dict[str, float]:
    """Seconds, bytes of memory and bytes of disk of the preparation of a file into a corpus."""
    from dragoman.config.options import Config
    from dragoman.config.toml import merge
    from dragoman.training.folder import begin

    side = {"level": "word", "vocabulary": WORDS}
    tables = {"source": side, "target": side, "data": {"validation": HELD_OUT}}
    config = merge(Config(), tables, place="benchmarks/scale.py")
    folder.mkdir()
    wall, processor = time.perf_counter(), time.process_time()
    with most_memory() as most:
        begin([pairs], folder, config, lambda said: None)
    taken = {"processor": time.process_time() - processor, "wall": time.perf_counter() - wall}
    disk = sum(path.stat().st_size for path in (folder / CORPUS).iterdir())
    return taken | {"memory": most[-1], "disk": disk}


@dataclass(frozen=True)
class Trained:
    """What a training showed."""

    model: Model
    processor: float
    """Seconds of the main process's processor in a step of :data:`TOKENS` tokens, the median."""
    wall: float
    """Seconds of that step."""
    memory: float
    """Bytes of a process at most, see :func:`own_memory`."""
    tokens_a_pair: float

    @property
    def operations(self) -> float:
        """Of the products of a process's step."""
        return TOKENS * self.model.products


def arguments(pairs: Path, out: Path, steps: int, *, hidden: int, threads: int) -> list[str]:
    """The command line of a training of a bidirectional GRU with Luong's attention.

    ``pairs`` is a file, or the folder of a corpus, whose vocabularies are settled.
    """
    settling = [
        *("--source.level", "word", "--source.vocabulary", str(LEARNED), "--target.level", "word"),
        *("--target.vocabulary", str(LEARNED), "--data.validation", str(HELD_OUT)),
    ]
    return [
        *("train", str(pairs), "--out", str(out), "--steps", str(steps), "--refit", "False"),
        *("--hidden", str(hidden), "--embedding", str(hidden // 2), "--threads", str(threads)),
        *([] if pairs.is_dir() else settling),
        *("--precision", "fp32", "--batch-tokens", str(TOKENS), "--report-every", "4"),
        *("--patience", "0", "--validate-every", "1000000", "--validation-sample", "1"),
        *("--save-every", "1000000"),
    ]


def run(command: list[str], folder: Path, threads: int = 1) -> int:
    """Run a command that must succeed, with so many threads; returns the most memory it had.

    Raises:
        RuntimeError: it failed; the message ends in its last words.
    """
    variables, most = os.environ | {"OMP_NUM_THREADS": str(threads)}, 0
    log = folder.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=variables)
    try:
        while process.poll() is None:
            most = max(most, own_memory(process.pid))
            time.sleep(0.05)
    finally:
        process.terminate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {log.read_text('utf-8', 'replace')[-2000:]}")
    return most


def trained(
    pairs: Path, out: Path, hidden: int, *, processes: int = 1, threads: int = 1
) -> Trained:
    """Train a model from a file of pairs or the folder of a corpus."""
    launch = torchrun("--standalone", "--nproc-per-node", str(processes))
    start = launch if processes > 1 else [sys.executable, "-m", "dragoman"]
    most = run(
        [*start, *arguments(pairs, out, STEPS, hidden=hidden, threads=threads)], out, threads
    )
    return read(out, hidden, processes, most)


def read(out: Path, hidden: int, processes: int, memory: int) -> Trained:
    """What the folder of a training tells, and the memory that it was seen to have."""
    from safetensors import safe_open

    rows = [row for row in read_metrics(out / METRICS) if row["kind"] == "train"]
    facts = json.loads((out / RECORD).read_text("utf-8"))["facts"]
    source, target = (facts[side]["tokens"] / facts["pairs"] + 1 for side in ("source", "target"))
    with safe_open(str(out / WEIGHTS), framework="np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    w = Workload("scale", "", embedding=hidden // 2, hidden=hidden)
    counted = products(w, facts["target"]["vocabulary"], [(1, 1)])
    looked = 3 * 2 * 2 * hidden  # energies and contexts of a target with one source position
    by_source = counted["encoder"] + counted["attention"] - looked
    each = by_source * source / target + sum(counted.values()) - by_source
    each += looked * (source - 1)  # every target looks at every source position
    weights = sum(int(torch.Size(shape).numel()) for shape in shapes)
    warm = rows[3:]
    walls = [processes * TOKENS / row["tokens_per_second"] for row in warm]
    used = [row["utilisation"] * cores() * wall for row, wall in zip(warm, walls, strict=True)]
    return Trained(Model(weights, each), median(used), median(walls), memory, target)


@dataclass(frozen=True)
class Check:
    """A prediction beside what was measured."""

    what: str
    unit: str
    predicted: float
    measured: float

    def line(self) -> str:
        """A row of a Markdown table."""
        ratio = self.predicted / self.measured
        numbers = " | ".join(f"{value:,.4g}" for value in (self.predicted, self.measured))
        return f"| {self.what} | {self.unit} | {numbers} | {ratio:.2f} |"


@dataclass(frozen=True)
class Measured:
    """Everything that :func:`measure` finds."""

    constants: Constants
    step: Line
    """Seconds of a step on one core, by the operations of its products."""
    exchanged: float
    """Bytes a second, by the clock, that each of two processes here sends in an all-reduce."""
    model: Model
    """The largest that was trained."""
    walls: dict[str, float]
    """Seconds of steps by the clock, by what was trained."""
    checks: list[Check]


def measure(place: Path, data: Path, check: int) -> Measured:
    """Measure this machine, and what the constants predict of ``check`` pairs and other cases."""
    files = {
        count: write_pairs(place / f"{count}.tsv", count, data) for count in (SMALL, FEW, MANY)
    }
    stages = {count: alone(prepared, files[count], place / f"p{count}") for count in (FEW, MANY)}
    by_pairs = {
        key: Line.through(*((count, stages[count][key]) for count in stages))
        for key in ("processor", "memory", "disk")
    }
    small, middle, large = (trained(files[SMALL], place / f"m{h}", h) for h in (128, 256, 512))
    less, more = (trained(place / f"p{n}", place / f"b{n}", 128) for n in stages)
    ends = (small, large)
    constants = Constants(
        preparation=by_pairs["processor"],
        preparation_memory=by_pairs["memory"],
        disk=by_pairs["disk"],
        memory=Line.through(*((one.model.weights, one.memory) for one in ends)),
        memory_a_pair=max(0.0, (more.memory - less.memory) / (MANY - FEW)),
        tokens_a_pair=more.tokens_a_pair,
    )
    step = Line.through(*((one.operations, one.processor) for one in ends))
    exchanged, by_processor = bandwidth()
    predicted, used = step.at(middle.operations), constants.memory.at(middle.model.weights)
    checks = [
        Check("a step of a model in between", "ms", 1e3 * predicted, 1e3 * middle.processor),
        Check("its memory", "MB", used / 1e6, middle.memory / 1e6),
    ]
    two = trained(files[SMALL], place / "two", 256, processes=2)
    threads = trained(files[SMALL], place / "threads", 256, threads=2)
    both = middle.processor + sent(middle.model.weights, 2) / by_processor
    checks.append(Check("a step of one of two processes", "ms", 1e3 * both, 1e3 * two.processor))
    walls = {
        "a step of one process": middle.wall,
        "of two processes": two.wall,
        "of one process with two threads": threads.wall,
    }
    if not unfit():
        for one, hidden in ((small, 128), (middle, 256)):
            weights = one.model.weights
            seen = bytes_a_step(
                place / f"hosts{hidden}", partial(arguments, files[SMALL], hidden=hidden, threads=1)
            )
            what = f"sent in a step by one of two hosts, {weights / 1e6:.1f} million weights"
            checks.append(Check(what, "MB", sent(weights, 2) / 1e6, seen / 1e6))
    if check:
        found = alone(prepared, write_pairs(place / "check.tsv", check, data), place / "check")
        for key, unit, scale in (("processor", "s", 1), ("memory", "MB", 1e6), ("disk", "MB", 1e6)):
            what = f"preparation of {check:,} pairs: {key}"
            checks.append(Check(what, unit, by_pairs[key].at(check) / scale, found[key] / scale))
        walls[f"preparation of {check:,} pairs"] = found["wall"]
    return Measured(constants, step, exchanged, large.model, walls, checks)
