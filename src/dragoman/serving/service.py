"""What the routes answer: facts about the server; translations, languages and explanations."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hmac import compare_digest
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Form, HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from dragoman.config.options import ServingOptions
from dragoman.data.tokenizer import SPACE
from dragoman.documents.blocks import Block, filled, read_blocks
from dragoman.documents.formats import ENDINGS, FORMATS
from dragoman.errors import OptionError, UsageError
from dragoman.search.request import Request, Translation
from dragoman.serving import schema
from dragoman.serving.gate import LOG
from dragoman.serving.languages import AUTO, Models, Served
from dragoman.serving.metrics import Counts, exposition, series
from dragoman.serving.streams import Stream

Token = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
"""The bearer token of a request, which may stand for its field ``api_key``."""


class Service:
    """Answers each route by a public method; FastAPI shows its name and docstring to clients.

    The routes that use a model ask for an API key where keys are set.

    Args:
        models: the models.
        options: the limits, and where the API keys are.

    Raises:
        OptionError: the file of API keys cannot be read, or holds none.
    """

    def __init__(self, models: Models, options: ServingOptions) -> None:
        self._models, self._options, self.counts = models, options, Counts(float)
        self._streams: dict[tuple[Served, bool], Stream] = {}
        """Of each model, one that searches for the best output alone and one for alternatives."""
        self._keys = _read_keys(options)
        self._explaining = asyncio.Lock()

    async def health(self) -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    async def languages(self) -> list[dict[str, Any]]:
        """Each language with those that it is translated to."""
        targets = self._models.targets()
        return [{"code": code, "name": code, "targets": found} for code, found in targets.items()]

    async def settings(self) -> dict[str, Any]:
        """What LibreTranslate's own page asks for."""
        first, keyed = next(iter(self._models.by_pair.values())), self._options.api_keys is not None
        return {
            "apiKeys": keyed,
            "charLimit": self._options.max_characters,
            "filesTranslation": True,
            "frontendTimeout": 500,
            "keyRequired": keyed,
            "language": {side: {"code": c, "name": c} for side, c in first.labels.items()},
            "suggestions": False,
            "supportedFilesFormat": [*ENDINGS],
        }

    async def models(self) -> list[dict[str, Any]]:
        """The served models, with their cards."""
        return [
            {**one.labels, "name": one.name, "confidence": bool(one.confidence), "card": one.card}
            for one in self._models.by_pair.values()
        ]

    async def metrics(self) -> str:
        """Counters of this process, for Prometheus."""
        for one in self._models.by_pair.values():
            mine = [stream for (other, _), stream in self._streams.items() if other is one]
            self.counts[series("waiting", **one.labels)] = sum(each.waiting for each in mine)
            self.counts[series("at_work", **one.labels)] = sum(len(each.at_work) for each in mine)
        return exposition(self.counts)

    async def translate(self, asked: schema.TranslateRequest, token: Token) -> JSONResponse:
        """Translate a text, or a list of texts."""
        self._require_key(asked, token)
        return JSONResponse(await self._translated(asked))

    async def translate_file(
        self, asked: Annotated[schema.FileRequest, Form()], token: Token
    ) -> JSONResponse:
        """Translate the lines of a .txt file, or a document. The answer's URL holds the result."""
        self._require_key(asked, token)
        if (ending := Path(asked.file.filename or "").suffix.lower()) not in ENDINGS:
            raise UsageError("file format not supported")
        try:
            text = (await asked.file.read()).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError("the file is not UTF-8") from None
        if not text:
            raise UsageError("empty file")
        fields = {"source": asked.source, "target": asked.target, "format": ENDINGS[ending]}
        request = schema.TranslateRequest.model_validate({"q": text, **fields})
        answer = await self._translated(request)
        data = b64encode(answer["translatedText"].encode()).decode()
        return JSONResponse({"translatedFileUrl": f"data:text/plain;charset=utf-8;base64,{data}"})

    async def detect(self, asked: schema.DetectRequest, token: Token) -> JSONResponse:
        """The language of a text, among those that the models read."""
        self._require_key(asked, token)
        self._lines([asked.q])
        found = await run_in_threadpool(self._models.detect, asked.q)
        return JSONResponse([_language(code, share) for code, share in found])

    async def explain(self, asked: schema.ExplainRequest, token: Token) -> Response:
        """Follow one line through a model."""
        self._require_key(asked, token)
        if len(self._lines([asked.q])[0]) > 1:
            raise UsageError("one line is explained at a time", place="q")
        one = self._served(asked.source, asked.target)
        try:
            async with self._explaining:  # each holds every value of the model
                text = await run_in_threadpool(one.explain, asked.q)
        except UsageError as error:  # its place may be a path: it stays here
            raise HTTPException(400, f"{error.cause} ({error.cure})") from None
        return Response(text, media_type="application/json")

    def _require_key(self, asked: schema.Keyed, token: Token) -> None:
        """Refuse a request without one of the API keys; the time taken tells nothing of them.

        Raises:
            HTTPException: the key is none of them.
        """
        key = asked.api_key or (token.credentials if token else "")
        right = [compare_digest(key.encode(), one) for one in self._keys]
        if self._keys and not any(right):
            raise HTTPException(403, "Invalid API key" if key else "An API key is needed")

    async def _translated(self, asked: schema.TranslateRequest) -> dict[str, Any]:
        """Translate one text or several; the answer is in LibreTranslate's form.

        Raises:
            HTTPException: a language is not served, or too much waits.
            UsageError: the texts are too long, a constraint cannot be met, or the model has no
                confidence or reads no documents.
        """
        texts = [asked.q] if isinstance(asked.q, str) else asked.q
        lines, language, share = self._lines(texts), asked.source, 1.0
        if language == AUTO:  # of all texts together, as LibreTranslate finds it
            found = await run_in_threadpool(self._models.detect, "\n".join(texts), asked.target)
            language, share = found[0] if found else (AUTO, 0.0)
        one = self._served(language, asked.target)
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
        if self._options.log_text:
            told = {"q": asked.q, "answer": answer["translatedText"]}
            LOG.info("%s", json.dumps(told, ensure_ascii=False))
        return answer

    def _lines(self, texts: Sequence[str]) -> list[list[str]]:
        """The lines of each text.

        Raises:
            UsageError: there are too many, or too many characters.
        """
        lines = [text.replace("\r\n", "\n").split("\n") for text in texts]
        sizes = sum(map(len, lines)), sum(map(len, texts))
        limits = self._options.max_lines, self._options.max_characters
        for size, limit, what in zip(sizes, limits, ("lines", "characters"), strict=True):
            if size > limit:
                raise UsageError(f"request ({size}) exceeds text limit ({limit} {what})")
        return lines

    def _served(self, source: str, target: str) -> Served:
        """The model that translates between two languages.

        Raises:
            HTTPException: there is none.
        """
        if found := self._models.by_pair.get((source, target)):
            return found
        for code in (source, target):
            if code not in {AUTO, *self._models.targets()}:
                raise HTTPException(400, f"{code} is not supported")
        raise HTTPException(400, f"{target} is not available as a target language from {source}")

    async def _search(
        self, one: Served, lines: Sequence[str], asked: schema.TranslateRequest
    ) -> list[Translation]:
        """The answer for each line; the lines of all clients are searched together.

        All requests for alternatives search in one way, so that they share a batch too.

        Raises:
            UsageError: a constraint cannot be met.
            BusyError: too many lines wait.
        """
        kind, must, never = (one, asked.alternatives > 0), tuple(asked.must), tuple(asked.never)
        if kind not in self._streams:
            options = one.search
            if asked.alternatives:
                most = 1 + schema.MOST_ALTERNATIVES
                options = replace(options, beam=max(options.beam, most), n_best=most)
            self._streams[kind] = Stream(one.translator, options, limit=self._options.max_waiting)
        stream = self._streams[kind]
        requests = [Request(line, asked.prefix, must, never) for line in lines]
        if asked.prefix or must or never or one.translator.source.tags:
            for request in requests:
                await run_in_threadpool(one.translator.check, request, stream.options)
        futures = stream.submit(requests)
        self.counts[series("lines_total", **one.labels)] += len(lines)
        self.counts[series("characters_total", **one.labels)] += sum(map(len, lines))
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


def _blocks(text: str, asked: schema.TranslateRequest, one: Served) -> list[Block]:
    """The parts of a document.

    Raises:
        UsageError: the model cannot keep markup, or the package for documents is not installed.
    """
    one.translator.require_attention()
    return list(read_blocks(StringIO(text, newline="\n"), FORMATS[asked.format], one.source[:2]))


def _text(
    found: Iterator[Translation], one: Served, asked: schema.TranslateRequest, blocks: list[Block]
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
