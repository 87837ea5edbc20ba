"""Translates, detects and explains for clients: what the routes do, once a request is read."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from hmac import compare_digest
from itertools import islice
from typing import Any

from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool

from dragoman.config.options import SearchOptions
from dragoman.data.tokenizer import SPACE
from dragoman.errors import OptionError, UsageError
from dragoman.search.request import Request
from dragoman.search.translator import Translation
from dragoman.serving.languages import AUTO, Models, Served
from dragoman.serving.metrics import Metrics, Sample
from dragoman.serving.options import ServingOptions
from dragoman.serving.schema import TranslateRequest
from dragoman.serving.streams import BusyError, Streams

WIDEST = 10
"""Largest beam that a request may ask for, unless the model's own is larger."""
_EXPLAINING = 8
"""Most explanations that wait for one another."""


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
        self.streams = {
            pair: Streams(one.translator, limit=options.max_waiting)
            for pair, one in models.by_pair.items()
        }
        self._keys = _read_keys(options)
        self._explaining = asyncio.Semaphore()
        self._explanations = 0

    def require_key(self, key: str) -> None:
        """Refuse a request without one of the API keys; the time taken tells nothing of them.

        Raises:
            HTTPException: the key is none of them.
        """
        right = [compare_digest(key.encode(), one) for one in self._keys]
        if self._keys and not any(right):
            raise HTTPException(403, "Invalid API key" if key else "An API key is needed")

    async def translate(self, asked: TranslateRequest) -> dict[str, Any]:
        """Translate one text or several; the answer is in LibreTranslate's form.

        Raises:
            HTTPException: a language is not served, an option is out of range, or too much waits.
        """
        if asked.format == "html":
            raise HTTPException(400, "html format is not supported")
        texts = [asked.q] if isinstance(asked.q, str) else asked.q
        lines = self.lines(texts)
        detected = [await self._detected(text, asked) for text in texts]
        served = [self.served(language, asked.target) for language, _ in detected]
        by_model: dict[Served, list[int]] = {}
        for number, one in enumerate(served):
            by_model.setdefault(one, []).append(number)
        futures = []
        try:
            for one, numbers in by_model.items():
                mine = [line for number in numbers for line in lines[number]]
                futures.append(await self._submit(one, mine, asked))
            found = await asyncio.gather(*map(asyncio.wrap_future, futures))
        finally:
            for future in futures:
                future.cancel()  # does nothing to one that is done
        results: list[dict[str, Any]] = [{}] * len(texts)
        for (one, numbers), answers in zip(by_model.items(), found, strict=True):
            rest = iter(answers)
            for number in numbers:
                results[number] = _text(list(islice(rest, len(lines[number]))), one, asked)
        if asked.source == AUTO:
            for result, (language, share) in zip(results, detected, strict=True):
                percent = round(100 * share, 1)
                result["detectedLanguage"] = {"confidence": percent, "language": language}
        if isinstance(asked.q, str):
            return results[0]
        names = dict.fromkeys(name for result in results for name in result)
        return {name: [result.get(name) for result in results] for name in names}

    def lines(self, texts: Sequence[str]) -> list[list[str]]:
        """The lines of each text.

        Raises:
            HTTPException: there are too many, or too many characters.
        """
        lines = [text.replace("\r\n", "\n").split("\n") for text in texts]
        sizes = sum(map(len, lines)), sum(map(len, texts))
        limits = self.options.max_lines, self.options.max_characters
        for size, limit, what in zip(sizes, limits, ("lines", "characters"), strict=True):
            if size > limit:
                cause = f"Invalid request: request ({size}) exceeds text limit ({limit} {what})"
                raise HTTPException(400, cause)
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
        return [{"confidence": round(100 * share, 1), "language": code} for code, share in found]

    async def explain(self, text: str, one: Served) -> str:
        """Every value between a line and its translation, as JSON; one explanation at a time.

        Raises:
            HTTPException: the line or the model cannot be explained, or too many wait.
        """
        if self._explanations >= _EXPLAINING:
            raise too_many()
        self._explanations += 1
        try:
            async with self._explaining:
                return await run_in_threadpool(one.explain, text)
        except UsageError as error:  # its place may be a path: it stays here
            raise HTTPException(400, f"{error.cause} ({error.cure})") from None
        finally:
            self._explanations -= 1

    def gauges(self) -> list[Sample]:
        """How many lines wait, and how many are being searched, by model."""
        found: list[Sample] = []
        for (source, target), streams in self.streams.items():
            labels = {"source": source, "target": target}
            found.append(("waiting", labels, streams.waiting))
            found.append(("at_work", labels, streams.at_work))
        return found

    def close(self) -> None:
        """Return when all that was taken is answered."""
        for streams in self.streams.values():
            streams.close()

    async def _detected(self, text: str, asked: TranslateRequest) -> tuple[str, float]:
        """The language of a text and its probability."""
        if asked.source != AUTO:
            return asked.source, 1.0
        found = await run_in_threadpool(self.models.detect, text, asked.target)
        return found[0] if found else (AUTO, 0.0)

    async def _submit(
        self, one: Served, lines: Sequence[str], asked: TranslateRequest
    ) -> Future[list[Translation]]:
        options = _search_options(one, asked)
        must, never = tuple(asked.must), tuple(asked.never)
        requests = [Request(line, asked.prefix, must, never) for line in lines]
        try:
            if asked.prefix or must or never or one.translator.source.tags.columns:
                for request in requests:
                    await run_in_threadpool(one.translator.check, request, options)
            future = self.streams[one.source, one.target].submit(requests, options)
        except UsageError as error:
            raise HTTPException(400, f"Invalid request: {error}") from None
        except BusyError:
            raise too_many() from None
        labels = {"source": one.source, "target": one.target}
        self.metrics.add("lines_total", len(lines), **labels)
        self.metrics.add("characters_total", sum(map(len, lines)), **labels)
        return future


