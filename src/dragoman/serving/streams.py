"""Searches that requests of all clients share: each line joins the batch while it is searched."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import count
from queue import Empty, PriorityQueue
from threading import Thread

from starlette.exceptions import HTTPException

from dragoman.config.options import SearchOptions
from dragoman.search.request import Request, Translation
from dragoman.search.translator import Translator


class BusyError(HTTPException):
    """Too many lines are waiting to take more: HTTP's 429, Too Many Requests."""


Line = tuple[int, int, Request, Future[Translation]]
"""A line that waits: its turn, its number, what is asked and its answer to come. Lines are taken in
the order of their turns, then of their numbers, which differ."""


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
        self._waiting: PriorityQueue[Line] = PriorityQueue()
        self._numbers, self._turn = count(), 0
        Thread(target=self._run, name="stream", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Number of lines that have not begun, without those that were cancelled."""
        return sum(not future.cancelled() for *_, future in [*self._waiting.queue])

    def submit(self, requests: Sequence[Request]) -> list[Future[Translation]]:
        """Take requests of one client; a future that is cancelled drops a line that has not begun.

        Raises:
            BusyError: too many lines are waiting.
        """
        if self.waiting >= self.limit:
            raise BusyError(429, "Slowdown: too many requests are waiting", {"Retry-After": "1"})
        futures = [Future[Translation]() for _ in requests]
        for turn, line in enumerate(zip(requests, futures, strict=True), self._turn):
            self._waiting.put((turn, next(self._numbers), *line))
        return futures

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
                self._turn, _, request, future = self._waiting.get(block=not self.at_work)
            except Empty:
                yield None
                continue
            if future.set_running_or_notify_cancel():
                self.at_work.add(future)
                yield future, request

    def _answered(self, future: Future[Translation], answer: Translation) -> None:
        self.at_work.remove(future)
        future.set_result(answer)
