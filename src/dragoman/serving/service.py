"""Translates, detects and explains for clients: what the routes do, once a request is read."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hmac import compare_digest
from io import StringIO
from typing import Any

from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials

from dragoman.data.tokenizer import SPACE
from dragoman.documents.blocks import Block, filled, read_blocks
from dragoman.documents.formats import FORMATS
from dragoman.errors import OptionError, UsageError
from dragoman.search.request import Request, Translation
from dragoman.serving.gate import LOG
from dragoman.serving.languages import AUTO, Models, Served
from dragoman.serving.metrics import Metrics
from dragoman.serving.options import ServingOptions
from dragoman.serving.schema import MOST_ALTERNATIVES, Keyed, TranslateRequest
from dragoman.serving.streams import Stream


class Service:
    """The served models, and what is being done with them.

    Args:
        models: the models.
        options: the limits, and where the API keys are.
        metrics: counts lines and characters.

    Raises:
        OptionError: the file of API keys cannot be read, or holds none.
    """

    def __init__(self, models: Models, options: ServingOptions, metrics: Metrics) -> None:
        self.models, self.options, self.metrics = models, options, metrics
        self.streams: dict[tuple[Served, bool], Stream] = {}
        """Of each model, one that searches for the best output alone and one for alternatives."""
        self._keys = _read_keys(options)
        self._explaining = asyncio.Lock()

    def require_key(self, asked: Keyed, token: HTTPAuthorizationCredentials | None) -> None:
        """Refuse a request without one of the API keys; the time taken tells nothing of them.

        Raises:
            HTTPException: the key is none of them.
        """
        key = asked.api_key or (token.credentials if token else "")
        right = [compare_digest(key.encode(), one) for one in self._keys]
        if self._keys and not any(right):
            raise HTTPException(403, "Invalid API key" if key else "An API key is needed")

    async def translate(self, asked: TranslateRequest) -> dict[str, Any]:
        """Translate one text or several; the answer is in LibreTranslate's form.

        Raises:
            HTTPException: a language is not served, or too much waits.
            UsageError: the texts are too long, a constraint cannot be met, or the model has no
                confidence or reads no documents.
        """
        texts = [asked.q] if isinstance(asked.q, str) else asked.q
        lines, language, share = self.lines(texts), asked.source, 1.0
        if language == AUTO:  # of all texts together, as LibreTranslate finds it
            found = await run_in_threadpool(self.models.detect, "\n".join(texts), asked.target)
            language, share = found[0] if found else (AUTO, 0.0)
        one = self.served(language, asked.target)
        if asked.min_confidence is not None and one.confidence is None:
            raise UsageError("this model has no confidence", place="min_confidence")
        if asked.format == "text":
            documents = [[Block(mine, "\n".join)] for mine in lines]
        else:
            documents = [await run_in_threadpool(_blocks, text, asked, one) for text in texts]
        sentences = [line for blocks in documents for block in blocks for line in block.sentences]
        answers = iter(await self._search(one, sentences, asked))
        results = [_text(answers, one, asked, blocks) for blocks in documents]
        if asked.source == AUTO:
            for result in results:
                result["detectedLanguage"] = _language(language, share)
        every = {name: [result[name] for result in results] for name in results[0]}
        answer = results[0] if isinstance(asked.q, str) else every
        if self.options.log_text:
            told = {"q": asked.q, "answer": answer["translatedText"]}
            LOG.info("%s", json.dumps(told, ensure_ascii=False))
        return answer

    def lines(self, texts: Sequence[str]) -> list[list[str]]:
        """The lines of each text.

        Raises:
            UsageError: there are too many, or too many characters.
        """
        lines = [text.replace("\r\n", "\n").split("\n") for text in texts]
        sizes = sum(map(len, lines)), sum(map(len, texts))
        limits = self.options.max_lines, self.options.max_characters
        for size, limit, what in zip(sizes, limits, ("lines", "characters"), strict=True):
            if size > limit:
                raise UsageError(f"request ({size}) exceeds text limit ({limit} {what})")
        return lines

    def served(self, source: str, target: str) -> Served:
        """The model that translates between two languages.

        Raises:
            HTTPException: there is none.
        """
        if found := self.models.by_pair.get((source, target)):
            return found
        known = self.models.targets()
        for code in (source, target):
            if code not in known:
                raise HTTPException(400, f"{code} is not supported")
        raise HTTPException(400, f"{target} is not available as a target language from {source}")

    async def detect(self, text: str) -> list[dict[str, Any]]:
        """The served source languages, most probable for the text first, in percent."""
        found = await run_in_threadpool(self.models.detect, text)
        return [_language(code, share) for code, share in found]

    async def explain(self, text: str, one: Served) -> str:
        """Every value between a line and its translation, as JSON; one explanation at a time.

        Raises:
            HTTPException: the line or the model cannot be explained.
        """
        try:
            async with self._explaining:
                return await run_in_threadpool(one.explain, text)
        except UsageError as error:  # its place may be a path: it stays here
            raise HTTPException(400, f"{error.cause} ({error.cure})") from None

    def numbers(self) -> str:
        """What was done, and how many lines wait and are searched, in Prometheus' format."""
        for one in self.models.models:
            mine = [stream for (other, _), stream in self.streams.items() if other is one]
            self.metrics.set("waiting", sum(each.waiting for each in mine), **one.labels)
            self.metrics.set("at_work", sum(len(each.at_work) for each in mine), **one.labels)
        return self.metrics.text()

    async def _search(
        self, one: Served, lines: Sequence[str], asked: TranslateRequest
    ) -> list[Translation]:
        """The answer for each line; the lines of all clients are searched together.

        All requests for alternatives search in one way, so that they share a batch too.

        Raises:
            UsageError: a constraint cannot be met.
            BusyError: too many lines wait.
        """
        kind, must, never = (one, asked.alternatives > 0), tuple(asked.must), tuple(asked.never)
        if kind not in self.streams:
            options = one.search
            if asked.alternatives:
                most = 1 + MOST_ALTERNATIVES
                options = replace(options, beam=max(options.beam, most), n_best=most)
            limit = self.options.max_waiting
            self.streams[kind] = Stream(one.translator, options, limit=limit)
        stream = self.streams[kind]
        requests = [Request(line, asked.prefix, must, never) for line in lines]

        def check() -> None:
            for request in requests:
                one.translator.check(request, stream.options)

        if asked.prefix or must or never or one.translator.source.tags.columns:
            await run_in_threadpool(check)
        futures = stream.submit(requests)
        self.metrics.add("lines_total", len(lines), **one.labels)
        self.metrics.add("characters_total", sum(map(len, lines)), **one.labels)
        # Where the client leaves, these cancel their futures: of lines that have not begun.
        return await asyncio.gather(*map(asyncio.wrap_future, futures))