def too_many() -> HTTPException:
    """The refusal of a request because others are waiting."""
    return HTTPException(429, "Slowdown: too many requests are waiting", {"Retry-After": "1"})


def _read_keys(options: ServingOptions) -> list[bytes]:
    if options.api_keys is None:
        return []
    try:
        lines = options.api_keys.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"cannot be read: {error}", place="--api-keys") from error
    keys = [line.strip().encode() for line in lines if line.strip()]
    if not keys:
        raise OptionError(f"{options.api_keys} holds no key", place="--api-keys", cure="one a line")
    return keys


def _search_options(one: Served, asked: TranslateRequest) -> SearchOptions:
    """How the model searches for an answer.

    All requests for alternatives search in the same way, so that they share a batch.

    Raises:
        HTTPException: the beam, or the number of alternatives, is too large.
    """
    options, widest = one.search, max(WIDEST, one.search.beam)
    beam = asked.beam or max(options.beam, asked.alternatives + 1)
    limits = {
        "alternatives": (asked.alternatives, (asked.beam or widest) - 1),
        "beam": (beam, widest),
    }
    for name, (value, most) in limits.items():
        if value > most:
            cause = f"Invalid request: {name}: at most {most} can be had"
            raise HTTPException(400, cause)
    return replace(options, beam=beam, n_best=beam if asked.alternatives else 1)


def _text(answers: Sequence[Translation], one: Served, asked: TranslateRequest) -> dict[str, Any]:
    """The answer for one text from the answers for its lines."""
    text = "\n".join(answer.text for answer in answers)
    result: dict[str, Any] = {"translatedText": text}
    if asked.alternatives:
        others = []
        for n in range(1, asked.alternatives + 1):
            if any(n < len(answer.texts) for answer in answers):
                kept = (a.texts[n] if n < len(a.texts) else a.text for a in answers)
                others.append("\n".join(kept))
        result["alternatives"] = others
    if one.confidence is not None:
        sure = min(map(one.confidence.of, answers))  # a text is as sure as its least sure line
        result["confidence"] = round(sure, 4)
        if asked.min_confidence is not None:
            result["unsure"] = sure < asked.min_confidence
            if result["unsure"]:
                result |= {"translatedText": ""} | (
                    {"alternatives": []} if asked.alternatives else {}
                )
    elif asked.min_confidence is not None:
        raise HTTPException(400, "Invalid request: min_confidence: this model has no confidence")
    if unmet := [word for answer in answers for word in answer.unmet]:
        result["unmet"] = unmet
    if asked.alignment:
        result["alignment"] = [_alignment(answer, one) for answer in answers]
    return result


def _alignment(answer: Translation, one: Served) -> dict[str, Any]:
    """Tokens of a line and its translation, log-probabilities, and where attention looked.

    The last weights and the last log-probability are the end's, where the output has one. Source
    tokens are shown as they stand in the line, so that unknown ones can be read.
    """
    best = answer.hypotheses[0] if answer.hypotheses else None
    weights = None if best is None or best.weights is None else best.weights.astype(float)
    spans = one.translator.source.spans(answer.source)[: len(answer.source_tokens)]
    return {
        "source": [answer.source[start:end] for start, end in spans],
        "target": [token.replace(SPACE, " ") for token in answer.target_tokens],
        "log_probs": [round(step, 4) for step in best.steps] if best else [],
        "weights": None if weights is None else weights.round(3).tolist(),
    }
