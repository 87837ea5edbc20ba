"""An explanation: examples on their way through a model as data, for terminal, page and JSON.

B batch   S source positions   T target positions   V vocabulary
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from dragoman.inspection.recording import RecordedValue
from dragoman.search.translator import Translation

if TYPE_CHECKING:
    from rich.console import RenderableType

_PAGE = Path(__file__).with_suffix(".html")


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text."""

    id: int
    text: str
    stands_for: str = ""
    """Of the unknown token: the part of the text that it stands for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One target position."""

    reads: Token
    """The token before it, which the decoder reads."""
    expected: Token
    """The token at this position, in the given target or in the model's own output."""
    real: bool
    """False on padding, which does not count in the loss."""
    loss: float
    """Negative log-probability of ``expected``, in nats."""
    candidates: tuple[tuple[Token, float], ...]
    """The most probable next tokens and their probabilities."""
    measures: Mapping[str, float]
    """Norms of the decoder's vectors at this position; of a copying model, the probability that it
    generates a word instead of copying one."""
    energies: npt.NDArray[Any] | None
    """Of every source position, padding included, [S]; None without attention."""
    weights: npt.NDArray[Any] | None
    """Attention to every source position, [S]; None without attention."""


@dataclass(frozen=True, slots=True)
class Example:
    """One pair of the batch; ``source`` and ``steps`` include the end token and padding."""

    text: str
    normalized: str
    source: tuple[Token, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class OpenHypothesis:
    """A hypothesis that search was about to extend."""

    token: Token
    """Its last token."""
    log_prob: float
    """Of all its tokens together."""
    parent: int
    """Position, in the step before, of the hypothesis that it continues; -1 where it begins."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A batch of pairs on its way through a model; rich and notebooks show it."""

    examples: tuple[Example, ...]
    values: Mapping[str, RecordedValue]
    """Intermediate values of the batch by name, in the order in which they are computed."""
    given: bool = True
    """Whether the target was given; otherwise it is the model's own output."""
    answer: Translation | None = None
    """The model's own output, when one sentence was explained."""
    beam: tuple[tuple[OpenHypothesis, ...], ...] = ()
    """The hypotheses that were open before each step of the search for ``answer``."""

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.values[name].array

    def to_json(self, *, arrays: bool = True) -> str:
        """Everything as JSON: each value in full (unless it is over the vocabulary), or, without
        ``arrays``, only its shape and range."""
        fields: dict[str, Any] = {
            "loss": self["batch loss"],
            "minimised": self["minimised"],
            "given": self.given,
            "examples": [asdict(example) for example in self.examples],
            "answer": self.answer and asdict(self.answer),
            "beam": [[asdict(hypothesis) for hypothesis in step] for step in self.beam],
            "values": {},
        }
        for name, value in self.values.items():
            fields["values"][name] = value.summary()
            if arrays and "V" not in value.axes:
                fields["values"][name]["values"] = value.array
        return json.dumps(fields, ensure_ascii=False, default=lambda array: array.tolist())

    def to_html(self) -> str:
        """A page that needs nothing but a browser."""
        data = self.to_json(arrays=False).replace("<", "\\u003c")  # no text ends the script early
        return _PAGE.read_text("utf-8").replace(">{}<", f">{data}<")

    def _repr_html_(self) -> str:
        page = escape(self.to_html())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40rem; border: 0"></iframe>'

    def __rich__(self) -> RenderableType:
        from dragoman.inspection.terminal import view

        return view(self)
