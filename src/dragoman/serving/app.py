"""The HTTP application: LibreTranslate's routes, ours beside them, and the page."""

from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from dragoman.documents.formats import ENDINGS
from dragoman.errors import UsageError
from dragoman.serving import schema
from dragoman.serving.gate import Gate
from dragoman.serving.languages import Models
from dragoman.serving.metrics import Metrics
from dragoman.serving.options import ServingOptions
from dragoman.serving.service import Service

_PAGE = Path(__file__).parent / "page"
Token = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
"""The bearer token of a request, which may stand for its field ``api_key``."""


class Error(BaseModel):
    """Why a request is refused."""

    error: str


def build_app(models: Models, options: ServingOptions) -> FastAPI:
    """The application that serves models.

    Raises:
        OptionError: the file of API keys cannot be read, or holds none.
    """
    metrics = Metrics()
    service = Service(models, options, metrics)

    app = FastAPI(
        title="Dragoman",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # a body of no type is read as JSON
        responses={"default": {"model": Error}},
    )
    _add_facts(app, service)
    _add_translation(app, service)
    app.mount("/page", StaticFiles(directory=_PAGE))
    for kind in (RequestValidationError, HTTPException, UsageError, Exception):
        app.add_exception_handler(kind, _refused)
    if options.cors:
        app.add_middleware(CORSMiddleware, allow_origins=options.cors, allow_headers=["*"])
    routes = [route.path for route in app.routes if hasattr(route, "path")]
    app.add_middleware(Gate, metrics=metrics, routes=routes, options=options)
    return app


def _add_facts(app: FastAPI, service: Service) -> None:
    """The routes that tell about the server."""
    options = service.options

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_PAGE / "index.html")

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/languages")
    async def languages() -> list[dict[str, Any]]:
        """Each language with those that it is translated to."""
        targets = service.models.targets()
        return [{"code": code, "name": code, "targets": found} for code, found in targets.items()]

    @app.get("/frontend/settings")
    async def settings() -> dict[str, Any]:
        """What LibreTranslate's own page asks for."""
        first = service.models.models[0]
        return {
            "apiKeys": options.api_keys is not None,
            "charLimit": options.max_characters,
            "filesTranslation": True,
            "frontendTimeout": 500,
            "keyRequired": options.api_keys is not None,
            "language": {side: {"code": c, "name": c} for side, c in first.labels.items()},
            "suggestions": False,
            "supportedFilesFormat": [*ENDINGS],
        }

    @app.get("/models")
    async def models() -> list[dict[str, Any]]:
        """The served models, with their cards."""
        return [
            {**one.labels, "name": one.name, "confidence": bool(one.confidence), "card": one.card}
            for one in service.models.models
        ]

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Counters of this process, for Prometheus."""
        return service.numbers()


def _add_translation(app: FastAPI, service: Service) -> None:
    """The routes that use a model; each asks for an API key where keys are set."""

    @app.post("/translate")
    async def translate(asked: schema.TranslateRequest, token: Token) -> JSONResponse:
        """Translate a text, or a list of texts."""
        service.require_key(asked, token)
        return JSONResponse(await service.translate(asked))

    @app.post(schema.FILE_ROUTE)
    async def translate_file(
        asked: Annotated[schema.FileRequest, Form()], token: Token
    ) -> JSONResponse:
        """Translate the lines of a .txt file, or a document. The answer's URL holds the result."""
        service.require_key(asked, token)
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
        answer = await service.translate(request)
        data = b64encode(answer["translatedText"].encode()).decode()
        return JSONResponse({"translatedFileUrl": f"data:text/plain;charset=utf-8;base64,{data}"})

    @app.post("/detect")
    async def detect(asked: schema.DetectRequest, token: Token) -> JSONResponse:
        """The language of a text, among those that the models read."""
        service.require_key(asked, token)
        service.lines([asked.q])
        return JSONResponse(await service.detect(asked.q))

    @app.post("/explain")
    async def explain(asked: schema.ExplainRequest, token: Token) -> Response:
        """Follow one line through a model."""
        service.require_key(asked, token)
        if len(service.lines([asked.q])[0]) > 1:
            raise UsageError("one line is explained at a time", place="q")
        text = await service.explain(asked.q, service.served(asked.source, asked.target))
        return Response(text, media_type="application/json")


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """A refusal in LibreTranslate's form; the traceback of a fault of ours is in the log only."""
    if isinstance(error, RequestValidationError):
        return JSONResponse({"error": schema.invalid(error)}, 400)
    if isinstance(error, UsageError):
        return JSONResponse({"error": f"Invalid request: {error}"}, 400)
    if isinstance(error, HTTPException):
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
    return JSONResponse({"error": "Internal error"}, 500)
