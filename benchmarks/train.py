"""Training speed, side by side: alternating runs, medians with their spread, share of the limit.

    python -m benchmarks.train w1 [w2 ...] [--programs dragoman eole] [--seconds 40] [--repeats 3]

Each workload's table goes into ``results/train-W.md`` and ``.json``; the last line says what it
comes to.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks import machine
from benchmarks.limit import Limit, shapes
from benchmarks.program import CACHE, PEERS, PROGRAMS, RunError, Training, measure, parser
from benchmarks.words import make_words
from benchmarks.workloads import WORKLOADS, Workload

OURS, OURS_FP32, PROCESSES = "dragoman", "dragoman-fp32", "dragoman-processes"
TUTORIALS = ["tutorial-looped", "tutorial-batched"]


@dataclass
class Table:
    """What one workload showed."""

    workload: Workload
    machine: dict[str, object]
    limit: Limit
    runs: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Programs that were not measured, and why."""
    rates: dict[str, float] = field(default_factory=dict)
    """The best product rate seen, by precision, in GFLOP/s."""

    def column(self, name: str, key: str) -> list[float]:
        """One figure of each run of a program."""
        return [run[key] for run in self.runs if run["name"] == name]

    def medians(self) -> dict[str, float]:
        """Tokens a second, the fastest program first."""
        names = {run["name"] for run in self.runs}
        speeds = {name: median(self.column(name, "tokens_per_second")) for name in names}
        return dict(sorted(speeds.items(), key=lambda item: -item[1]))

    def line(self) -> str:
        """What it comes to."""
        speeds, title = self.medians(), f"{self.workload.name.upper()} train"
        if OURS not in speeds:
            return f"{title}: {OURS} was not measured"
        times = {n: speeds[OURS] / speed for n, speed in speeds.items() if not n.startswith(OURS)}
        fastest = next((name for name in times if not name.startswith("tutorial")), "")
        parts = [f"{times[fastest]:.1f} x fastest peer ({fastest})"] if fastest else []
        shown = {"joeynmt", *TUTORIALS} - {fastest}
        parts += [f"{times[name]:.1f} x {name}" for name in times if name in shown]
        if PROCESSES in speeds:
            parts.append(f"{speeds[PROCESSES] / speeds[OURS]:.2f} x by processes of one thread")
        if "joeynmt" in self.missing:
            parts.append("joeynmt missing")
        limit = max(self.limit.tokens_per_second(rate) for rate in self.rates.values())
        return f"{title}: {', '.join([*parts, f'{100 * speeds[OURS] / limit:.0f} % of limit'])}"

    def markdown(self) -> str:
        """The table for people."""
        rows = [
            f"# {self.workload.name.upper()} train: {self.workload.summary}",
            "",
            ", ".join(f"{name}: {value}" for name, value in self.machine.items()),
            "",
            "| program | target tokens/s | lowest to highest run | peak memory |"
            " product rate before each run | cores busy before |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for name, speed in self.medians().items():
            runs, note = self.column(name, "tokens_per_second"), PROGRAMS[name].note
            rates = " ".join(f"{rate:.0f}" for rate in self.column(name, "product_rate"))
            load = " ".join(f"{cores:.1f}" for cores in self.column(name, "busy"))
            memory = max(self.column(name, "peak_memory")) / 1e9
            rows.append(
                f"| {name}{f' ({note})' if note else ''} | {speed:,.0f} | {min(runs):,.0f} to "
                f"{max(runs):,.0f} | {memory:.2f} GB | {rates} GFLOP/s | {load} |"
            )
        rows += [f"| {name} | not measured: {why} | | | | |" for name, why in self.missing.items()]
        parts = (f"{k} {v / self.limit.tokens / 1e6:.2f}" for k, v in self.limit.products.items())
        rows += ["", f"Products of a target token in MFLOP: {', '.join(parts)}.", ""]
        speeds = self.medians()
        for precision, rate in self.rates.items():
            tokens = self.limit.tokens_per_second(rate)
            ours = OURS_FP32 if precision == "fp32" and "bf16" in self.rates else OURS
            share = (
                f"{100 * speeds[ours] / tokens:.0f} % by {ours}" if ours in speeds else "unknown"
            )
            rows.append(
                f"Limit in {precision}: {tokens:,.0f} tokens/s at {rate:,.0f} GFLOP/s; "
                f"reached: {share}."
            )
        return "\n".join([*rows, "", self.line(), ""])


def measure_all(w: Workload, names: list[str], asked: argparse.Namespace) -> Table:
    """Run every program in turn, and again."""
    words = make_words(w.words, asked.data, CACHE / "words" / w.words)
    formats = machine.precisions(asked.device)
    table = Table(w, machine.description(asked.threads, asked.device), Limit.of(w, words))
    sought = shapes(w, len(words.vocabulary("tgt")) + 4)
    for name in names:
        why = PROGRAMS[name].unfit(w) or PROGRAMS[name].absent
        if name == OURS_FP32 and "bf16" not in formats:
            why = "precision auto is fp32 here"
        table.missing |= {name: why} if why else {}
    for name in names * asked.repeats:
        if name in table.missing:
            continue
        state = {"name": name, "busy": machine.busy()}
        for precision in formats:
            rate = machine.product_rate(precision, sought, asked.device)
            table.rates[precision] = max(rate, table.rates.get(precision, 0.0))
            state["product_rate"] = rate
        with TemporaryDirectory(prefix="dragoman-bench-", ignore_cleanup_errors=True) as folder:
            training = Training(w, words, Path(folder), asked.threads, asked.device)
            try:
                run = measure(PROGRAMS[name], training, asked.seconds)
            except RunError as error:
                table.missing[name] = " ".join(str(error).split())[-300:]
                print(f"  {name:18} failed: {table.missing[name]}", flush=True)
                continue
        table.runs.append(state | asdict(run))
        print(
            f"  {name:18} {run.tokens_per_second:8,.0f} target tokens/s ({len(run.intervals)} "
            f"intervals); products {rate:,.0f} GFLOP/s in {precision}, {state['busy']:.1f} cores "
            f"were busy",
            flush=True,
        )
    return table


def write(table: Any, stem: Path) -> None:
    """The result as JSON and as Markdown; print what it comes to."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    result = json.dumps(asdict(table) | {"line": table.line()}, indent=1)
    stem.with_suffix(".json").write_text(result, encoding="utf-8")
    stem.with_suffix(".md").write_text(table.markdown(), encoding="utf-8")
    print(table.line(), flush=True)


def _parse() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("workloads", nargs="+", choices=WORKLOADS)
    made.add_argument("--programs", nargs="+", choices=PROGRAMS, help="all that fit, if not said")
    made.add_argument("--seconds", type=float, default=40.0, help="that each run is watched")
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    made.add_argument("--force", action="store_true", help="measure on a busy machine, too")
    return made.parse_args()


def main() -> int:
    """Measure each workload."""
    asked = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a run that is going on ends, too
    torch.set_num_threads(asked.threads)
    if not machine.quiet() and not asked.force:
        return 1
    for name in asked.workloads:
        beside = TUTORIALS if name.startswith("w0") else PEERS
        names = asked.programs or [OURS, OURS_FP32, *beside]
        print(f"{name}: {WORKLOADS[name].summary}", flush=True)
        table = measure_all(WORKLOADS[name], names, asked)
        for missing, why in table.missing.items():
            print(f"  {missing:18} not measured: {why}")
        stem = asked.out / f"train-{name}{'' if asked.device == 'cpu' else '-' + asked.device}"
        write(table, stem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
