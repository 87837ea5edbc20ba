"""The values of options: ranges of numbers, weights of files, and durations."""

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Literal

from dragoman.errors import OptionError

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


@dataclass(frozen=True)
class Range:
    """The numbers that an option takes: ``at_least <= number < below`` and ``<= at_most``."""

    at_least: float
    below: float = math.inf
    at_most: float = math.inf

    def fault(self, number: float) -> str:
        """What is wrong with ``number``; empty when nothing is."""
        if not math.isfinite(number):
            return f"{number} is not a finite number"
        if number < self.at_least:
            return f"{number} is too small, at least {self.at_least:g}"
        if number >= self.below:
            return f"{number} is too large, it must be below {self.below:g}"
        return f"{number} is too large, at most {self.at_most:g}" if number > self.at_most else ""


def weighted(text: str) -> tuple[str, float]:
    """Turn ``more.tsv=0.3`` into the file and its weight, which is 1 where none is given.

    Raises:
        OptionError: the weight is not above 0 and at most 1,000.
    """
    file, equals, weight = text.rpartition("=")
    if text and not equals:
        return text, 1.0
    with suppress(ValueError):
        if file and 0 < float(weight) <= 1000:
            return file, float(weight)
    cause, cure = f"{text!r} has no weight above 0", f"such as {file or text}=0.5"
    raise OptionError(cause, place="data.also", cure=cure)


Auto = Literal["auto"]
Count = Annotated[int, Range(0)]
PositiveCount = Annotated[int, Range(1)]
Amount = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, at_most=1)]
Seed = Annotated[int, Range(0, below=2**63)]


def seconds(budget: str) -> float:
    """Turn ``90s``, ``20m`` or ``1h30m`` into seconds; ``none`` into infinity.

    Raises:
        OptionError: the text is none of these.
    """
    if budget == "none":
        return math.inf
    match = _DURATION.fullmatch(budget.replace(" ", "").lower())
    if not match or not any(match.groups()):
        cause, cure = f"{budget!r} is not a duration", "such as 90s, 20m, 1h30m"
        raise OptionError(cause, place="training.budget", cure=cure)
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest
