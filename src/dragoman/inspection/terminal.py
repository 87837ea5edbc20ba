"""The glass box in a terminal: what :class:`Explanation` holds, as text and blocks."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dragoman.data.tokenizer import EOS
from dragoman.inspection.explanation import Branch, Example, Explanation, Step, Token

_HEIGHTS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR = 24
_LEAST = 0.02
"""Source words with less attention than this share a line."""
_LEFT_TO_RIGHT = "\u200e"


def view(explanation: Explanation) -> RenderableType:
    """The whole way of a batch; of a single sentence step by step, and with its search."""
    answer, examples = explanation.answer, list(enumerate(explanation.examples, 1))
    parts: list[RenderableType] = []
    for number, example in examples:
        of = "" if answer else f" of pair {number}"
        parts += [_rule(f"Text{of}"), _texts(example, explanation["source mask"][number - 1])]
    parts += [_rule("Values"), _values(explanation)]
    for number, example in examples:
        of = "" if answer else f" of pair {number}"
        if answer:
            parts += [_rule("Step by step"), *_steps(example)]
        if answer and "weights" in explanation.values:
            parts += [_rule("Attention"), attention_blocks(example)]
        if explanation.given:
            parts += [_rule(f"Loss{of}"), _losses(example)]
    if explanation.given:
        plain, smoothed = (float(explanation[name]) for name in ("batch loss", "minimised"))
        more = f"; with label smoothing {smoothed:.4f}" if smoothed != plain else ""
        count = int(explanation["target mask"].sum())
        parts.append(Text(f"\nbatch loss {plain:.4f} nats, mean of {count} tokens{more}"))
    if answer:
        parts += [_rule("Search"), Text(f"the model says: {answer.text}"), _tree(explanation.beam)]
    return Group(*parts)


def attention_blocks(example: Example) -> RenderableType:
    """A map: a line for each target token, a block as high as its weight for each source token."""
    wide = 2 if len(example.source) <= 24 else 1
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", max_width=16, no_wrap=True)
    numbers = [str(n) for n in range(1, len(example.source) + 1)]
    for digits in zip(*(n.rjust(len(numbers[-1])) for n in numbers), strict=True):
        table.add_row("", Text("".join(digit.rjust(wide) for digit in digits), "dim"))
    for step in example.steps:
        if step.real and step.weights is not None:
            heights = (math.ceil(8 * (float(weight) - _LEAST)) for weight in step.weights)
            blocks = (_HEIGHTS[height] * wide for height in heights)
            table.add_row(_word(step.expected), Text("".join(blocks), "cyan"))
    words = zip(numbers, example.source, strict=True)
    return Group(table, Columns([Text.assemble((n, "dim"), " ", _word(word)) for n, word in words]))


def _rule(title: str) -> Rule:
    return Rule(title, align="left", style="dim")


def _word(token: Token, *, number: bool = False) -> Text:
    """A token; one of a script that runs to the left does not turn its line around."""
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
    """A table of words on the left and numbers on the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in left:
        table.add_column(name, max_width=24, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", min_width=6, no_wrap=True)
    return table


def _values(explanation: Explanation) -> RenderableType:
    table = _table(("value", "axes", "shape"), ("from", "to", "norm"))
    tensors = ((name, value) for name, value in explanation.values.items() if value.axes)
    for name, value in tensors:
        facts = value.summary()
        numbers = [f"{facts[n]:.3f}" for n in ("low", "high", "norm") if n in facts]
        table.add_row(name, value.axes, " x ".join(map(str, value.array.shape)), *numbers)
    return table


def _steps(example: Example) -> Iterator[RenderableType]:
    for number, step in enumerate(example.steps, 1):
        if not step.real:
            continue
        probability = f"   p {math.exp(-step.loss):.3f}"
        said = _word(step.expected, number=True)
        yield Text.assemble((f"{number:2d} ", "bold"), _word(step.reads), " → ", said, probability)
        likely = (_word(token).append(f" {share:.3f}") for token, share in step.candidates)
        measures = ", ".join(f"{name} {value:.3f}" for name, value in step.measures.items())
        yield Padding(
            Group(
                _bars(step, example.source),
                Text("likely  ", "dim") + Text("  ").join(likely),
                Text(measures, "dim"),
            ),
            (0, 0, 0, 3),
        )


def _bars(step: Step, source: Sequence[Token]) -> RenderableType:
    """Weights as bars over the source words, with their energies."""
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=24, no_wrap=True)
    table.add_column(max_width=_BAR, no_wrap=True, overflow="crop")
    table.add_column(min_width=5, no_wrap=True)
    if step.weights is None or step.energies is None:
        return table
    for token, weight, energy in zip(source, step.weights, step.energies, strict=True):
        if weight >= _LEAST:
            eighths = round(float(weight) * _BAR * 8)
            bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8]
            facts = (f"{weight:.3f}", Text(f"energy {energy:.3f}", "dim"))
            table.add_row(_word(token), Text(bar, "cyan"), *facts)
    rest = step.weights[step.weights < _LEAST].sum()
    table.add_row(Text("others", "dim"), "", f"{rest:.3f}")
    return table


def _losses(example: Example) -> RenderableType:
    table = _table(("", "reads", "reference", "prediction"), ("loss", "mask", "masked"))
    for number, step in enumerate(example.steps, 1):
        guess, _ = step.candidates[0]
        said = [_word(token, number=True) for token in (step.reads, step.expected, guess)]
        if step.real:
            said[2].stylize("green" if guess.id == step.expected.id else "red")
        losses = f"{step.loss:.4f}", str(int(step.real)), f"{step.loss * step.real:.4f}"
        table.add_row(str(number), *said, *losses, style="" if step.real else "dim")
    return table


def _tree(beam: Sequence[Branch]) -> RenderableType:
    """The hypotheses of a search; tokens with one continuation only stand on one line."""
    best = max((branch.score for branch in beam if branch.score is not None), default=None)
    children: dict[tuple[int, ...], list[Branch]] = {}
    for branch in sorted(beam, key=lambda branch: -branch.log_prob):
        children.setdefault(branch.ids[:-1], []).append(branch)

    def grow(below: Tree, ids: tuple[int, ...]) -> Tree:
        for branch in children.get(ids, []):
            label, last = _word(branch.token), branch
            while len(only := children.get(last.ids, [])) == 1 and last.score is None:
                last = only[0]
                label.append(" ").append_text(_word(last.token))
            label.append(f"  {last.log_prob:.3f}", "dim")
            if last.score is not None:
                style = "bold green" if last.score == best else ""
                label.append(f"  score {last.score:.3f}", style)
            elif last.ids[-1] != EOS and not children.get(last.ids):
                label.append("  given up", "dim")
            grow(below.add(label), last.ids)
        return below

    return grow(Tree(Text("<s>", "dim"), guide_style="dim"), ())
