"""The HTTP application: LibreTranslate's routes, ours beside them, and the page."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from dragoman.config.options import ServingOptions
from dragoman.errors import UsageError
from dragoman.serving import schema
from dragoman.serving.gate import Gate
from dragoman.serving.languages import Models
from dragoman.serving.service import Service

_PAGE = Path(__file__).parent / "page"


class Error(BaseModel):
    """Why a request is refused."""

    error: str


def build_app(models: Models, options: ServingOptions) -> FastAPI:
    """The application that serves models.

    Raises:
        OptionError: the file of API keys cannot be read, or holds none.
    """
    service = Service(models, options)
    app = FastAPI(
        title="Dragoman",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,  # a body of no type is read as JSON
        responses={"default": {"model": Error}},
    )

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_PAGE / "index.html")

    app.get("/health")(service.health)
    app.get("/languages")(service.languages)
    app.get("/frontend/settings")(service.settings)
    app.get("/models")(service.models)
    app.get("/metrics", response_class=PlainTextResponse)(service.metrics)
    app.post("/translate")(service.translate)
    app.post(schema.FILE_ROUTE)(service.translate_file)
    app.post("/detect")(service.detect)
    app.post("/explain")(service.explain)
    app.mount("/page", StaticFiles(directory=_PAGE))
    for kind in (RequestValidationError, HTTPException, UsageError, Exception):
        app.add_exception_handler(kind, _refused)
    if options.cors:
        app.add_middleware(CORSMiddleware, allow_origins=options.cors, allow_headers=["*"])
    routes = [route.path for route in app.routes if hasattr(route, "path")]
    app.add_middleware(Gate, counts=service.counts, routes=routes, options=options)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """A refusal in LibreTranslate's form; the traceback of a fault of ours is in the log only."""
    if isinstance(error, RequestValidationError | UsageError):
        cause = schema.invalid(error) if isinstance(error, RequestValidationError) else error
        return JSONResponse({"error": f"Invalid request: {cause}"}, 400)
    if isinstance(error, HTTPException):
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
    return JSONResponse({"error": "Internal error"}, 500)
