"""Counts what the server does, in Prometheus' text format."""

import os
from collections import defaultdict

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
"""Kind and meaning of each number."""


class Metrics:
    """The numbers of one process, which is a label of each."""

    def __init__(self) -> None:
        self._values: defaultdict[str, float] = defaultdict(float)
        """By name and labels, as they are written."""

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        """Add ``value`` to a counter."""
        self._values[_series(name, labels)] += value

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._values[_series(name, labels)] = value

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.add("requests_total", route=route, status=str(status))
        for bound in _BOUNDS:
            self.add("request_seconds_bucket", seconds <= bound, route=route, le=str(bound))
        self.add("request_seconds_bucket", route=route, le="+Inf")
        self.add("request_seconds_sum", seconds, route=route)
        self.add("request_seconds_count", route=route)

    def text(self) -> str:
        """All numbers, as Prometheus reads them."""
        lines = []
        for family, (kind, text) in _HELP.items():
            head = f"dragoman_{family}"
            lines += [f"# HELP {head} {text}", f"# TYPE {head} {kind}"]
            lines += [f"{s} {v:.10g}" for s, v in self._values.items() if s.startswith(head)]
        return "\n".join(lines) + "\n"


def _series(name: str, labels: dict[str, str]) -> str:
    """The name of a number with its labels, as Prometheus reads it."""
    every = {**labels, "process": os.getpid()}
    inside = ",".join(f'{label}="{text}"' for label, text in every.items())
    return f"dragoman_{name}{{{inside}}}"
