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
    """The whole way; a batch, or a single pair with its search."""
    parts: list[RenderableType] = []
    single = explanation.answer is not None
    for number, example in enumerate(explanation.examples, 1):
        parts.append(_rule("Text" if single else f"Text of pair {number}"))
        parts.append(_texts(example, explanation["source mask"][number - 1]))
    parts += [_rule("Values"), _values(explanation)]
    for number, example in enumerate(explanation.examples, 1):
        if single:
            parts += [_rule("Step by step"), *_steps(explanation)]
            if "weights" in explanation:
                parts += [_rule("Attention"), attention_blocks(example)]
        if explanation.given:
            parts += [_rule("Loss" if single else f"Loss of pair {number}"), _losses(example)]
    parts.append(_verdict(explanation))
    if explanation.beam:
        parts += [_rule("Search"), _tree(explanation)]
    return Group(*parts)


def attention_blocks(example: Example) -> RenderableType:
    """A map: a line for each target token, a block as high as its weight for each source token."""
    source = example.source
    wide = 2 if len(source) <= 24 else 1
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", max_width=16, no_wrap=True)
    table.add_column(no_wrap=True)
    numbers = [str(n) for n in range(1, len(source) + 1)]
    for digit in range(len(numbers[-1])):
        row = "".join(n.rjust(len(numbers[-1]))[digit].rjust(wide) for n in numbers)
        table.add_row("", Text(row, style="dim"))
    for step in example.steps:
        if step.weights is not None:
            heights = np.rint(step.weights[: len(source)] * 8).astype(int)
            row = "".join(_HEIGHTS[height] * wide for height in heights)
            table.add_row(_word(step.expected), Text(row, style="cyan"))
    pairs = zip(numbers, source, strict=True)
    key = Columns([Text.assemble((n, "dim"), " ", _word(token)) for n, token in pairs])
    return Group(table, key)


def _rule(title: str) -> Rule:
    return Rule(title, align="left", style="dim")


def _word(token: Token) -> Text:
    """A token; one of a script that runs to the left does not turn its line around."""
    text = f"{token.text} ({token.stands_for})" if token.stands_for else token.text
    if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text):
        text = f"{_LEFT_TO_RIGHT}{text}{_LEFT_TO_RIGHT}"
    return Text(text, style="yellow" if token.stands_for else "")


def _texts(example: Example, mask: npt.NDArray[np.bool_]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_row("text", Text(example.text))
    table.add_row("normalised", Text(example.normalized))
    ids = Text(" · ").join(Text.assemble(_word(t), (f" {t.id}", "dim")) for t in example.source)
    table.add_row("tokens", ids)
    table.add_row("mask", " ".join(map(str, mask.astype(int))))
    return table


def _values(explanation: Explanation) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("value", "axes", "shape", "from", "to", "norm"):
        table.add_column(name, justify="left" if name in ("value", "axes", "shape") else "right")
    for value in explanation.values:
        facts = value.summary()
        shape = " x ".join(map(str, facts["shape"]))
        numbers = [f"{facts[n]:.3f}" for n in ("low", "high", "norm") if n in facts]
        table.add_row(value.name, value.axes, shape, *numbers)
    return table


def _steps(explanation: Explanation) -> Iterator[RenderableType]:
    (example,) = explanation.examples
    for number, step in enumerate(example.steps):
        head = Text.assemble(
            (f"{number + 1:2d} ", "bold"), _word(step.reads), " → ",
            (_word(step.expected).append(f" {step.expected.id}", "dim")),
            f"   p {math.exp(-step.loss):.3f}",
        )  # fmt: skip
        norms = [f"{name} {norm:.3f}" for name, norm in step.norms.items()]
        likely = Text("likely  ", style="dim")
        for token, probability in step.candidates:
            likely.append_text(_word(token)).append(f" {probability:.3f}  ")
        lengths = Text("norms   " + ", ".join(norms), style="dim")
        yield head
        yield Padding(Group(*_bars(step, example.source), likely, lengths), (0, 0, 0, 3))


def _bars(step: Step, source: Sequence[Token]) -> Iterator[RenderableType]:
    """Weights as bars over the source words."""
    if step.weights is None or step.energies is None:
        return
    table = Table.grid(padding=(0, 1))
    table.add_column(max_width=24, no_wrap=True)
    table.add_column(width=_BAR)
    rest = 0.0
    for token, weight, energy in zip(source, step.weights, step.energies, strict=False):
        if weight < _LEAST:
            rest += float(weight)
        else:
            bar = Text(bar_of(float(weight)), style="cyan")
            table.add_row(_word(token), bar, f"{weight:.3f}", Text(f"energy {energy:.3f}", "dim"))
    if rest >= 0.0005:
        table.add_row(Text("others", "dim"), "", f"{rest:.3f}")
    yield table


def bar_of(share: float) -> str:
    """A share of 1 as blocks, to an eighth of one."""
    eighths = round(share * _BAR * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _losses(example: Example) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "reads", "reference", "prediction", "loss", "mask", "masked"):
        right = name in ("", "loss", "mask", "masked")
        table.add_column(name, justify="right" if right else "left", max_width=16, no_wrap=True)
    for number, step in enumerate(example.steps, 1):
        guess = step.candidates[0][0]
        style = "" if not step.real else "green" if guess.id == step.expected.id else "red"
        said = [_word(t).append(f" {t.id}", "dim") for t in (step.reads, step.expected, guess)]
        said[2].stylize(style)
        table.add_row(
            str(number), *said, f"{step.loss:.4f}", str(int(step.real)),
            f"{step.loss * step.real:.4f}", style="" if step.real else "dim",
        )  # fmt: skip
    return table


def _verdict(explanation: Explanation) -> RenderableType:
    """Losses of the batch; what the model says when it is not told."""
    tokens = sum(step.real for example in explanation.examples for step in example.steps)
    lines = [Text()]
    if explanation.given:
        smoothed = explanation.minimised != explanation.loss
        more = f"; with label smoothing {explanation.minimised:.4f}" if smoothed else ""
        lines.append(Text(f"batch loss {explanation.loss:.4f} nats, mean of {tokens} tokens{more}"))
    if explanation.answer is not None:
        lines.append(Text.assemble(("the model says  ", "dim"), explanation.answer.text))
    return Group(*lines)


def _tree(explanation: Explanation) -> RenderableType:
    """The beam: tokens that have one continuation only stand on one line."""
    assert explanation.answer is not None
    best = max((b.score for b in explanation.beam if b.score is not None), default=None)
    children: dict[tuple[int, ...], list[Branch]] = {}
    for branch in explanation.beam:
        children.setdefault(branch.ids[:-1], []).append(branch)
    tree = Tree(Text("<s>", style="dim"), guide_style="dim")

    def grow(below: Tree, ids: tuple[int, ...]) -> None:
        for branch in sorted(children.get(ids, []), key=lambda b: -b.log_prob):
            label, last = _word(branch.token), branch
            while len(only := children.get(last.ids, [])) == 1 and last.score is None:
                last = only[0]
                label.append(" ").append_text(_word(last.token))
            label.append(f"  {last.log_prob:.3f}", style="dim")
            if last.score is not None:
                style = "bold green" if last.score == best else ""
                label.append(f"  score {last.score:.3f}", style)
            elif last.ids[-1] != EOS and not children.get(last.ids):
                label.append("  given up", style="dim")
            grow(below.add(label), last.ids)

    grow(tree, ())
    return tree
