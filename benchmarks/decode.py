"""Decoding speed, side by side: 1,000 sentences five times over, greedy and beam 5, by command.

    python -m benchmarks.decode [w6] [--programs dragoman fairseq] [--steps 800] [--repeats 3]

Every program first trains its own model of W1, or of the workload that is named, for so many steps;
it is kept in the cache. The table goes into ``results/decode.md`` and ``.json`` (``decode-w6.md``);
the last line says what it comes to.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from benchmarks import machine
from benchmarks.limit import shapes
from benchmarks.program import (
    CACHE,
    PEERS,
    PROGRAMS,
    Program,
    RunError,
    Training,
    environment,
    last_words,
    parser,
)
from benchmarks.quality import bleu_of
from benchmarks.train import OURS, write
from benchmarks.words import Words, make_words
from benchmarks.workloads import WORKLOADS, Workload

EXPORTS = {
    "bundle": "--int8",
    "ctranslate2": "--to ctranslate2",
    "ctranslate2-int8": "--to ctranslate2 --int8",
}
"""Folders into which our model is exported, and the options with which."""
_OURS = "$python -m dragoman translate"
_CTRANSLATE2 = "$python -m benchmarks.ctranslate2_model"
WAYS = {
    "dragoman-int8": f"{_OURS} $model --int8 --beam $beam",
    "dragoman-bundle": f"{_OURS} $folder/bundle --shortlist --beam $beam",
    "dragoman-bundle-all": f"{_OURS} $folder/bundle --no-shortlist --beam $beam",
    "ctranslate2": f"{_CTRANSLATE2} $folder/ctranslate2 $beam $threads",
    "ctranslate2-int8": f"{_CTRANSLATE2} $folder/ctranslate2-int8 $beam $threads",
}
"""Other ways to translate with our model, each a program of its own. The bundle is in 8 bits."""


def _other_way(name: str, command: str) -> Program:
    spec = PROGRAMS[OURS].spec | {"translate": {"command": command}}
    if name.startswith("ctranslate2"):
        spec["network"] = {"transformer": spec["network"]["transformer"]}
    return Program(name, spec)


DECODERS = PROGRAMS | {name: _other_way(name, command) for name, command in WAYS.items()}
BEAMS = {1: "greedy", 5: "beam 5"}
FEW = 8
"""Lines of the run that shows what starting costs."""


@dataclass
class Table:
    """What was measured."""

    workload: Workload
    machine: dict[str, object]
    steps: int
    runs: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Programs that were not measured, and why."""

    def column(self, name: str, beam: int, key: str) -> list[float]:
        """One figure of each run of a program."""
        return [run[key] for run in self.runs if (run["name"], run["beam"]) == (name, beam)]

    def medians(self, beam: int) -> dict[str, float]:
        """Sentences a second, the fastest program first."""
        names = {run["name"] for run in self.runs if run["beam"] == beam}
        speeds = {name: median(self.column(name, beam, "sentences_per_second")) for name in names}
        return dict(sorted(speeds.items(), key=lambda item: -item[1]))

    def line(self) -> str:
        """What it comes to; the last number is the lower of the two searches'."""
        measured = {run["name"] for run in self.runs}
        if OURS not in measured:
            return f"decode: {OURS} was not measured"
        ways = [name for name in WAYS if name in measured]
        others = (f"{n.removeprefix('dragoman-')}: {self._against_peers(n)}" for n in ways)
        return "; ".join((f"decode: {self._against_peers(OURS)}", *others))

    def _against_peers(self, ours: str) -> str:
        parts, named, joey = [], "", []
        for beam, search in BEAMS.items():
            speeds = self.medians(beam)
            peers = [name for name in speeds if name not in (OURS, *WAYS)]
            times = {name: speeds[ours] / speeds[name] for name in peers}
            if times:
                fastest = next(iter(times))
                name = f" ({fastest})" if fastest != named else ""
                parts.append(f"{search} {times[fastest]:.1f} x fastest peer{name}")
                named = fastest
            joey += [times["joeynmt"]] if "joeynmt" in times else []
        parts.append(f"{min(joey):.1f} x joeynmt" if joey else "joeynmt missing")
        return ", ".join(parts)

    def markdown(self) -> str:
        """The tables for people."""
        rows = [
            f"# Decoding: {self.workload.summary}, {self.steps} steps each",
            "",
            ", ".join(f"{name}: {value}" for name, value in self.machine.items()),
            "",
        ]
        for beam, search in BEAMS.items():
            rows += [
                f"## {search.capitalize()}",
                "",
                "| program | sentences/s | lowest to highest run | output tokens/s |"
                " tokens a line | BLEU | whole process | of it start |"
                " product rate before each run | cores busy before |",
                "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            ]
            for name, speed in self.medians(beam).items():
                runs = self.column(name, beam, "sentences_per_second")
                tokens, length, bleu, whole, start = (
                    median(self.column(name, beam, key))
                    for key in ("tokens_per_second", "mean_length", "bleu", "whole", "start")
                )
                rates = " ".join(f"{x:.0f}" for x in self.column(name, beam, "product_rate"))
                load = " ".join(f"{x:.1f}" for x in self.column(name, beam, "busy"))
                rows.append(
                    f"| {name} | {speed:,.0f} | {min(runs):,.0f} to {max(runs):,.0f} |"
                    f" {tokens:,.0f} | {length:.1f} | {bleu:.1f} | {whole:.2f} s | {start:.2f} s |"
                    f" {rates} GFLOP/s | {load} |"
                )
            rows.append("")
        rows += [f"{name} was not measured: {why}\n" for name, why in self.missing.items()]
        return "\n".join([*rows, self.line(), ""])


def train(program: Program, training: Training) -> None:
    """Train, unless the folder holds what the same files and command made."""
    what = [asdict(training.workload), training.steps, program.precision]
    what += [program.spec.get(key) for key in ("before", "command", "files")]
    what += [program.network(training.workload)]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    mark = training.folder / "trained"
    if mark.exists() and mark.read_text() == digest:
        return
    print(f"  {program.name}: training {training.steps} steps", flush=True)
    program.train(training)
    mark.write_text(digest)


def export(training: Training, name: str) -> None:
    """Export our model into the folder ``name`` of :data:`EXPORTS`, by today's code.

    Raises:
        RunError: it fails.
    """
    folder = training.folder
    shutil.rmtree(folder / name, ignore_errors=True)
    asked = [sys.executable, "-m", "dragoman", "export", "model", "--out", name]
    asked += EXPORTS[name].split()
    with open(folder / "output.log", "wb") as log:
        where = {"cwd": folder, "env": environment(training), "stderr": log}
        if subprocess.run(asked, check=False, **where).returncode:
            raise RunError(f"dragoman export: {last_words(folder)}")


def decode(
    program: Program, training: Training, beam: int, lines: tuple[Path, Path]
) -> dict[str, Any] | None:
    """Translate the few lines and all: the difference is what the others took.

    None when it is not positive, as other work on the machine can make it.
    """
    few, all_ = (program.translate(training, file, beam) for file in lines)
    seconds, more = all_.seconds - few.seconds, len(all_.lines) - len(few.lines)
    if seconds <= 0:
        return None
    return {
        "sentences_per_second": more / seconds,
        "tokens_per_second": (all_.tokens - few.tokens) / seconds,
        "mean_length": mean(len(line.split()) for line in all_.lines),
        "bleu": bleu_of(all_.lines, training.words),
        "whole": all_.seconds,
        "start": few.seconds,
    }


def measure_all(w: Workload, asked: argparse.Namespace) -> Table:
    """Train every program that is not yet; then run them in turn, and again."""
    words = make_words(w.words, asked.data, CACHE / "words" / w.words)
    table = Table(w, machine.description(asked.threads, "cpu"), asked.steps)
    models = CACHE / "models" / f"{w.name}-{asked.steps}"
    lines = _heads(words, models, asked.lines)
    trainings = {}
    for name in asked.programs:
        program = DECODERS[name]
        folder = models / (OURS if name in WAYS else name)
        training = Training(w, words, folder, asked.threads, steps=asked.steps)
        try:
            if why := program.unfit(w) or program.absent:
                raise RunError(why)
            train(program, training)
            for target in EXPORTS:
                if f"$folder/{target}" in program.spec["translate"]["command"].split():
                    export(training, target)
            trainings[name] = training
        except RunError as error:
            table.missing[name] = " ".join(str(error).split())[-300:]
    sought, form = shapes(w, len(words.vocabulary("tgt")) + 4), machine.precisions("cpu")[-1]
    for _ in range(asked.repeats):
        for beam, search in BEAMS.items():
            for name, training in trainings.items():
                if name in table.missing:
                    continue
                state = {"name": name, "beam": beam, "busy": machine.busy()}
                state["product_rate"] = machine.product_rate(form, sought, "cpu")
                try:
                    run = decode(DECODERS[name], training, beam, lines)
                except RunError as error:
                    table.missing[name] = " ".join(str(error).split())[-300:]
                    table.runs = [row for row in table.runs if row["name"] != name]
                    continue
                if run is None:
                    print(f"  {name:10} {search}: the start alone took longer; left out")
                    continue
                table.runs.append(state | run)
                print(
                    f"  {name:10} {search}: {run['sentences_per_second']:7,.1f} sentences/s, "
                    f"{run['tokens_per_second']:8,.0f} tokens/s; whole process "
                    f"{run['whole']:.1f} s; products {state['product_rate']:,.0f} GFLOP/s, "
                    f"{state['busy']:.1f} cores were busy",
                    flush=True,
                )
    return table


def _heads(words: Words, folder: Path, count: int) -> tuple[Path, Path]:
    """The first few lines of the test set, and as many as are measured, from its start again."""
    folder.mkdir(parents=True, exist_ok=True)
    few, many = folder / "few.src", folder / "many.src"
    test = words.file("test", "src").read_text(encoding="utf-8").splitlines(keepends=True)
    for path, lines in ((few, FEW), (many, count)):
        path.write_text("".join(islice(cycle(test), lines)), encoding="utf-8")
    return few, many


def _parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("workload", nargs="?", choices=WORKLOADS, default="w1")
    options.add_argument(
        "--programs", nargs="+", choices=[OURS, *WAYS, *PEERS], default=[OURS, *WAYS, *PEERS]
    )
    options.add_argument("--steps", type=int, default=800, help="that each model is trained for")
    options.add_argument("--lines", type=int, default=5000, help="the test set, over and over")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--force", action="store_true", help="measure on a busy machine, too")
    return options.parse_args()


def main() -> int:
    """Measure."""
    asked = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    torch.set_num_threads(asked.threads)
    if not machine.quiet() and not asked.force:
        return 1
    table = measure_all(WORKLOADS[asked.workload], asked)
    for missing, why in table.missing.items():
        print(f"  {missing:10} not measured: {why}")
    write(table, asked.out / ("decode" if asked.workload == "w1" else f"decode-{asked.workload}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
