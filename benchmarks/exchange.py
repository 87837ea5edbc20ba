"""The exchange of gradients: how fast two processes of this machine are, what two hosts send."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

from benchmarks.cost import sent
from benchmarks.namespaces import torchrun, two_hosts

ALL_REDUCED = 10_000_000
"""Numbers of the all-reduce that is timed."""
PATIENCE = 300
"""Seconds in which two hosts must end a training of 50 steps."""


def all_reduce() -> None:
    """Print bytes a second that each of torchrun's processes sends in an all-reduce.

    The first number is by the clock, the second by the time of the process's processors.
    """
    torch.distributed.init_process_group("gloo")
    count, taken = torch.distributed.get_world_size(), []
    for _ in range(6):
        numbers, began = torch.ones(ALL_REDUCED), (time.perf_counter(), time.process_time())
        torch.distributed.all_reduce(numbers)
        taken.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    if torch.distributed.get_rank() == 0:
        for seconds in zip(*taken[1:], strict=True):
            print(sent(ALL_REDUCED, count) / median(seconds))
    torch.distributed.destroy_process_group()


def bandwidth() -> list[float]:
    """What :func:`all_reduce` tells of two processes of this machine."""
    command = [*torchrun("--standalone", "--nproc-per-node", "2")[:-1], "benchmarks.exchange"]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
    return [float(number) for number in done.stdout.split()[-2:]]


def bytes_a_step(place: Path, command: Callable[[Path, int], list[str]]) -> float:
    """Bytes that one of two hosts sends in a step: what 40 steps more have sent.

    Args:
        place: a new folder.
        command: the arguments of ``dragoman`` for a model folder and a number of steps.
    """
    place.mkdir()
    counts = []
    for steps in (10, 50):
        with two_hosts(place) as two:
            for host in (0, 1):
                two.start(host, command(place / f"m{steps}", steps))
            deadline = time.monotonic() + PATIENCE
            while two.codes() != [0, 0] and time.monotonic() < deadline:
                time.sleep(0.2)
            counts.append(two.sent())
    return (counts[1] - counts[0]) / 40


if __name__ == "__main__":  # a process of torchrun
    all_reduce()
