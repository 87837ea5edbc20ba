"""What clients may ask for, and how a request's body is read as that: JSON or a form."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile

MOST_ALTERNATIVES = 4
Text = Annotated[str, Field(min_length=1)]
Prefix = Annotated[str, Field(max_length=500)]  # every token of it is a step of the search
Words = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=20)]


class Keyed(BaseModel):
    """A request that may need an API key."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    api_key: str = ""


class DetectRequest(Keyed):
    """POST /detect"""

    q: Text


class FileRequest(Keyed):
    """POST /translate_file, without the file."""

    source: str
    target: str


class ExplainRequest(FileRequest):
    """POST /explain"""

    q: Text


class TranslateRequest(FileRequest):
    """POST /translate. The fields after ``alternatives`` are not LibreTranslate's."""

    q: Text | Annotated[list[str], Field(min_length=1)]
    format: Literal["text", "html"] = "text"
    alternatives: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES)] = 0
    """Number of other translations."""
    prefix: Prefix = ""
    """Text with which every line of the translation begins."""
    must: Words = []
    """Words or phrases that every line contains."""
    never: Words = []
    """Words or phrases that no line contains."""
    min_confidence: Annotated[float | None, Field(ge=0, le=1)] = None
    """A text with a lower confidence is not translated."""
    alignment: bool = False
    """Also give tokens, their probabilities and attention."""


Asked = TypeVar("Asked", bound=Keyed)


def body_schema(
    kind: type[Keyed], languages: Mapping[str, Sequence[str]], *, file: bool = False
) -> dict[str, Any]:
    """The description of a body for the OpenAPI document.

    Args:
        kind: its fields.
        languages: what the fields ``source`` and ``target`` may be.
        file: it is a form that holds a file too.
    """
    schema = kind.model_json_schema()
    for name in languages.keys() & schema["properties"].keys():
        schema["properties"][name]["enum"] = languages[name]
    if file:
        schema["properties"]["file"] = {"type": "string", "format": "binary"}
        schema["required"] += ["file"]
        types = ["multipart/form-data"]
    else:
        types = ["application/json", "application/x-www-form-urlencoded"]
    content = {name: {"schema": schema} for name in types}
    return {"requestBody": {"required": True, "content": content}}


async def read_body(request: Request, kind: type[Asked]) -> Asked:
    """The body of a request as JSON, or as a form where its type says so.

    Raises:
        HTTPException: it is neither; or a field is missing, or has another type or a value out of
            range.
    """
    content = request.headers.get("content-type", "").lower()
    if content.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        fields = _text_fields(await request.form())
    else:
        fields = _json_fields(await request.body())
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "missing" or first["input"] in ("", []):
            raise HTTPException(400, f"Invalid request: missing {name} parameter") from None
        raise HTTPException(400, f"Invalid request: {name}: {first['msg']}") from None


def _json_fields(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object that are not null."""
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, f"Invalid request: not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise HTTPException(400, "Invalid request: a JSON object is expected")
    return {name: value for name, value in fields.items() if value is not None}


def _text_fields(form: FormData) -> dict[str, Any]:
    """The text fields of a form."""
    fields: dict[str, Any] = {}
    for name in form:
        values = [value for value in form.getlist(name) if not isinstance(value, UploadFile)]
        if values:
            several = name in ("must", "never") or (name == "q" and len(values) > 1)
            fields[name] = values if several else values[0]
    return fields
