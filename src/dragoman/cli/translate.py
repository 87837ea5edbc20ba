"""``dragoman translate``"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import UseAppendAction

from dragoman.api import Model, load
from dragoman.cli import say
from dragoman.cli.parse import Given
from dragoman.cli.paths import Input, Inputs, OutputFile, Picture
from dragoman.cli.requests import read_request
from dragoman.config.options import SearchOptions
from dragoman.config.values import Range
from dragoman.data.lines import read_lines
from dragoman.data.streams import STDIN, place
from dragoman.errors import DragomanError, OptionError, UsageError
from dragoman.files import write_text
from dragoman.search.alignment import pharaoh, read_dictionary
from dragoman.search.request import Request
from dragoman.search.translator import LINES_AT_A_TIME, Translation

_say = partial(say, "translate")


@dataclass(frozen=True)
class Translate:
    """Translate each line of standard input (or --input) into one line of standard output."""

    folder: Input
    """The model folder."""
    others: Inputs = ()
    """More model folders: all translate together, by the mean of their
    probabilities (an ensemble). They need the same target vocabulary."""
    input: Path = Path("-")
    """A text file, one source a line; - is standard input."""
    requests: bool = False
    """Each input line is a JSON object with a source, and constraints on its
    output: prefix (text), must and never (lists of words); and features
    (text) for a model that reads them."""
    prefix: str = ""
    """Text with which every output begins."""
    must: UseAppendAction[tuple[str, ...]] = ()
    """A word or phrase that every output contains."""
    never: UseAppendAction[tuple[str, ...]] = ()
    """A word or phrase that no output contains."""
    target_tag: str = ""
    """The tag of every line that lacks its last column of features, such as
    the language to write (as in training, where that had one)."""
    dictionary: Path | None = None
    """A file of source words and their translations, with a tab between. An
    unknown word in the output becomes the translation of the source word
    under it."""
    min_confidence: Annotated[float | None, Range(0, at_most=1)] = None
    """Mark outputs whose confidence (0 to 1) is below this as unsure: with
    "[unsure] " before the text, or "unsure": true in JSON. Confidence is
    the share of such outputs that were right on held-out pairs."""
    json: bool = False
    """Print one JSON object a line: text, score (log-probability, normalised
    by length), confidence, tokens, n-best outputs."""
    attention: Picture = None
    """Draw the attention of the first line into this file (.png, .svg or
    .pdf)."""
    alignments: OutputFile = None
    """Write into this file which source word each output word comes from, by
    attention: one line such as 0-0 1-2 for each input line, source first,
    words counted from 0 as spaces separate them."""
    device: str = "cpu"
    """Where the model runs: cpu, cuda, cuda:1 or mps."""
    search: SearchOptions = field(default_factory=SearchOptions)
    """How an output is searched for. Options that are not given are those of
    the model folder, whatever default stands here."""


def main(asked: Translate, given: Given) -> int:
    """Run the verb."""
    options = given.get("search", {})
    if options.get("n_best", 1) > 1 and not asked.json:
        raise OptionError("more than one output for a line needs --json", place="--n-best")
    dictionary = read_dictionary(asked.dictionary)
    model = load(asked.folder, *asked.others, device=asked.device)
    if asked.min_confidence is not None and model.confidence is None:
        cause = f"{asked.folder} has no confidence.json, which is fitted to held-out pairs"
        cure = "train a model with at least 50 pairs held out"
        if model.others:
            cause = "an ensemble has no confidence: confidence.json is fitted to one model"
            cure = "translate with one model"
        raise OptionError(cause, place="--min-confidence", cure=cure)
    if asked.target_tag and not model.folder.source.tags.columns:
        raise OptionError("this model reads no features", place="--target-tag")
    looks = asked.attention is not None or asked.alignments is not None
    if looks and model.config.model.attention == "none":
        which = "--attention" if asked.attention else "--alignments"
        raise OptionError("this model has no attention", place=which)
    wrong: dict[int, UsageError] = {}
    answers = chain.from_iterable(
        model.stream(block, attention=looks, dictionary=dictionary, **options)
        for block in _requests(asked, model, options, wrong)
    )
    links, cut = [], list[int]()
    for number, answer in enumerate(answers):
        if answer.hypotheses and not answer.hypotheses[0].complete:
            cut.append(number + 1)
        print(_line(asked, model, answer, wrong.get(number)), flush=asked.input == STDIN)
        if number == 0 and asked.attention is not None:
            _draw(answer, asked.attention)
        if asked.alignments is not None:
            tokenizers = model.folder.source, model.folder.target
            links.append(f"{pharaoh(answer.source, answer.hypotheses, *tokenizers)}\n")
    if asked.alignments is not None:
        write_text(asked.alignments, "".join(links))
    if cut:
        lines = f"{len(cut)} lines, the first of them {cut[0]}" if cut[1:] else f"line {cut[0]}"
        _say(f"the length limit cut the output of {lines} (--max-added or --max-ratio raises it)")
    return 1 if wrong else 0


def _requests(
    asked: Translate, model: Model, options: dict[str, Any], wrong: dict[int, UsageError]
) -> Iterator[list[Request]]:
    """Yield a request for each line, in blocks that are translated together.

    ``wrong`` gains the number and the error of each line that cannot be answered, for which the
    request is empty.
    """
    every = Request("", asked.prefix, asked.must, asked.never)
    columns, numbers = model.folder.source.tags.columns, count()
    tag, checked = asked.target_tag or model.config.data.target_tag, asked.requests or columns > 0

    def request_of(line: str) -> Request:
        number, request = next(numbers), replace(every, source=line)
        if checked:
            try:
                if asked.requests:
                    request = read_request(line, every, place(asked.input, number + 1))
                if tag and request.source.strip() and request.source.count("\t") < columns:
                    request = replace(request, source=f"{request.source}\t{tag}")
                model.check(request, **options)
            except UsageError as error:
                request, wrong[number] = Request(""), error
                _say(str(error))
        return request

    for block in read_lines(asked.input, _say, LINES_AT_A_TIME, tabs=columns > 0):
        yield list(map(request_of, block))


def _line(asked: Translate, model: Model, answer: Translation, error: UsageError | None) -> str:
    """The output for one line: its translation, or in JSON the error if it has none."""
    if error is not None:
        return json.dumps({"error": str(error)}, ensure_ascii=False) if asked.json else ""
    sure = None if model.confidence is None else model.confidence.of(answer)
    unsure = None if asked.min_confidence is None else (sure or 0.0) < asked.min_confidence
    if asked.json:
        return to_json(answer, sure, unsure)
    return f"{'[unsure] ' if unsure else ''}{answer.text}"


def to_json(answer: Translation, confidence: float | None, unsure: bool | None) -> str:
    """An answer as one line of JSON; what is None is left out."""
    best = zip(answer.hypotheses, answer.texts, strict=True)
    fields: dict[str, Any] = {
        "source": answer.source,
        "text": answer.text,
        "score": _rounded(answer.score),
        "source_tokens": answer.source_tokens,
        "target_tokens": answer.target_tokens,
        "n_best": [
            {"text": text, "score": _rounded(h.score), "log_prob": _rounded(h.log_prob)}
            for h, text in best
        ],
    }
    if confidence is not None:
        fields["confidence"] = round(confidence, 4)
    if unsure is not None:
        fields["unsure"] = unsure
    if answer.unmet:
        fields["unmet"] = answer.unmet
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def _rounded(value: float) -> float | None:
    """Six decimals; None, as JSON has no infinity, where no output was found."""
    return round(value, 6) if math.isfinite(value) else None


def _draw(answer: Translation, path: Path) -> None:
    """Draw the attention of the first line. What is wrong with it does not end the command."""
    from dragoman.inspection.attention_map import AttentionMap, draw_maps

    weights = answer.hypotheses[0].weights if answer.hypotheses else None
    warnings = ["the first line is empty or too long to be drawn"]
    if weights is not None:
        drawn = AttentionMap(answer.source_tokens, answer.target_tokens, weights)
        try:
            warnings = draw_maps([drawn], path)
        except DragomanError as error:
            warnings = [str(error)]
    for warning in warnings:
        _say(f"--attention: {warning}")
