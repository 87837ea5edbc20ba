"""What trainings of 10^6 to 10^10 pairs take: measure a few constants here, predict the rest.

    python -m benchmarks.scale [--check 2000000] [--out benchmarks/results/scale]

Measured on this machine, in a quarter of an hour: preparation at two sizes of the data, training
with two sizes of the model and of the data on one core, the exchange of gradients between two
processes; as root on Linux also the bytes that two hosts send each other (``benchmarks/hosts.py``).
Then predictions stand beside measurements that no constant was taken from: preparation of
``--check`` pairs, a model of a size in between, two processes. Times are those of processors where
one process is measured, so that other work on the machine changes them little. A device that is not
here is described by ``--device-...``; these constants are assumed. ``OUT.json`` and ``OUT.md`` get
what is printed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine
from benchmarks.constants import TOKENS, Measured, measure
from benchmarks.cost import Device, Line, predict, size, span

ROOT = Path(__file__).resolve().parents[1]


def devices(asked: argparse.Namespace, measured: Measured) -> list[Device]:
    """A core of this machine on the network that is described, and the device that is."""
    here = Device(
        "one core of this machine",
        *(measured.step, TOKENS, asked.bandwidth, asked.latency, asked.core_price),
        assumed="network and price",
    )
    there = Device(
        "a GPU",
        *(Line(asked.device_start, 1 / asked.device_rate), asked.device_tokens),
        *(asked.bandwidth, asked.latency, asked.price),
        assumed="everything: none was measured",
    )
    return [here, there]


def markdown(asked: argparse.Namespace, measured: Measured) -> str:
    """The constants, checks and predictions as tables."""
    c, told = measured.constants, machine.description(1, "cpu")
    rows = [
        ("preparation, start", f"{c.preparation.start:.2f} s"),
        ("preparation, a pair", f"{1e6 * c.preparation.each:.1f} microseconds"),
        ("its memory, start", size(c.preparation_memory.start)),
        ("its memory, a pair", f"{c.preparation_memory.each:.1f} bytes"),
        ("corpus on disk, a pair", f"{c.disk.each:.1f} bytes"),
        ("target tokens a pair", f"{c.tokens_a_pair:.2f}"),
        (
            f"step of {TOKENS} target tokens on one core, start",
            f"{1e3 * measured.step.start:.1f} ms",
        ),
        ("its rate of products", f"{1e-9 / measured.step.each:.0f} GFLOP/s"),
        ("products a target token", f"{measured.model.products / 1e6:.1f} million operations"),
        ("weights of that model", f"{measured.model.weights / 1e6:.1f} million"),
        ("memory of a process that trains, start", size(c.memory.start)),
        ("a weight", f"{c.memory.each:.1f} bytes"),
        ("a pair", f"{c.memory_a_pair:.1f} bytes"),
        ("all-reduce of two processes here", f"{measured.exchanged / 1e9:.2f} GB/s"),
        *((f"{name}, by the clock", span(taken)) for name, taken in measured.walls.items()),
    ]
    text = [
        f"{told['processor']}, {told['cores']} cores; {asked.busy:.1f} of them were busy with "
        f"other work before; {told['time']}",
        "\n| constant | measured |\n| --- | --- |",
        *(f"| {name} | {value} |" for name, value in rows),
        "\n| check | unit | predicted | measured | ratio |\n| --- | --- | --- | --- | --- |",
        *(check.line() for check in measured.checks),
        "\n| pairs | preparation | its memory | corpus | memory of a process that trains |",
        "| --- | --- | --- | --- | --- |",
    ]
    described = devices(asked, measured)
    for pairs in asked.pairs:
        p = predict(pairs, 1, measured.model, c, described[0], asked.epochs)
        told_sizes = " | ".join(map(size, (p.preparation_memory, p.disk, p.memory)))
        text.append(f"| {pairs:.0e} | {span(p.preparation)} | {told_sizes} |")
    for device in described:
        text.append(
            f"\n{asked.epochs} epochs on {device.name} each; assumed: {device.assumed} "
            f"({size(device.bandwidth)}/s, {1e6 * device.latency:.0f} microseconds a message, "
            f"{device.price} an hour). Time, price, share of the exchange:\n"
        )
        text.append(f"| pairs | {' | '.join(f'{count:,}' for count in asked.devices)} |")
        text.append("| --- " * (len(asked.devices) + 1) + "|")
        for pairs in asked.pairs:
            cells = []
            for count in asked.devices:
                p = predict(pairs, count, measured.model, c, device, asked.epochs)
                cells.append(f"{span(p.training)}, {p.price:,.2f}, {100 * p.exchange:.0f} %")
            text.append(f"| {pairs:.0e} | {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--pairs", type=float, nargs="+", default=[1e6, 1e7, 1e8, 1e9, 1e10])
    made.add_argument("--devices", type=int, nargs="+", default=[1, 8, 64, 1024])
    made.add_argument("--epochs", type=int, default=5)
    made.add_argument("--check", type=int, default=2_000_000, help="pairs; 0 leaves it out")
    made.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    made.add_argument("--bandwidth", type=float, default=1.25e9, help="bytes/s of the network")
    made.add_argument("--latency", type=float, default=30e-6, help="seconds of a message")
    made.add_argument("--price", type=float, default=2.0, help="of a GPU for an hour")
    made.add_argument("--core-price", type=float, default=0.05, help="of a core for an hour")
    made.add_argument("--device-start", type=float, default=0.02, help="seconds of a GPU's step")
    made.add_argument("--device-rate", type=float, default=2e13, help="its operations a second")
    made.add_argument("--device-tokens", type=int, default=16_000, help="of its step")
    made.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "scale")
    return made


def main() -> int:
    """Run the command line."""
    asked = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # hosts are removed then, too
    asked.busy = machine.busy()
    with TemporaryDirectory(prefix="dragoman-scale-") as place:
        measured = measure(Path(place), asked.data, asked.check)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    report = markdown(asked, measured)
    asked.out.with_suffix(".md").write_text(report, "utf-8")
    asked.out.with_suffix(".json").write_text(json.dumps(asdict(measured), indent=1), "utf-8")
    print(report, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
