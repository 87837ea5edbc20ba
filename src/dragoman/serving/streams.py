"""Searches that requests of all clients share: each line joins the batch while it is searched."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, PriorityQueue
from threading import Thread

from dragoman.config.options import SearchOptions
from dragoman.search.request import Request
from dragoman.search.translation import Translation
from dragoman.search.translator import Translator


class BusyError(Exception):
    """Too much is waiting to take more."""


@dataclass(order=True)
class _Line:
    """A line that waits. Lines are taken in the order of their turns, then as they came."""

    turn: int
    number: int
    request: Request = field(compare=False)
    future: Future[Translation] = field(compare=False, default_factory=Future)


class Stream:
    """One thread that searches with one set of options as long as the process runs.

    A request of many lines does not hold up one of a single line: the n-th line of a request has
    the n-th turn after the one that is now (start-time fair queueing, Goyal et al. 1996).

    Args:
        translator: the model.
        options: how to search.
        limit: no request is taken while so many lines or more are waiting.
    """

    def __init__(self, translator: Translator, options: SearchOptions, *, limit: int) -> None:
        self.translator, self.options, self.limit = translator, options, limit
        self.at_work: set[Future[Translation]] = set()
        """Lines that are being searched."""
        self._waiting: PriorityQueue[_Line] = PriorityQueue()
        self._numbers, self._turn = count(), 0
        Thread(target=self._run, name="stream", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Number of lines that have not begun, those that were cancelled included."""
        return self._waiting.qsize()

    def submit(self, requests: Sequence[Request]) -> list[Future[Translation]]:
        """Take requests of one client; a future that is cancelled drops a line that has not begun.

        Raises:
            BusyError: too many lines are waiting.
        """
        if self.waiting >= self.limit:
            raise BusyError
        now = self._turn
        lines = [_Line(now + n, next(self._numbers), each) for n, each in enumerate(requests)]
        for line in lines:
            self._waiting.put(line)
        return [line.future for line in lines]

    def _run(self) -> None:
        while True:
            try:
                self.translator.answer_each(self._next(), self.options, self._answered)
            except Exception as error:
                for future in self.at_work:
                    future.set_exception(error)
                self.at_work.clear()

    def _next(self) -> Iterator[tuple[Future[Translation], Request] | None]:
        """Yield the next lines, and None while others are at work and none waits."""
        while True:
            try:
                line = self._waiting.get(block=not self.at_work)
            except Empty:
                yield None
                continue
            self._turn = line.turn
            if line.future.set_running_or_notify_cancel():
                self.at_work.add(line.future)
                yield line.future, line.request

    def _answered(self, future: Future[Translation], answer: Translation) -> None:
        self.at_work.remove(future)
        future.set_result(answer)
