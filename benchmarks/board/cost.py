"""What a command costs, and what other processes of the machine do meanwhile."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Load:
    """What was done between two moments."""

    seconds: float
    others: float
    """Mean number of cores that other processes used, and that the machine's host took away."""


class Meter:
    """Compares the processor time of the machine with that of this process and its children.

    A child's time counts when it has ended and was waited for.
    """

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.perf_counter(), _busy_seconds(), _own_seconds()

    def read(self) -> Load:
        """The cost since the meter was made."""
        seconds = time.perf_counter() - self._began
        others = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return Load(seconds, max(0.0, others / seconds))


def _busy_seconds() -> float:
    """Processor time of all processes of the machine since it started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # also in user, nice
    return sum(times) - idle - guests


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
