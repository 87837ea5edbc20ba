"""The memory of processes, without the pages of files that they map.

The system takes such pages back when memory is short; a corpus is read through them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import psutil


def own_memory(number: int) -> int:
    """Bytes of a process, or of one that it started if that has more."""
    most = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(number)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                used = one.memory_info()
                most = max(most, used.rss - used.shared)
    return most


@contextmanager
def most_memory() -> Iterator[list[int]]:
    """Context manager; yields a list whose last value is the most memory of this process so far."""
    most, ended = [own_memory(os.getpid())], Event()

    def watch() -> None:
        while not ended.wait(0.05):
            most.append(max(most[-1], own_memory(os.getpid())))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()
