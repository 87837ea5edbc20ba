"""Shows an explanation in a terminal."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dragoman.inspection.explanation import Example, Explanation, OpenHypothesis, Step, Token
from dragoman.search.translator import Translation

_BAR = 24
"""Columns of a bar for a weight of 1."""
_LEAST = 0.02
"""Source words with less attention than this share one line."""
_LEFT_TO_RIGHT = "\u200e"


def view(explanation: Explanation) -> RenderableType:
    """Every stage of a batch; of a single sentence also each step, and the search."""
    parts: list[RenderableType] = []
    for number, example in enumerate(explanation.examples, 1):
        of = "" if explanation.answer else f" of pair {number}"
        parts += [_rule(f"Text{of}"), _texts(example, explanation["source mask"][number - 1])]
        if explanation.answer:
            parts += [_rule("Step by step"), *_steps(example)]
        if explanation.given:
            parts += [_rule(f"Loss{of}"), _losses(example)]
    parts += [_rule("Values"), _values(explanation)]
    if explanation.given:
        plain, smoothed = (float(explanation[name]) for name in ("batch loss", "minimised"))
        more = f"; with label smoothing {smoothed:.4f}" if smoothed != plain else ""
        count = int(explanation["target mask"].sum())
        parts.append(Text(f"\nbatch loss {plain:.4f} nats, mean of {count} tokens{more}"))
    if explanation.answer:
        parts += [_rule("Search: hypotheses before each step"), _beam(explanation.beam)]
        parts += [_rule("Search: outputs"), _outputs(explanation.answer)]
    return Group(*parts)


def _rule(title: str) -> Rule:
    return Rule(title, align="left", style="dim")


def _word(token: Token, *, number: bool = False) -> Text:
    """A token; marks keep one of a right-to-left script from turning its line around."""
    text = f"{token.text} ({token.stands_for})" if token.stands_for else token.text
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text):
        text = f"{_LEFT_TO_RIGHT}{text}{_LEFT_TO_RIGHT}"
    shown = Text(text, "yellow" if token.stands_for else "")
    return Text.assemble(shown, (f" {token.id}", "dim")) if number else shown


def _texts(example: Example, mask: npt.NDArray[np.bool_]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_row("text", Text(example.text))
    table.add_row("normalised", Text(example.normalized))
    table.add_row("tokens", Text(" · ").join(_word(one, number=True) for one in example.source))
    table.add_row("mask", " ".join(str(int(real)) for real in mask))
    return table


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    """An empty table with columns of words on the left and of numbers on the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in left:
        table.add_column(name, max_width=24, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", min_width=6, no_wrap=True)
    return table


def _values(explanation: Explanation) -> RenderableType:
    table = _table(("value", "axes", "shape"), ("from", "to", "norm"))
    for name, value in explanation.values.items():
        if value.axes:
            facts = value.summary()
            numbers = [f"{facts[n]:.3f}" for n in ("low", "high", "norm") if n in facts]
            table.add_row(name, value.axes, " x ".join(map(str, value.array.shape)), *numbers)
    return table


def _steps(example: Example) -> Iterator[RenderableType]:
    for number, step in enumerate(example.steps, 1):
        if not step.real:
            continue
        probability = f"   p {math.exp(-step.loss):.3f}"
        output = _word(step.expected, number=True)
        yield Text.assemble(f"{number:2d} ", _word(step.reads), " → ", output, probability)
        likely = (_word(token).append(f" {share:.3f}") for token, share in step.candidates)
        measures = ", ".join(f"{name} {value:.3f}" for name, value in step.measures.items())
        lines = (
            _attention(step, example.source),
            Text("likely  ", "dim") + Text("  ").join(likely),
            Text(measures, "dim"),
        )
        yield Padding(Group(*lines), (0, 0, 0, 3))


def _attention(step: Step, source: Sequence[Token]) -> RenderableType:
    """Attention weights as bars beside the source words, with their energies."""
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=24, no_wrap=True)
    table.add_column(max_width=_BAR, no_wrap=True, overflow="crop")
    if step.weights is None or step.energies is None:
        return table
    for token, weight, energy in zip(source, step.weights, step.energies, strict=True):
        if weight >= _LEAST:
            bar = Text("█" * round(float(weight) * _BAR), "cyan")
            table.add_row(_word(token), bar, f"{weight:.3f}", Text(f"energy {energy:.3f}", "dim"))
    rest = step.weights[step.weights < _LEAST].sum()
    table.add_row(Text("others", "dim"), "", f"{rest:.3f}")
    return table


def _losses(example: Example) -> RenderableType:
    table = _table(("", "reads", "reference", "prediction"), ("loss", "mask", "masked"))
    for number, step in enumerate(example.steps, 1):
        guess, _ = step.candidates[0]
        words = [_word(token, number=True) for token in (step.reads, step.expected, guess)]
        if step.real:
            words[2].stylize("green" if guess.id == step.expected.id else "red")
        losses = f"{step.loss:.4f}", str(int(step.real)), f"{step.loss * step.real:.4f}"
        table.add_row(str(number), *words, *losses, style="" if step.real else "dim")
    return table


def _beam(beam: Sequence[Sequence[OpenHypothesis]]) -> RenderableType:
    """A line for each step: last tokens, log-probabilities, and the hypotheses they continue."""
    table = Table.grid(padding=(0, 1))
    for number, step in enumerate(beam[1:], 1):
        hypotheses = (
            Text.assemble(
                (f"{place} ", "bold"),
                _word(one.token),
                (f" {one.log_prob:.3f} after {one.parent + 1}", "dim"),
            )
            for place, one in enumerate(step, 1)
        )
        table.add_row(f"{number:2d}", Text("   ").join(hypotheses))
    return table


def _outputs(answer: Translation) -> RenderableType:
    """The outputs that search found, best first."""
    table = _table(("output",), ("log-probability", "score"))
    table.columns[0].max_width = None
    table.columns[0].no_wrap = False
    for text, hypothesis in zip(answer.texts, answer.hypotheses, strict=True):
        cut = "" if hypothesis.complete else " (cut at the length limit)"
        table.add_row(
            Text((text or "(empty)") + cut), f"{hypothesis.log_prob:.3f}", f"{hypothesis.score:.3f}"
        )
    return table
