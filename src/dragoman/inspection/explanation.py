"""An explanation: every value of examples in a model, as JSON, page, picture and terminal view.

B batch   S source positions   T target positions   V vocabulary
"""

import json
import logging
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Column, Table
from rich.text import Text

from dragoman.errors import DragomanError
from dragoman.files import replacing
from dragoman.search.request import Translation

_PAGE = Path(__file__).with_suffix(".html")
_BAR = 24
"""Columns of a bar for a weight of 1."""
_LEAST = 0.02
"""Source words with less attention than this share one line."""
_LEFT_TO_RIGHT = "\u200e"
_END = "</s>"
"""The end token, as a map of attention shows it."""
_INCHES = 0.33
"""Side of a cell of that map."""


class Value(NamedTuple):
    """One intermediate value of a batch."""

    axes: str
    """A letter for each axis: ``"B S H"``; :mod:`dragoman.inspection.explain` has the legend."""
    array: npt.NDArray[Any]

    def summary(self, *, arrays: bool = False) -> dict[str, Any]:
        """Axes and shape; of tensors of real numbers also their range and Euclidean norm.

        With ``arrays`` the numbers too, unless they are over the vocabulary.
        """
        facts: dict[str, Any] = {"axes": self.axes, "shape": list(self.array.shape)}
        if self.array.dtype.kind == "f" and self.axes:
            facts |= {"low": self.array.min(), "high": self.array.max()}
            facts["norm"] = np.linalg.norm(self.array)
        return facts | ({"values": self.array} if arrays and "V" not in self.axes else {})


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text."""

    id: int
    text: str
    stands_for: str = ""
    """The part of the text that the unknown token stands for; empty for other tokens."""


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
    """Negative log-probability of ``expected``, in nats; of an entmax output the entmax loss."""
    candidates: tuple[tuple[Token, float], ...]
    """The most probable next tokens and their probabilities."""
    energies: npt.NDArray[Any] | None
    """Attention energy of every source position, padding included, [S]; None without attention."""
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
    """Log-probability of all its tokens together."""
    parent: int
    """Position, in the step before, of the hypothesis that it continues; -1 where it begins."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The values of a batch of pairs in a model; rich shows it."""

    examples: tuple[Example, ...]
    values: Mapping[str, Value]
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
        values = {name: value.summary(arrays=arrays) for name, value in self.values.items()}
        fields = asdict(replace(self, values={})) | {"loss": self["batch loss"], "values": values}
        return json.dumps(fields, ensure_ascii=False, default=lambda array: array.tolist())

    def to_html(self) -> str:
        """A page that needs nothing but a browser."""
        data = self.to_json(arrays=False).replace("<", "\\u003c")  # no text ends the script early
        return _PAGE.read_text("utf-8").replace(">{}<", f">{data}<")

    def draw_attention(self, path: Path) -> None:
        """Draw the attention of one sentence over the given target, or over the model's output.

        The model has attention.

        Args:
            path: as in :func:`draw_map`.
        """
        (example,) = self.examples
        words = [token.stands_for or token.text for token in example.source[:-1]]
        target = [step.expected.text for step in example.steps if step.real]
        draw_map(words, target, self["weights"][0, : len(target)], path)

    def __rich__(self) -> RenderableType:
        """Every stage of the batch; of a single sentence also each step."""
        parts: list[RenderableType] = []
        for number, example in enumerate(self.examples, 1):
            of = "" if self.answer else f" of pair {number}"
            parts += [_rule(f"Text{of}"), _texts(example, self["source mask"][number - 1])]
            if self.answer:
                parts += [_rule("Step by step"), *_steps(example)]
            if self.given:
                parts += [_rule(f"Loss{of}"), _losses(example)]
        parts += [_rule("Values"), _values(self.values)]
        if self.given:
            loss, count = float(self["batch loss"]), int(self["target mask"].sum())
            parts.append(Text(f"\nbatch loss {loss:.4f} nats, mean of {count} tokens"))
        return Group(*parts)


def _rule(title: str) -> Rule:
    return Rule(title, align="left", style="dim")


def _word(token: Token, *, number: bool = False) -> Text:
    """A token as text; marks keep a right-to-left token from reordering the rest of its line."""
    text = f"{token.text} ({token.stands_for})" if token.stands_for else token.text
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text):
        text = f"{_LEFT_TO_RIGHT}{text}{_LEFT_TO_RIGHT}"
    shown = Text(text, "yellow" if token.stands_for else "")
    return Text.assemble(shown, (f" {token.id}", "dim")) if number else shown


