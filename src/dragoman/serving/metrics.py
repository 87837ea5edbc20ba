"""Counts what the server does, in Prometheus' text format."""

import os
from collections import defaultdict

Counts = defaultdict[str, float]
"""The numbers of one process by their :func:`series`; 0 where there is none."""
_BOUNDS = "0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 +Inf"
"""Upper bounds of the histogram of seconds, as they are written."""
_HELP = {
    "requests_total": ("counter", "Requests answered, by route and status."),
    "request_seconds": ("histogram", "Time from a request's body to its answer."),
    "lines_total": ("counter", "Lines translated."),
    "characters_total": ("counter", "Characters of the lines translated."),
    "waiting": ("gauge", "Lines that no search has begun."),
    "at_work": ("gauge", "Lines that are being searched."),
}
"""Kind and meaning of each number."""


def series(name: str, **labels: str) -> str:
    """The name of a number with its labels, as Prometheus reads it; the process is one of them."""
    every = {**labels, "process": os.getpid()}
    inside = ",".join(f'{label}="{text}"' for label, text in every.items())
    return f"dragoman_{name}{{{inside}}}"


def count_request(counts: Counts, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    counts[series("requests_total", route=route, status=str(status))] += 1
    for bound in _BOUNDS.split():
        counts[series("request_seconds_bucket", route=route, le=bound)] += seconds <= float(bound)
    counts[series("request_seconds_sum", route=route)] += seconds
    counts[series("request_seconds_count", route=route)] += 1


def exposition(counts: Counts) -> str:
    """All numbers, as Prometheus reads them."""
    lines = []
    for family, (kind, text) in _HELP.items():
        head = f"dragoman_{family}"
        lines += [f"# HELP {head} {text}", f"# TYPE {head} {kind}"]
        lines += [f"{s} {v:.10g}" for s, v in counts.items() if s.startswith(head)]
    return "\n".join(lines) + "\n"
