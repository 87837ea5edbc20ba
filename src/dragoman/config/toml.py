"""Turns options into flat names or TOML and back; checks what it reads."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tomli_w

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.errors import FolderError, OptionError, did_you_mean
from dragoman.files import refuse_ways_out
from dragoman.layout import CONFIG, FORMAT

Options = TypeVar("Options")
_MOST_TOML = 1 << 20
"""Largest file of options that is read, in bytes."""


def flat(options: Any, prefix: str = "") -> dict[str, Any]:
    """Every option under its dotted name: ``{"model.hidden": 512, ...}``."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        name = prefix + item.name
        values |= flat(value, name + ".") if dataclasses.is_dataclass(value) else {name: value}
    return values


def plain(config: Config) -> dict[str, Any]:
    """Every option under its dotted name, as JSON gives it back: tuples are lists."""
    return dict(json.loads(json.dumps(flat(config))))


def to_toml(config: Config) -> str:
    """Write the format's version and every option as TOML; :func:`from_toml` reads it back."""
    return tomli_w.dumps({"format": FORMAT, **dataclasses.asdict(config)})


def from_toml(path: Path) -> Config:
    """Read a recipe or a ``config.toml``. Options that it does not name have their defaults.

    Raises:
        FolderError: another version of Dragoman wrote it, in another format.
        OptionError: no such file, not TOML, an unknown option ("did you mean"), a wrong type.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_TOML + 1)
        if len(raw) > _MOST_TOML:
            raise OptionError("is too long for a file of options", place=str(path))
        tree = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise OptionError(f"cannot be read: {error.strerror}", place=str(path)) from error
    except ValueError as error:  # wrong TOML, wrong UTF-8, a number of thousands of digits
        raise OptionError(f"is not TOML: {error}", place=str(path)) from error
    except RecursionError as error:
        raise OptionError("is not TOML: nested too deep", place=str(path)) from error
    version = tree.pop("format", "1")  # read first: other formats may have other options
    if version != FORMAT:
        raise FolderError(
            f"has format {version!r}, this version reads {FORMAT!r}",
            place=str(path),
            cure="use the version of Dragoman that wrote it",
        )
    return merge(Config(), tree, place=str(path))


def load_config(path: Path) -> Config:
    """Read the options of a model folder.

    Raises:
        FolderError: there is no such folder, it is not a model folder, or its options are damaged.
    """
    if not path.is_dir():
        cause = "is a file, a model folder is expected" if path.exists() else "no such folder"
        raise FolderError(cause, place=str(path))
    refuse_ways_out(path)
    if not (path / CONFIG).exists():
        raise FolderError(
            f"is not a model folder: it has no {CONFIG}",
            place=str(path),
            cure="make one with dragoman train PAIRS --out DIR",
        )
    try:
        config = from_toml(path / CONFIG)
        check_options(config)
    except OptionError as error:
        raise FolderError(str(error), cure="copy the folder again") from error
    for name, value in flat(config.model, "model.").items():
        if value == "auto":
            raise FolderError(
                f"{name} is 'auto', a trained model's is a number",
                place=str(path / CONFIG),
                cure="copy the folder again",
            )
    return config


def merge(options: Options, tree: Mapping[str, Any], *, place: str, prefix: str = "") -> Options:
    """Replace in ``options`` what ``tree``, a table of tables, names.

    Raises:
        OptionError: an unknown name or a value of the wrong type; names ``place`` and option.
    """
    types = get_type_hints(type(options))
    changes: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in types:
            hint = did_you_mean(name, types)
            raise OptionError(f"unknown option {prefix + name!r}", place=place, cure=hint)
        old = getattr(options, name)
        if dataclasses.is_dataclass(old):
            if not isinstance(value, Mapping):
                raise OptionError(f"{prefix + name!r} is a table of options", place=place)
            changes[name] = merge(old, value, place=place, prefix=f"{prefix}{name}.")
        else:
            changes[name] = _typed(value, types[name], f"{prefix}{name}", place)
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


def _typed(value: Any, wanted: Any, name: str, place: str) -> Any:
    """Check ``value`` against the annotation ``wanted``; lists become tuples, 1 becomes 1.0.

    Raises:
        OptionError: it has another type, or is none of the choices.
    """
    kinds = get_args(wanted)
    if get_origin(wanted) is Literal:
        if value in kinds:
            return value
        cure = did_you_mean(str(value), map(str, kinds))
        raise OptionError(f"{name} cannot be {value!r}", place=place, cure=cure)
    if get_origin(wanted) is tuple:
        if isinstance(value, (list, tuple)):
            kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
            if len(kinds) == len(value):
                pairs = zip(value, kinds, strict=True)
                return tuple(_typed(item, kind, name, place) for item, kind in pairs)
    elif not kinds:
        if type(value) is wanted or (wanted is float and type(value) is int and abs(value) < 1e15):
            return wanted(value)
    else:  # a union such as int | Literal["auto"]
        for choice in kinds:
            with suppress(OptionError):
                return _typed(value, choice, name, place)
    raise OptionError(f"{name} cannot be {value!r}", place=place, cure=f"it takes {_kind(wanted)}")


_KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def _kind(wanted: Any) -> str:
    """Say an annotation in words: ``a whole number or 'auto'``."""
    parts = get_args(wanted)
    if get_origin(wanted) is tuple:
        count = "a list" if parts[-1] is ... else f"a list of {len(parts)}"
        return f"{count}: {_kind(parts[0])}" if parts[0] is not str else f"{count} of texts"
    if get_origin(wanted) is Literal:
        return " or ".join(map(repr, parts))
    return " or ".join(map(_kind, parts)) if parts else _KINDS[wanted]