def _texts(example: Example, mask: npt.NDArray[np.bool_]) -> Table:
    table = Table.grid(Column(style="dim"), padding=(0, 2))
    table.add_row("text", Text(example.text))
    table.add_row("normalised", Text(example.normalized))
    table.add_row("tokens", Text(" · ").join(_word(one, number=True) for one in example.source))
    table.add_row("mask", " ".join(str(int(real)) for real in mask))
    return table


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    """An empty table with columns of words on the left and of numbers on the right."""
    columns = [Column(name, max_width=24, no_wrap=True) for name in left]
    columns += [Column(name, justify="right", min_width=6, no_wrap=True) for name in right]
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _values(values: Mapping[str, Value]) -> Table:
    table = _table(("value", "axes", "shape"), ("from", "to", "norm"))
    for name, value in values.items():
        if value.axes:
            facts = value.summary()
            numbers = [f"{facts[n]:.3f}" for n in ("low", "high", "norm") if n in facts]
            table.add_row(name, value.axes, " x ".join(map(str, value.array.shape)), *numbers)
    return table


def _steps(example: Example) -> Iterator[RenderableType]:
    """The real steps, each with its attention as bars, and the most probable tokens."""
    for number, step in enumerate(example.steps, 1):
        if not step.real:
            continue
        probability = f"   p {np.exp(-step.loss):.3f}"
        output = _word(step.expected, number=True)
        yield Text.assemble(f"{number:2d} ", _word(step.reads), " → ", output, probability)
        name, bar = Column(max_width=24, no_wrap=True), Column(max_width=_BAR, no_wrap=True)
        bars = Table.grid(name, bar, padding=(0, 1))
        if step.weights is not None:
            for at, (token, weight) in enumerate(zip(example.source, step.weights, strict=True)):
                if weight >= _LEAST:
                    block = Text("█" * round(float(weight) * _BAR), "cyan")
                    energy = "" if step.energies is None else f"energy {step.energies[at]:.3f}"
                    bars.add_row(_word(token), block, f"{weight:.3f}", Text(energy, "dim"))
            rest = step.weights[step.weights < _LEAST].sum()
            bars.add_row(Text("others", "dim"), "", f"{rest:.3f}")
        likely = (_word(token).append(f" {share:.3f}") for token, share in step.candidates)
        yield Padding(Group(bars, Text("likely  ", "dim") + Text("  ").join(likely)), (0, 0, 0, 3))


def _losses(example: Example) -> Table:
    table = _table(("", "reads", "reference", "prediction"), ("loss", "mask", "masked"))
    for number, step in enumerate(example.steps, 1):
        guess, _ = step.candidates[0]
        words = [_word(token, number=True) for token in (step.reads, step.expected, guess)]
        if step.real:
            words[2].stylize("green" if guess.id == step.expected.id else "red")
        losses = f"{step.loss:.4f}", str(int(step.real)), f"{step.loss * step.real:.4f}"
        table.add_row(str(number), *words, *losses, style="" if step.real else "dim")
    return table


def draw_map(
    source: Sequence[str], target: Sequence[str], weights: npt.NDArray[Any], path: Path
) -> None:
    """Draw one map: source words across, target words down.

    matplotlib warns on stderr of characters that its font lacks. Text in SVG stays text, so that
    its reader's fonts show it.

    Args:
        source: tokens, without the end token.
        target: tokens, without the end token.
        weights: [target + 1, source + 1] with the end tokens; [target, ...] of an output that was
            cut at its length limit. More columns are padding.
        path: a file; its ending is the format (``.png``, ``.svg``, ``.pdf``).

    Raises:
        DragomanError: matplotlib failed, for example because it cannot write its font cache.
    """
    # Where no home can be written, it has advice about its folders that helps nobody here.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # A dollar sign would start a formula in a label of matplotlib.
    columns, rows = ([t.replace("$", r"\$") for t in (*side, _END)] for side in (source, target))
    rows, weights = rows[: len(weights)], weights[:, : len(columns)]
    size = (2.5 + _INCHES * len(columns), 1.8 + _INCHES * len(rows))
    place: dict[str, Any] = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
    try:
        import matplotlib
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=120, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(weights, cmap="viridis", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(len(columns)), columns, **place)
        axes.set_yticks(range(len(rows)), rows)
        axes.xaxis.tick_top()
        axes.set(xlabel="source", ylabel="output")
        figure.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
        with matplotlib.rc_context({"svg.fonttype": "none"}), replacing(path) as aside:
            figure.savefig(aside, format=path.suffix.lower().lstrip(".") or "png")
    except (OSError, RuntimeError, ValueError) as error:
        raise DragomanError(f"cannot be drawn: {error}", place=path) from error
