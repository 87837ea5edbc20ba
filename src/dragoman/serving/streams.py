"""Searches that requests of all clients share: each joins the batch while it is searched.

A stream is one thread that searches with one set of options, and takes requests as the batch has
room. It begins with the first request for these options, and ends when none has come for a while.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition, Thread

from dragoman.config.options import SearchOptions
from dragoman.search.request import Request
from dragoman.search.translator import Translation, Translator

BUSY_STREAMS = 4
"""Most sets of options that are searched with at the same time."""
_LINGER = 5.0
"""Seconds that a stream waits for requests before it ends."""


class BusyError(Exception):
    """Too much is waiting to take more."""


@dataclass(eq=False)
class _Job:
    """What one client asked for."""

    requests: Sequence[Request]
    answers: dict[int, Translation] = field(default_factory=dict)
    """By position in ``requests``."""
    begun: int = 0
    future: Future[list[Translation]] = field(default_factory=Future)


@dataclass(eq=False)
class _Stream:
    """The work of one thread."""

    options: SearchOptions
    jobs: deque[_Job] = field(default_factory=deque)
    """With requests that have not begun. The first gives one and goes to the end, so that many
    lines of one client do not hold up one line of another."""
    at_work: set[tuple[_Job, int]] = field(default_factory=set)
    """Requests that have begun."""


class Streams:
    """The searches of one model. Every method may be called by any thread.

    Args:
        translator: the model.
        limit: no request is taken while so many lines or more are waiting.
    """

    def __init__(self, translator: Translator, *, limit: int) -> None:
        self.translator, self.limit = translator, limit
        self.waiting = 0
        """Lines that have not begun."""
        self._changed = Condition()
        self._streams: dict[SearchOptions, _Stream] = {}
        self._wanted: set[Future[list[Translation]]] = set()
        """What clients still wait for."""
        self._closed = False

    @property
    def at_work(self) -> int:
        """Lines that are being searched."""
        with self._changed:
            return sum(len(stream.at_work) for stream in self._streams.values())

    def submit(
        self, requests: Sequence[Request], options: SearchOptions
    ) -> Future[list[Translation]]:
        """Take requests; the future gives an answer for each, in order.

        Cancelling the future drops the requests that have not begun.

        Raises:
            BusyError: too many lines are waiting, too many sets of options are at work, or the
                streams are closed.
        """
        job = _Job(requests)
        with self._changed:
            stream = self._streams.get(options)
            busy = [one for one in self._streams.values() if one.jobs or one.at_work]
            too_various = stream not in busy and len(busy) >= BUSY_STREAMS
            if self._closed or self.waiting >= self.limit or too_various:
                raise BusyError
            if stream is None:
                stream = self._streams[options] = _Stream(options)
                Thread(target=self._run, args=(stream,), name="stream", daemon=True).start()
            stream.jobs.append(job)
            self.waiting += len(requests)
            self._wanted.add(job.future)
            self._changed.notify_all()
        job.future.add_done_callback(self._settle)
        return job.future

    def close(self) -> None:
        """Take no more requests, and return when all that were taken are answered or cancelled."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._wanted)

    def _settle(self, future: Future[list[Translation]]) -> None:
        with self._changed:
            self._wanted.discard(future)
            self._changed.notify_all()

    def _run(self, stream: _Stream) -> None:
        while self._streams.get(stream.options) is stream:
            try:
                self.translator.answer_each(
                    self._next(stream), stream.options, lambda key, a: self._put(stream, key, a)
                )
            except Exception as error:
                with self._changed:
                    for job in {job for job, _ in stream.at_work}:
                        with suppress(InvalidStateError):
                            job.future.set_exception(error)
                    stream.at_work.clear()

    def _next(self, stream: _Stream) -> Iterator[tuple[tuple[_Job, int], Request] | None]:
        """Yield the next requests, and None while others are at work and none waits.

        Ends when the stream shall end.
        """
        while True:
            item = self._take(stream)
            if item is not None or stream.at_work:
                yield item
                continue
            with self._changed:
                self._changed.wait_for(lambda: stream.jobs or self._closed, _LINGER)
                if not stream.jobs:
                    del self._streams[stream.options]
                    return

    def _take(self, stream: _Stream) -> tuple[tuple[_Job, int], Request] | None:
        """The next request of the next client who still waits; None when there is none."""
        with self._changed:
            while stream.jobs:
                job = stream.jobs.popleft()
                if job.future.done():  # cancelled, or one of its requests failed
                    self.waiting -= len(job.requests) - job.begun
                    continue
                key = job, job.begun
                job.begun += 1
                self.waiting -= 1
                stream.at_work.add(key)
                if job.begun < len(job.requests):
                    stream.jobs.append(job)
                return key, job.requests[key[1]]
        return None

    def _put(self, stream: _Stream, key: tuple[_Job, int], answer: Translation) -> None:
        job, number = key
        with self._changed:
            stream.at_work.discard(key)
        job.answers[number] = answer
        if len(job.answers) == len(job.requests):
            with suppress(InvalidStateError):  # it was cancelled
                job.future.set_result([job.answers[n] for n in range(len(job.requests))])