def _read_keys(options: ServingOptions) -> list[bytes]:
    if options.api_keys is None:
        return []
    try:
        lines = options.api_keys.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"cannot be read: {error}", place="--api-keys") from error
    if keys := [line.strip().encode() for line in lines if line.strip()]:
        return keys
    raise OptionError(f"{options.api_keys} holds no key", place="--api-keys", cure="one a line")


def _blocks(text: str, asked: TranslateRequest, one: Served) -> list[Block]:
    """The parts of a document.

    Raises:
        UsageError: the model cannot keep markup, or the package for documents is not installed.
    """
    one.translator.require_attention()
    lines = StringIO(text, newline="\n")
    return list(read_blocks(lines, FORMATS[asked.format], one.source[:2]))


def _text(
    found: Iterator[Translation], one: Served, asked: TranslateRequest, blocks: Sequence[Block]
) -> dict[str, Any]:
    """The answer for one text; takes the translations of its sentences from ``found``."""
    result: dict[str, Any] = {}
    answers = [next(found) for block in blocks for _ in block.sentences]
    most = max((len(answer.texts) for answer in answers), default=1)
    texts = list[str]()
    for n in range(max(1, min(asked.alternatives + 1, most))):
        mine = (answer.texts[n] if n < len(answer.texts) else answer.text for answer in answers)
        texts.append("".join(filled(blocks, mine)))
    if one.confidence is not None:
        # A text is as sure as its least sure line.
        sure = min(map(one.confidence.of, answers), default=1.0)
        result["confidence"] = round(sure, 4)
        if asked.min_confidence is not None:
            result["unsure"] = sure < asked.min_confidence
            texts = [""] if result["unsure"] else texts
    result["translatedText"] = texts[0]
    if asked.alternatives:
        result["alternatives"] = texts[1:]
    if asked.must:
        result["unmet"] = [word for answer in answers for word in answer.unmet]
    if asked.alignment:
        result["alignment"] = [_alignment(answer, one) for answer in answers]
    return result


def _language(code: str, share: float) -> dict[str, Any]:
    """A detected language, in LibreTranslate's form."""
    return {"confidence": round(100 * share, 1), "language": code}


def _alignment(answer: Translation, one: Served) -> dict[str, Any]:
    """Tokens of a line and its translation, log-probabilities, and where attention looked.

    The last weights and the last log-probability are the end's, where the output has one. Source
    tokens are shown as they stand in the line, so that unknown ones can be read.
    """
    best = answer.hypotheses[0] if answer.hypotheses else None
    weights = None if best is None or best.weights is None else best.weights.astype(float)
    spans = one.translator.source.spans(answer.read)[: len(answer.source_tokens)]
    return {
        "source": [answer.read[start:end] for start, end in spans],
        "target": [token.replace(SPACE, " ") for token in answer.target_tokens],
        "log_probs": [round(step, 4) for step in best.steps] if best else [],
        "weights": None if weights is None else weights.round(3).tolist(),
    }
