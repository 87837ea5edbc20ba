"""Counts what the server does, in Prometheus' text format."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator

_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of seconds."""
_HELP = {
    "requests_total": ("counter", "Requests answered, by route and status."),
    "request_seconds": ("histogram", "Time from a request's body to its answer."),
    "lines_total": ("counter", "Lines translated."),
    "characters_total": ("counter", "Characters of the lines translated."),
    "waiting": ("gauge", "Lines that no search has begun."),
    "at_work": ("gauge", "Lines that are being searched."),
}

Sample = tuple[str, dict[str, str], float]
"""The name of a number, its labels and its value."""


class Metrics:
    """The counters of one process, whose number is a label of each."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, tuple[tuple[str, str], ...]], float]
        self._counts = defaultdict(float)

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Add ``value`` to a counter."""
        self._counts[name, tuple(labels.items())] += value

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.add("requests_total", route=route, status=str(status))
        for bound in _BOUNDS:
            self.add("request_seconds_bucket", seconds <= bound, route=route, le=str(bound))
        self.add("request_seconds_bucket", route=route, le="+Inf")
        self.add("request_seconds_sum", seconds, route=route)
        self.add("request_seconds_count", route=route)

    def text(self, gauges: Iterable[Sample]) -> str:
        """All numbers, with ``gauges`` that are read at this moment."""
        samples = [(name, dict(labels), value) for (name, labels), value in self._counts.items()]
        return "\n".join(_lines([*samples, *gauges])) + "\n"


def _lines(samples: list[Sample]) -> Iterator[str]:
    for family, (kind, text) in _HELP.items():
        yield f"# HELP dragoman_{family} {text}"
        yield f"# TYPE dragoman_{family} {kind}"
        for name, labels, value in samples:
            if name.startswith(family):
                pairs = {**labels, "process": str(os.getpid())}.items()
                inside = ",".join(f'{key}="{text}"' for key, text in pairs)
                yield f"dragoman_{name}{{{inside}}} {value:.10g}"
