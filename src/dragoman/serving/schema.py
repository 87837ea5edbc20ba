"""What clients may ask for; the body of a request is JSON, or a form whose fields are these."""

import json
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from fastapi import Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope

MOST_ALTERNATIVES = 4
FILE_ROUTE = "/translate_file"
"""The one route that reads a form itself, since a file is in it."""
Text = Annotated[str, Field(min_length=1)]
Words = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=20)]


class Keyed(BaseModel):
    """A request that may need an API key."""

    # Any limit makes pydantic refuse lone surrogates, which no answer could repeat in UTF-8.
    model_config = ConfigDict(use_attribute_docstrings=True, str_min_length=0)

    api_key: str = ""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        """A field that is null is one that is not given."""
        object_ = isinstance(fields, dict)
        return {n: v for n, v in fields.items() if v is not None} if object_ else fields


class DetectRequest(Keyed):
    """POST /detect"""

    q: Text


class Directed(Keyed):
    """A request for one direction of translation."""

    source: str
    target: str


class FileRequest(Directed):
    """POST /translate_file"""

    file: UploadFile


class ExplainRequest(DetectRequest, Directed):
    """POST /explain"""


class TranslateRequest(Directed):
    """POST /translate. The fields after ``alternatives`` are not LibreTranslate's."""

    q: Text | Annotated[list[str], Field(min_length=1)]
    format: Literal["text", "html", "markdown", "srt", "json"] = "text"
    """What ``q`` is: lines, each of which is translated, or a document."""
    alternatives: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES)] = 0
    """Number of other translations."""
    prefix: Annotated[str, Field(max_length=500)] = ""  # every token is a step of the search
    """Text with which every line of the translation begins."""
    must: Words = []
    """Words or phrases that every line contains."""
    never: Words = []
    """Words or phrases that no line contains."""
    min_confidence: Annotated[float | None, Field(ge=0, le=1)] = None
    """A text with a lower confidence is not translated."""
    alignment: bool = False
    """Also give tokens, their probabilities and attention."""


async def form_as_json(scope: Scope, body: bytes) -> bytes:
    """Turn the body of a request into the JSON that routes read, if it is a form.

    The content type in ``scope`` becomes that of JSON too. A form in parts for
    :data:`FILE_ROUTE` stays.

    Raises:
        HTTPException: the form cannot be read.
    """
    headers = MutableHeaders(scope=scope)
    kind = headers.get("content-type", "").lower()
    if kind.startswith("application/x-www-form-urlencoded"):
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    elif kind.startswith("multipart/form-data") and scope["path"] != FILE_ROUTE:

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        form = await Request({**scope}, receive).form(max_files=0, max_part_size=len(body))
        fields = {name: list(map(str, form.getlist(name))) for name in form}
    else:
        return body
    headers["content-type"] = "application/json"
    lists = {"must", "never"} | ({"q"} if len(fields.get("q", ())) > 1 else set())
    read = {name: values if name in lists else values[0] for name, values in fields.items()}
    return json.dumps(read).encode()


def invalid(error: RequestValidationError) -> str:
    """Why the fields of a request are refused, in LibreTranslate's words."""
    first = error.errors()[0]
    if isinstance(first["input"], bytes):
        return "the body is neither JSON nor a form"
    if first["type"] == "json_invalid":
        return f"not JSON: {first['ctx']['error']}"
    name = first["loc"][:2][-1]  # of a field, or "body"
    if first["type"] == "missing" or first["input"] in ("", []):
        return f"missing {name} parameter"
    return f"{name}: {first['msg']}"
