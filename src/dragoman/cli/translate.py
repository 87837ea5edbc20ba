"""``dragoman translate``"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dragoman.cli.options import PICTURES, check_output, given, parse
from dragoman.data.lines import STDIN, read_lines
from dragoman.errors import OptionError
from dragoman.files import replacing

if TYPE_CHECKING:
    from dragoman.search.translator import Translation

UNSURE = "[unsure] "


@dataclass(frozen=True)
class Translate:
    """Answer each line of standard input (or --input) with one line of standard output."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The model folder."""
    input: Path = Path("-")
    """A text file of lines; - is standard input."""
    beam: int | None = None
    """Hypotheses kept a step; 1: greedy (default: the folder's search.beam)."""
    length_penalty: float | None = None
    """Exponent of the length that divides a score (default: the folder's)."""
    max_ratio: float | None = None
    """Longest output as a multiple of the source's tokens (default: the folder's)."""
    batch_size: int | None = None
    """Lines translated at a time; changes speed only (default: the folder's)."""
    n_best: int = 1
    """With --json: hypotheses given for each line, no more than the beam."""
    min_confidence: float | None = None
    """Mark an answer as unsure when the share of such answers that were right on held-out pairs is
    below this: "[unsure] " is put before it, and with --json "unsure" is true."""
    json: bool = False
    """Give a JSON object a line: text, score (log-probability divided by length to the power of
    the length penalty), confidence, tokens, n-best."""
    attention: Path | None = None
    """Draw the first line's attention map into this file (.png, .svg or .pdf)."""
    alignments: Path | None = None
    """Write for each line which word of the output stands for which of the source, read off the
    attention: 0-0 1-2, source first, words as white space cuts them."""


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Translate, arguments, verb="translate")
    if asked.n_best < 1:
        raise OptionError(f"{asked.n_best} is too small, at least 1", place="--n-best")
    if asked.min_confidence is not None and not 0 <= asked.min_confidence <= 1:
        raise OptionError(f"{asked.min_confidence} is no share of 1", place="--min-confidence")
    check_output(asked.attention, "--attention", PICTURES)
    check_output(asked.alignments, "--alignments")
    options = given(asked, ("beam", "length_penalty", "max_ratio", "batch_size"))
    from dragoman.api import load  # torch only now

    model = load(asked.folder)
    if asked.min_confidence is not None and model.confidence is None:
        raise OptionError(f"{asked.folder} has no confidence.json", place="--min-confidence",
                          cure="train again, with at least 50 pairs held out")  # fmt: skip
    looks = asked.attention is not None or asked.alignments is not None
    if looks and model.config.model.attention == "none":
        which = "--attention" if asked.attention else "--alignments"
        raise OptionError("this model has no attention", place=which)
    lines = read_lines(asked.input, _warn)
    typed = asked.input == STDIN and sys.stdin.isatty()  # someone waits for each answer
    blocks = ([line] for line in lines) if typed else [lines]
    answers = chain.from_iterable(model.stream(b, attention=looks, **options) for b in blocks)
    with ExitStack() as stack:
        links = None
        if asked.alignments is not None:
            aside = stack.enter_context(replacing(asked.alignments))
            links = stack.enter_context(open(aside, "w", encoding="utf-8"))
        for number, answer in enumerate(answers):
            sure = None if model.confidence is None else model.confidence.of(answer)
            unsure = None if asked.min_confidence is None else (sure or 0.0) < asked.min_confidence
            text = f"{UNSURE if unsure else ''}{answer.text}"
            print(_json(answer, asked.n_best, sure, unsure) if asked.json else text, flush=typed)
            if number == 0 and asked.attention is not None:
                _draw(answer, asked.attention)
            if links is not None:
                links.write(f"{model.alignment(answer)}\n")
    return 0


def _warn(text: str) -> None:
    print(f"dragoman translate: {text}", file=sys.stderr)


def _json(answer: Translation, n_best: int, sure: float | None, unsure: bool | None) -> str:
    best = zip(answer.hypotheses[:n_best], answer.texts, strict=False)
    fields: dict[str, Any] = {
        "source": answer.source,
        "text": answer.text,
        "score": round(answer.score, 6),
        "source_tokens": answer.source_tokens,
        "target_tokens": answer.target_tokens,
        "n_best": [
            {"text": text, "score": round(h.score, 6), "log_prob": round(h.log_prob, 6)}
            for h, text in best
        ],
    }
    if sure is not None:
        fields["confidence"] = round(sure, 4)
    if unsure is not None:
        fields["unsure"] = unsure
    return json.dumps(fields, ensure_ascii=False)


def _draw(answer: Translation, path: Path) -> None:
    from dragoman.inspection.attention_map import draw_attention, without_font

    if not answer.hypotheses or answer.hypotheses[0].weights is None:
        _warn("--attention: the first line is empty or too long to be drawn")
        return
    weights = answer.hypotheses[0].weights
    missing = draw_attention(answer.source_tokens, answer.target_tokens, weights, path)
    if missing:
        _warn(f"--attention: {without_font(missing)}")
