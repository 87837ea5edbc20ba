"""The programs that are measured: how each is asked to train, and how its own log is read.

One is described by a file, ``programs/NAME.toml``: what its virtual environment holds, the files
and the command by which it trains, and the regular expression of the speed in its log: real target
tokens a second, end tokens included, of a report interval. Its ``$names`` are filled in from the
workload; ``$network`` is the text that ``[network]`` has for the workload's family, RNN or
Transformer. ``[translate]`` says how it translates with what it trained.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

import psutil
import torch

from benchmarks.words import Words
from benchmarks.workloads import Workload

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("DRAGOMAN_BENCH_CACHE", "~/.cache/dragoman-bench")).expanduser()
"""Holds one virtual environment a peer, and the words."""
WARMING = 2
"""Report intervals at the beginning of a run that do not count."""
NEVER = 10**9


class RunError(Exception):
    """A program did not do what was asked; the message ends in its last words."""


@dataclass(frozen=True)
class Training:
    """Of one model on one set of words, in a folder of its own."""

    workload: Workload
    words: Words
    folder: Path
    threads: int
    device: str = "cpu"
    budget: float = 0.0
    """Seconds, for a program that plans with them."""
    save_every: int = NEVER
    """Steps between checkpoints."""
    steps: int = NEVER
    """After which it ends and leaves a model."""


@dataclass(frozen=True)
class Answers:
    """What a program said to some lines."""

    seconds: float
    """Wall time of the whole process."""
    lines: list[str]

    @property
    def tokens(self) -> int:
        """Said in all, end tokens left aside."""
        return sum(len(line.split()) for line in self.lines)


@dataclass(frozen=True)
class Program:
    """Something that is measured, and what its file says of it."""

    name: str
    spec: dict[str, Any]
    precision: str = "auto"

    @classmethod
    def read(cls, path: Path) -> Program:
        """From its file."""
        return cls(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))

    @property
    def note(self) -> str:
        """What is different about it."""
        return Template(self.spec.get("note", "")).substitute(precision=self.precision)

    @property
    def installed(self) -> bool:
        """It needs no virtual environment, or its own was made to the end."""
        return not self.spec["packages"] or (CACHE / self.name / ".ready").exists()

    @property
    def absent(self) -> str:
        """Why it is not there; empty when it is."""
        return "" if self.installed else "not installed (make bench-peers)"

    def unfit(self, w: Workload) -> str:
        """Why it cannot do a workload; empty when it can."""
        if w.family not in self.spec.get("network", ("recurrent",)):
            return f"is not set up for the family {w.family!r}"
        if w.family != "recurrent":
            return ""
        if w.attention not in self.spec["attention"]:
            return f"has no attention {w.attention!r}"
        usual = w.bidirectional and w.directions == "concat"
        return "" if usual or self.spec.get("any_model") else "has no such encoder"

    def network(self, w: Workload) -> str:
        """The part of its configuration that describes a model of the workload's family."""
        return str(self.spec.get("network", {}).get(w.family, ""))

    def speeds(self, folder: Path) -> list[float]:
        """Target tokens a second of each interval that it reported so far."""
        log = folder / self.spec.get("log", "output.log")
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        return [float(number) for number in re.findall(self.spec["speed"], text)]

    def start(self, training: Training, more: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Write its files and begin to train, with ``more`` arguments."""
        values = self._fill(training)
        with open(training.folder / "output.log", "wb") as output:
            where: dict[str, Any] = {"cwd": training.folder, "stdout": output, "stderr": output}
            where["env"] = environment(training)
            before, command = (
                _command(self.spec.get(key, ""), values) for key in ("before", "command")
            )
            if before and subprocess.run(before, check=False, **where).returncode:
                raise RunError(f"{self.name}: {last_words(training.folder)}")
            return subprocess.Popen([*command, *more], start_new_session=True, **where)

    def train(self, training: Training) -> None:
        """Train to the end; what there was in the folder goes."""
        shutil.rmtree(training.folder, ignore_errors=True)
        process = self.start(training)
        try:
            process.wait()
        finally:
            stop(process)
        if process.returncode:
            raise RunError(f"{self.name}: {last_words(training.folder)}")

    def translate(
        self, training: Training, source: Path, beam: int, model: Path | None = None
    ) -> Answers:
        """Have the lines of ``source`` translated, by the model in ``model`` if it is told.

        Raises:
            RunError: it fails, or not every line has its answer.
        """
        spec, folder = self.spec["translate"], training.folder
        output = folder / "translated.txt"
        output.unlink(missing_ok=True)  # an earlier run's answers are none of this one's
        values = self._fill(training, beam=beam)
        values |= {"source": source, "output": output, "model": model or folder / "model"}
        command = _command(spec["command"], values)
        printed = output if "$output" not in spec["command"] else folder / "printed.txt"
        with (
            open(source, "rb") as lines,
            open(printed, "wb") as said,
            open(folder / "output.log", "wb") as log,
        ):
            where = {"cwd": folder, "env": environment(training), "stdin": lines, "stdout": said}
            began = time.perf_counter()
            done = subprocess.run(command, stderr=log, check=False, **where)
            seconds = time.perf_counter() - began
        if done.returncode:
            raise RunError(f"{self.name}: {last_words(folder)}")
        text = output.read_text("utf-8") if output.exists() else ""
        answers = re.findall(spec.get("answer", "(?m)^(.*)\n"), text)
        if len(answers) != (asked := source.read_bytes().count(b"\n")):
            raise RunError(f"{self.name}: {len(answers)} answers to {asked} lines")
        return Answers(seconds, answers)

    def _fill(self, training: Training, beam: int = 5) -> dict[str, Any]:
        """Write its files; what stands behind each ``$name`` in them and in its commands."""
        training.folder.mkdir(parents=True, exist_ok=True)
        values = self._values(training) | {"beam": beam}
        values["network"] = Template(self.network(training.workload)).substitute(values)
        for file, text in self.spec["files"].items():
            filled = Template(text).substitute(values)
            (training.folder / file).write_text(filled, encoding="utf-8")
        return values

    def _values(self, training: Training) -> dict[str, Any]:
        """What stands behind each ``$name`` of its file."""
        w, gpu = training.workload, training.device != "cpu"
        return {
            **vars(w),
            **vars(training),
            "luong": w.attention,
            "width": w.width,
            "never": NEVER,
            "attention": self.spec["attention"].get(w.attention, ""),
            "CELL": w.cell.upper(),
            "between": w.dropout if w.layers > 1 else 0.0,
            "words": training.words.folder,
            "feeding": int(w.attention == "bahdanau"),
            "min_count": training.words.min_count,
            "bidirectional": json.dumps(w.bidirectional),
            "precision": self.precision,
            "bin": CACHE / self.name / "bin",
            "python": sys.executable,
            "gpu": json.dumps(gpu),
            "share": -(-w.batch // training.threads),
            "ranks": [0] if gpu else [],
            "accelerator": "gpu" if gpu else "cpu",
            "processor_only": "" if gpu else "--cpu",
        }


PROGRAMS = {
    path.stem: Program.read(path) for path in sorted(ROOT.glob("benchmarks/programs/*.toml"))
}
PROGRAMS["dragoman-fp32"] = Program("dragoman-fp32", PROGRAMS["dragoman"].spec, "fp32")
_LAUNCHED = "-m torch.distributed.run --standalone --nproc-per-node $threads -m dragoman"
_SHARED = PROGRAMS["dragoman"].spec["command"].replace("-m dragoman", _LAUNCHED)
PROGRAMS["dragoman-processes"] = Program(
    "dragoman-processes",
    PROGRAMS["dragoman"].spec | {"command": f"{_SHARED} --threads 1 --batch-sentences $share"},
)
PEERS = [name for name, program in PROGRAMS.items() if program.spec["packages"]]


def _command(text: str, values: dict[str, Any]) -> list[str]:
    return [Template(word).substitute(values) for word in text.split()]


def environment(training: Training) -> dict[str, str]:
    """Threads and device for every library that takes them from here; our modules' places."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # programs run elsewhere
    paths = [str(training.folder), str(ROOT), *(str(Path(p).resolve()) for p in inherited if p)]
    fixed = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths)}
    fixed["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # the peers' own checkpoints are pickles
    if training.device == "cpu":
        fixed["CUDA_VISIBLE_DEVICES"] = ""
    return {**os.environ, **dict.fromkeys(names, str(training.threads)), **fixed}


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a training and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    process.wait()


def parser(description: str | None) -> argparse.ArgumentParser:
    """With the options that every measurement has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--threads", type=int, default=torch.get_num_threads())
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    made.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    return made


def last_words(folder: Path) -> str:
    """The end of what a program printed."""
    return (folder / "output.log").read_text("utf-8", "replace")[-800:].strip()


@dataclass(frozen=True)
class Run:
    """What one training showed: the median, the intervals that count, bytes in memory at most."""

    tokens_per_second: float
    intervals: list[float]
    peak_memory: int


def measure(program: Program, training: Training, seconds: float, limit: float = 900.0) -> Run:
    """Let ``program`` train for ``seconds`` from its first report on, and read its speed.

    It goes on until three intervals count, and ends after ``limit`` seconds whatever it shows.

    Raises:
        RunError: too few intervals.
    """
    process, began, first, peak = program.start(training), time.monotonic(), 0.0, 0
    speeds: list[float] = []
    try:
        while process.poll() is None and time.monotonic() - began < limit:
            time.sleep(0.5)
            peak, speeds = max(peak, _memory(process.pid)), program.speeds(training.folder)
            first = first or (time.monotonic() if speeds else 0.0)
            if first and time.monotonic() - first > seconds and len(speeds) >= WARMING + 3:
                break
    finally:
        stop(process)
    speeds = program.speeds(training.folder)  # it may have ended since they were read
    counted = speeds[WARMING:]
    if len(counted) < 3:
        raise RunError(f"{len(speeds)} reports only; its last words: {last_words(training.folder)}")
    return Run(median(counted), counted, peak)


def _memory(number: int) -> int:
    """Bytes resident in a process and its descendants together."""
    try:
        process = psutil.Process(number)
        return sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
