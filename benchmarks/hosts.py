"""Train one model on two hosts, cut one of them off at random moments, compare with a whole run.

    python -m benchmarks.hosts [--cuts 20] [--seed 1] [--steps 600]        as root, on Linux

A host is a network namespace of this machine; a pair of virtual Ethernet devices joins the two, and
their disk is shared. On each a shell starts ``torchrun`` again until it succeeds, as systemd or
Kubernetes do. The cuts take turns:

    power       the cable is taken out and every process of the host is killed; later the cable
                comes back and the host is started by the same command
    torchrun    torchrun alone is killed, its worker goes on; the shell starts it again
    cable       the cable is taken out for some seconds

After every cut each checkpoint must be readable, and the run must go on, no earlier than at the
checkpoint that was the last one. A run that is over before all cuts were made is followed by
another. At the end measurements, weights, optimizer and random states must be those of a run on two
hosts without a cut, to the bit, and these those of two processes on one host. The exit code is 1
where they are not, 2 where there can be no such hosts.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.numpy import load_file

from benchmarks.namespaces import Hosts, torchrun, two_hosts, unfit
from dragoman.layout import CHECKPOINTS
from dragoman.training.checkpoint import checkpoints
from tools.differences import differences

PATIENCE = 180.0
"""Seconds in which a run must make its next checkpoint, a cut and the restart included."""
KINDS = ("power", "torchrun", "cable")


def newest(out: Path) -> int:
    """The step of the last whole checkpoint; 0 where there is none."""
    return max((int(path.name.partition("-")[2]) for path in checkpoints(out)), default=0)


def damaged(out: Path) -> list[str]:
    """The files of whole checkpoints that cannot be read, and why."""
    wrong = []
    for path in out.glob(f"{CHECKPOINTS}/step-*[0-9]/*.safetensors"):
        try:
            load_file(path)
        except Exception as error:  # of any kind: that is the finding
            if path.parent.exists():  # else it was removed meanwhile, as old ones are
                wrong.append(f"{path.parent.name}/{path.name}: {error}")
    return wrong


@dataclass
class Cuts:
    """Cuts hosts off from a run that trains into ``out`` until step ``last``, and watches it."""

    two: Hosts
    command: list[str]
    out: Path
    last: int
    draw: random.Random

    def cut(self, kind: str) -> str:
        """Cut a host off and see the run go on; what went wrong, or nothing."""
        host, logs = self.draw.randrange(2), [log.stat().st_size for log in self.two.logs]
        self._do(kind, host)
        saved, began, wrong = newest(self.out), time.monotonic(), damaged(self.out)
        if wrong:
            return f"damaged: {'; '.join(wrong)}"
        if kind == "power":
            time.sleep(self.draw.random() * 3)
            self.two.cable(host, plugged=True)
            self.two.start(host, self.command)

        def goes_on() -> bool:
            resumed = self._resumed(logs)
            restarted = bool(resumed) or saved == 0 or kind == "cable"
            return self.over() or (restarted and newest(self.out) > max([saved, *resumed]))

        went_on, resumed = self.wait(goes_on), self._resumed(logs)
        at = ", ".join(map(str, resumed)) or "-"
        seconds = time.monotonic() - began
        print(f"{kind:10}{host + 1:6}{saved:18}{at:>14}{seconds:10.1f}", flush=True)
        if not went_on:
            return f"no checkpoint after step {saved} in {PATIENCE:.0f} s"
        if min([saved, *resumed]) < saved:
            return f"resumed at step {min(resumed)}, before the checkpoint of step {saved}"
        return ""

    def over(self) -> bool:
        """Whether a host has ended well: then both have made the last step, and it is saved.

        Its torchrun may still wait, for up to five minutes, for another that was killed after the
        last step; the line that names the report is the last one of a training. A training that
        torchrun ends, to begin anew, says so of fewer steps.
        """
        ended = f"\n{self.last} steps done".encode()
        behind = [log.read_bytes().partition(ended)[2] for log in self.two.logs]
        return 0 in self.two.codes() or any(b"\nreport: " in said for said in behind)

    def finish(self) -> str:
        """Wait for the end of the run; what went wrong, or nothing."""
        if not self.wait(self.over):
            return f"no end in {PATIENCE:.0f} s"
        step = newest(self.out)
        return "" if step == self.last else f"the last checkpoint is of step {step}"

    def wait(self, come: Callable[[], bool]) -> bool:
        """Whether ``come`` became true in time."""
        deadline = time.monotonic() + PATIENCE
        while not (done := come()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return done

    def _do(self, kind: str, host: int) -> None:
        if kind == "torchrun":
            self.two.kill_torchrun(host)
            return
        self.two.cable(host, plugged=False)
        if kind == "power":
            self.two.kill(host)
        else:
            time.sleep(self.draw.random() * 8)
            self.two.cable(host, plugged=True)

    def _resumed(self, sizes: list[int]) -> list[int]:
        """The steps at which the run was resumed, told in the logs behind their old ``sizes``."""
        said = b"".join(
            log.read_bytes()[size:] for log, size in zip(self.two.logs, sizes, strict=True)
        )
        return [int(step) for step in re.findall(rb"resuming at step (\d+)", said)]


def train_on_hosts(
    place: Path, pairs: Path, steps: int, left: list[str], within: float, seed: int, at: int = 0
) -> str:
    """Train a model into ``place/m`` on two hosts.

    Args:
        place: a folder, made here; gets the logs of both hosts, too.
        pairs: the file of pairs.
        steps: of the training.
        left: kinds of cuts; those that fall into this run are taken out of it.
        within: each comes at most so many seconds after the run has gone on from the one before.
        seed: of the moments and hosts.
        at: the first cut comes as soon as the checkpoint of this step is there; 0: at random.

    Returns:
        What went wrong, or nothing.
    """
    place.mkdir()
    command, draw, whole = options(pairs, place / "m", steps), random.Random(seed), not left
    with two_hosts(place) as two:
        for host in (0, 1):
            two.start(host, command)
        cuts = Cuts(two, command, place / "m", steps, draw)
        while left:
            moment = draw.random() * within
            time.sleep(0 if at else moment)
            cuts.wait(lambda step=at: newest(cuts.out) >= step or cuts.over())
            at = 0
            if cuts.over():
                break
            if wrong := cuts.cut(left.pop()):
                return wrong
        if wrong := cuts.finish():
            return wrong
        if whole and not cuts.wait(lambda: None not in two.codes()):
            return f"exit codes {two.codes()}"
    return ""


def options(pairs: Path, out: Path, steps: int) -> list[str]:
    """The arguments of a small training with all that is random."""
    return [
        *("train", str(pairs), "--out", str(out), "--steps", str(steps), "--threads", "1"),
        *("--hidden", "16", "--embedding", "12", "--dropout", "0.2", "--batch-tokens", "200"),
        *("--save-every", "20", "--report-every", "10", "--validate-every", "100"),
        *("--validation-sample", "4", "--patience", "0", "--keep", "3", "--refit", "False"),
        *("--precision", "fp32"),
    ]


def write_pairs(path: Path) -> Path:
    """Write random words and the same words backwards."""
    draw, words = random.Random(1), [f"w{n}" for n in range(50)]
    chosen = [draw.choices(words, k=draw.randint(2, 8)) for _ in range(2000)]
    path.write_text("".join(f"{' '.join(w)}\t{' '.join(w[::-1])}\n" for w in chosen), "utf-8")
    return path


def compare(folder: Path, steps: int, cuts: int, seed: int, at: int) -> str:
    """Train on one host, on two, and on two with cuts, in as many runs as it takes.

    The first cut comes ``at`` the checkpoint of a step, see :func:`train_on_hosts`.

    Returns:
        What differs or went wrong, or nothing.
    """
    pairs, one, two = write_pairs(folder / "pairs.tsv"), folder / "one", folder / "two"
    command = torchrun("--standalone", "--nproc-per-node", "2")
    command += options(pairs, one / "m", steps)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return f"one host: {done.stderr[-2000:]}"
    began = time.monotonic()
    if wrong := train_on_hosts(two, pairs, steps, [], 0, seed):
        return f"two hosts: {wrong}"
    seconds = time.monotonic() - began
    if differ := differences(one / "m", two / "m"):
        return f"two hosts differ from one: {'; '.join(differ[:5])}"
    print(f"{steps} steps on two hosts are those of two processes on one host", flush=True)
    print("cut         host   last checkpoint    resumed at   seconds", flush=True)
    left, runs = [KINDS[number % len(KINDS)] for number in reversed(range(cuts))], 0
    while left:
        runs += 1
        cut = folder / f"cut-{runs}"
        if wrong := train_on_hosts(cut, pairs, steps, left, 0.5 * seconds, seed + runs, at):
            return f"run {runs}, with cuts: {wrong}"
        if differ := differences(two / "m", cut / "m"):
            return f"run {runs}, with cuts, differs: {'; '.join(differ[:5])}"
    print(f"{cuts} cuts in {runs} runs; 0 differences from the run that was not cut")
    return ""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--at", type=int, default=0, help="checkpoint at which a run is cut first")
    asked = parser.parse_args()
    if reason := unfit():
        print(reason, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the hosts are removed then, too
    with TemporaryDirectory(prefix="dragoman-hosts-") as place:
        wrong = compare(Path(place), asked.steps, asked.cuts, asked.seed, asked.at)
        for log in sorted(Path(place).glob("*/*.log")) if wrong else ():
            text = log.read_text("utf-8", errors="replace")
            print(f"--- {log.relative_to(place)}\n{text[-4000:]}", file=sys.stderr)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
