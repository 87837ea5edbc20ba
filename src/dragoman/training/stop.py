"""Signals that ask a training to stop after its current step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, the request of a job scheduler, and a terminal that was closed."""


@dataclass(slots=True)
class StopRequest:
    """Whether the training was asked to stop."""

    number: int = 0
    """The signal; 0 while there was none."""


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first signal into a request; a second one acts as it does without this.

    A signal that the process ignores (SIGHUP under ``nohup``) is still ignored. Outside of the main
    thread Python handles no signals, and nothing changes.
    """
    request, before = StopRequest(), dict[int, Any]()

    def ask(number: int, _: FrameType | None) -> None:
        request.number = number
        signal.signal(number, before[number])

    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]  # on Windows: two
    try:
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.getsignal(number)
                signal.signal(number, ask)
    except ValueError:  # not the main thread
        before.clear()
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
