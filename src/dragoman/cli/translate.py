"""``dragoman translate``"""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, count, islice, tee
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import UseAppendAction

from dragoman.api import Model, load
from dragoman.cli.aids import AidOptions
from dragoman.cli.parse import Given, Inputs, UsesModel
from dragoman.config.options import SearchOptions
from dragoman.config.values import Range
from dragoman.data.lines import read_lines
from dragoman.data.streams import STDIN, opened, place
from dragoman.documents.blocks import filled, read_blocks
from dragoman.documents.formats import FORMATS
from dragoman.errors import OptionError, UsageError
from dragoman.search.request import Request, Translation, read_request
from dragoman.search.translator import Translator
from dragoman.serving.languages import language_codes


@dataclass(frozen=True)
class Translate(AidOptions, UsesModel):
    """Translate each line of standard input (or --input) into one line of standard output.

    With --format, translate the sentences of a document, and print the document with them.
    """

    others: Inputs = ()
    """More model folders: all translate together, by the mean of their
    probabilities (an ensemble). They need the same target vocabulary."""
    input: Path = Path("-")
    """A text file, one source a line; - is standard input."""
    format: Literal["lines", "text", "html", "markdown", "srt", "json"] = "lines"
    """What the input is: lines, each of them a source; or a document, which is
    cut into sentences. Its markup, code, URLs and times stay as they are."""
    language: str = ""
    """Two letters: the language of the sources, by whose rules the sentences of
    a document end. Without it, the name of the model folder tells (fr-en)."""
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
    min_confidence: Annotated[float | None, Range(0, at_most=1)] = None
    """Mark outputs whose confidence (0 to 1) is below this as unsure: with
    "[unsure] " before the text, or "unsure": true in JSON. Confidence is
    the share of such outputs that were right on held-out pairs."""
    json: bool = False
    """Print one JSON object a line: text, score (log-probability, normalised
    by length), confidence, tokens, n-best outputs."""


def main(asked: Translate, given: Given) -> int:
    """Run the verb."""
    say, options = asked.say, given.get("search", {})
    if asked.format != "lines" and (asked.json or asked.requests or asked.min_confidence):
        cause = "a document goes without --json, --requests and --min-confidence"
        raise OptionError(cause, place="--format")
    if options.get("n_best", 1) > 1 and not asked.json:
        raise OptionError("more than one output for a line needs --json", place="--n-best")
    model = load(asked.folder, *asked.others, device=asked.device)
    if asked.min_confidence is not None and model.confidence is None:
        who = "an ensemble" if model.others else asked.folder
        cause = f"{who} has no confidence: a single model's is fitted to 50 held-out pairs or more"
        raise OptionError(cause, place="--min-confidence", cure="take one model that had so many")
    translator, search = model.translator(options, asked.read(model, options))
    if asked.format != "lines":
        return _document(asked, model, translator, search)
    wrong: dict[int, UsageError] = {}
    requests = _requests(asked, translator, search, wrong)
    answers = chain.from_iterable(translator.translate(block, search) for block in requests)
    cut = list[int]()
    for number, answer in enumerate(answers):
        if answer.hypotheses and not answer.hypotheses[0].complete:
            cut.append(number + 1)
        print(_line(asked, model, answer, wrong.get(number)), flush=asked.input == STDIN)
    if cut:
        lines = f"{len(cut)} lines, the first of them {cut[0]}" if cut[1:] else f"line {cut[0]}"
        say(f"the length limit cut the output of {lines} (--max-added or --max-ratio raises it)")
    return 1 if wrong else 0


def _document(asked: Translate, model: Model, translator: Translator, search: SearchOptions) -> int:
    """Translate a document."""
    translator.require_attention()
    every = Request("", asked.prefix, asked.must, asked.never)
    ((code, _),) = language_codes([], [model.folder.path.resolve().name])
    with ExitStack() as stack:
        raw = opened(asked.input, stack, as_lines=True).stream
        lines = (line.decode(errors="surrogateescape") for line in raw)
        # What the search reads ahead is held by tee.
        blocks, written = tee(read_blocks(lines, FORMATS[asked.format], asked.language or code[:2]))
        sentences = (replace(every, source=text) for block in blocks for text in block.sentences)
        answers = translator.translate(sentences, search)
        first = [*islice(answers, 1)]  # a wrong constraint is told before anything is written
        for text in filled(written, (answer.text for answer in chain(first, answers))):
            sys.stdout.buffer.write(text.encode(errors="surrogateescape"))
    return 0


def _requests(
    asked: Translate, translator: Translator, search: SearchOptions, wrong: dict[int, UsageError]
) -> Iterator[list[Request]]:
    """Yield a request for each line, in blocks that are translated together.

    ``wrong`` gains the number and the error of each line that cannot be answered, for which the
    request is empty.
    """
    every = Request("", asked.prefix, asked.must, asked.never)
    tags, numbers = translator.source.tags, count()

    def request_of(line: str) -> Request:
        number, request = next(numbers), replace(every, source=line)
        if asked.requests or tags:
            try:
                if asked.requests:
                    where = place(asked.input, number + 1)
                    request = read_request(line, every, where, tagged=bool(tags))
                translator.check(request, search)
            except UsageError as error:
                request, wrong[number] = Request(""), error
                asked.say(str(error))
        return request

    for block in read_lines(asked.input, asked.say, tabs=tags.columns > 0):
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
    fields: dict[str, Any] = {
        "source": answer.source,
        "text": answer.text,
        "score": _rounded(answer.score),
        "source_tokens": answer.source_tokens,
        "target_tokens": answer.target_tokens,
        "n_best": [
            {"text": text, "score": _rounded(h.score), "log_prob": _rounded(h.log_prob)}
            for text, h in zip(answer.texts, answer.hypotheses, strict=True)
        ],
    }
    more = {
        "from": "memory" if answer.remembered else None,
        "confidence": None if confidence is None else round(confidence, 4),
        "unsure": unsure,
        "unmet": answer.unmet or None,
    }
    fields |= {name: value for name, value in more.items() if value is not None}
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def _rounded(value: float) -> float | None:
    """Six decimals; None, as JSON has no infinity, where no output was found."""
    return round(value, 6) if math.isfinite(value) else None
