"""The options of the server that do not belong to a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dragoman.config.values import Range


@dataclass(frozen=True)
class ServingOptions:
    """API keys, other origins, the log, and the limits of requests."""

    api_keys: Path | None = None
    """A file with one API key a line. Requests must then give one, as
    api_key or as a bearer token."""
    cors: tuple[str, ...] = ()
    """Origins (such as https://example.org) whose pages may read answers; *
    is any."""
    log_text: bool = False
    """Write what is translated into the log."""
    max_body: Annotated[int, Range(1)] = 1_000_000
    """Largest size of a request's body, in bytes."""
    max_characters: Annotated[int, Range(1)] = 50_000
    """Largest number of characters in one request."""
    max_lines: Annotated[int, Range(1)] = 1_000
    """Largest number of lines in one request."""
    max_seconds: Annotated[float, Range(0.1)] = 30.0
    """Longest time that a client may take to send a request, and longest
    time that it waits for the answer."""
    max_waiting: Annotated[int, Range(1)] = 256
    """Number of lines waiting for a model from which on requests are
    refused, with status 429; requests for alternatives are counted apart."""
    max_requests: Annotated[int, Range(1)] = 1_000
    """Largest number of requests that a process reads or answers at the
    same time; further ones are refused, with status 503. Four times as
    many connections may be open."""
