"""``dragoman translate``"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dragoman.cli.options import PICTURES, check_output, parse_search
from dragoman.config.options import SearchOptions
from dragoman.config.toml import flat
from dragoman.data.lines import STDIN, place, read_lines
from dragoman.errors import DataError, DragomanError, OptionError
from dragoman.files import replacing
from dragoman.search.request import Request
from dragoman.search.unknown import read_dictionary

if TYPE_CHECKING:
    from dragoman.search.translator import Translation

UNSURE = "[unsure] "


@dataclass(frozen=True)
class Translate:
    """Answer each line of standard input (or --input) with one line of standard output."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The model folder."""
    others: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Models that answer with it: an ensemble, with one target vocabulary."""
    input: Path = Path("-")
    """A text file of lines; - is standard input."""
    requests: bool = False
    """Each line is a JSON object: its source, and what is asked of its answer: prefix (text), must
    and never (lists of words)."""
    prefix: str = ""
    """How every answer begins."""
    must: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A word or phrase that every answer holds; may be given again."""
    never: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A word or phrase that no answer holds; may be given again."""
    dictionary: Path | None = None
    """A file of words and what to say for them, a tab between: used where the output has an unknown
    word, for the source word under it."""
    min_confidence: float | None = None
    """Mark an answer as unsure when the share of such answers that were right on held-out pairs is
    below this: "[unsure] " is put before it; in JSON, "unsure" is true."""
    json: bool = False
    """Give a JSON object a line: text, score (log-probability, normalised as the options say),
    confidence, tokens, n-best."""
    attention: Path | None = None
    """Draw the first line's attention map into this file (.png, .svg or .pdf)."""
    alignments: Path | None = None
    """Write for each line which word of the output stands for which of the source, read off the
    attention: 0-0 1-2, source first, words as white space cuts them."""
    search: SearchOptions = field(default_factory=SearchOptions)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse_search(Translate, arguments, verb="translate")
    if asked.min_confidence is not None and not 0 <= asked.min_confidence <= 1:
        raise OptionError(f"{asked.min_confidence} is no share of 1", place="--min-confidence")
    check_output(asked.attention, "--attention", PICTURES)
    check_output(asked.alignments, "--alignments")
    dictionary = read_dictionary(asked.dictionary)
    from dragoman.api import load  # torch only now

    model = load(asked.folder, *asked.others)
    if asked.min_confidence is not None and model.confidence is None:
        if asked.others:
            raise OptionError(
                "an ensemble has no confidence: confidence.json is fitted to one model",
                place="--min-confidence",
                cure="translate with one model",
            )
        raise OptionError(
            f"{asked.folder} has no confidence.json, which is fitted to held-out pairs",
            place="--min-confidence",
            cure="train or average a run with at least 50 pairs held out",
        )
    looks = asked.attention is not None or asked.alignments is not None
    if looks and model.config.model.attention == "none":
        which = "--attention" if asked.attention else "--alignments"
        raise OptionError("this model has no attention", place=which)
    lines = _requests(asked)
    typed = asked.input == STDIN and sys.stdin.isatty()  # someone waits for each answer
    blocks = ([line] for line in lines) if typed else [lines]
    answers = chain.from_iterable(
        model.stream(b, attention=looks, dictionary=dictionary, **flat(asked.search))
        for b in blocks
    )
    with ExitStack() as stack:
        links = None
        if asked.alignments is not None:
            aside = stack.enter_context(replacing(asked.alignments))
            links = stack.enter_context(open(aside, "w", encoding="utf-8"))
        for number, answer in enumerate(answers):
            sure = None if model.confidence is None else model.confidence.of(answer)
            unsure = None if asked.min_confidence is None else (sure or 0.0) < asked.min_confidence
            text = f"{UNSURE if unsure else ''}{answer.text}"
            print(_json(answer, sure, unsure) if asked.json else text, flush=typed)
            if number == 0 and asked.attention is not None:
                _draw(answer, asked.attention)
            if links is not None:
                links.write(f"{model.alignment(answer)}\n")
    return 0


def _requests(asked: Translate) -> Iterator[Request]:
    """The lines, each with what is asked of its answer."""
    every = Request("", asked.prefix, asked.must, asked.never)
    for number, line in enumerate(read_lines(asked.input, _warn), 1):
        if not asked.requests:
            yield replace(every, source=line)
            continue
        where = place(asked.input, number)
        try:
            fields = json.loads(line)
            texts = [fields["source"], fields.get("prefix", ""), *fields.get("must", ())]
            texts += fields.get("never", ())
            if not all(isinstance(text, str) for text in texts):
                raise TypeError("a text is expected")
            yield Request(
                texts[0],
                fields.get("prefix", every.prefix),
                (*every.must, *fields.get("must", ())),
                (*every.never, *fields.get("never", ())),
                where,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"is no request: {error}",
                place=where,
                cure='such as {"source": "ein Hund", "must": ["dog"]}',
            ) from None


def _warn(text: str) -> None:
    print(f"dragoman translate: {text}", file=sys.stderr)


def _json(answer: Translation, sure: float | None, unsure: bool | None) -> str:
    best = zip(answer.hypotheses, answer.texts, strict=True)
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
    from dragoman.inspection.attention_map import AttentionMap, draw_maps

    if not answer.hypotheses or answer.hypotheses[0].weights is None:
        _warn("--attention: the first line is empty or too long to be drawn")
        return
    weights = answer.hypotheses[0].weights
    try:
        warnings = draw_maps(
            [AttentionMap(answer.source_tokens, answer.target_tokens, weights)], path
        )
    except DragomanError as error:  # the other lines are still to be answered
        warnings = [str(error)]
    for warning in warnings:
        _warn(f"--attention: {warning}")
