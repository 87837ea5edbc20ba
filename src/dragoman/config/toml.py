"""Turns options into flat names or TOML and back; checks what it reads."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomli_w

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.errors import FolderError, OptionError, did_you_mean
from dragoman.files import refuse_ways_out, require_format
from dragoman.layout import CONFIG, FORMAT, members

Options = TypeVar("Options")
_MOST_TOML = 1 << 20
"""Largest file of options that is read, in bytes."""


def flat(options: Any, prefix: str = "") -> dict[str, Any]:
    """Every option under its dotted name: ``{"model.hidden": 512, ...}``."""
    values: dict[str, Any] = {}
    for last, value in vars(options).items():
        name = prefix + last
        values |= flat(value, name + ".") if dataclasses.is_dataclass(value) else {name: value}
    return values


def plain(config: Config) -> dict[str, Any]:
    """Every option under its dotted name, in the types of JSON: tuples become lists."""
    return dict(json.loads(json.dumps(flat(config))))


def to_toml(config: Config) -> str:
    """Write the format's version and every option as TOML; :func:`from_toml` reads it back."""
    return tomli_w.dumps({"format": FORMAT, **dataclasses.asdict(config)})


def from_toml(path: Path, default: Config | None = None) -> Config:
    """Read a recipe or a ``config.toml``. Options that it does not name are those of ``default``.

    Raises:
        FolderError: another version of Dragoman wrote it, in another format.
        OptionError: no such file, not TOML, an unknown option ("did you mean"), a wrong type.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_TOML + 1)
        if len(raw) > _MOST_TOML:
            raise OptionError("is too long for a file of options", place=path)
        tree = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise OptionError(f"cannot be read: {error.strerror}", place=path) from error
    except (ValueError, RecursionError) as error:  # also wrong UTF-8, thousands of digits
        raise OptionError(f"is not TOML: {error}", place=path) from error
    # Checked first: other formats may have other options.
    require_format(tree.pop("format", "1"), FORMAT, path)
    return merge(default or Config(), tree, place=str(path))


def load_config(path: Path) -> Config:
    """Read the options of a model folder.

    Raises:
        FolderError: there is no such folder, it is not a model folder, or its options are damaged.
    """
    if not path.is_dir():
        cause = "is a file, a model folder is expected" if path.exists() else "no such folder"
        raise FolderError(cause, place=path)
    refuse_ways_out(path)
    if not (file := path / CONFIG).exists():
        cure = "name a seed in it" if members(path) != [path] else "dragoman train PAIRS --out DIR"
        raise FolderError(f"is not a model folder: it has no {CONFIG}", place=path, cure=cure)
    try:
        config = check_options(from_toml(file))
        for name, value in flat(config.model, "model.").items():
            if value == "auto" and name not in ("model.attention", "model.copy"):  # see build
                raise OptionError(f"{name} is 'auto', a trained model's is a number", place=file)
    except OptionError as error:
        raise FolderError(str(error), cure="copy the folder again") from error
    return config


def merge(options: Options, tree: Mapping[str, Any], *, place: str, prefix: str = "") -> Options:
    """A copy of ``options`` with the values of ``tree``, a table of tables by name.

    Raises:
        OptionError: an unknown name or a value of the wrong type; names ``place`` and option.
    """
    types = get_type_hints(type(options))
    changes: dict[str, Any] = {}
    for last, value in tree.items():
        name = prefix + last
        if last not in types:
            cure = did_you_mean(last, types)
            raise OptionError(f"unknown option {name!r}", place=place, cure=cure)
        wanted = types[last]
        if dataclasses.is_dataclass(wanted):
            if not isinstance(value, Mapping):
                raise OptionError(f"{name!r} is a table of options", place=place)
            changes[last] = merge(getattr(options, last), value, place=place, prefix=f"{name}.")
            continue
        try:
            changes[last] = _typed(value, wanted)
        except (TypeError, ValueError):
            near = did_you_mean(str(value), map(str, get_args(wanted)))
            cure = near if get_origin(wanted) is Literal else f"it takes {_kind(wanted)}"
            raise OptionError(f"{name} cannot be {value!r}", place=place, cure=cure) from None
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]


def _typed(value: Any, wanted: Any) -> Any:
    """Convert ``value`` to the annotated type ``wanted``: lists become tuples, 1 becomes 1.0.

    Raises:
        TypeError, ValueError: it has another type, another length, or is none of the choices.
    """
    origin, kinds = get_origin(wanted), get_args(wanted)
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
        return tuple(_typed(item, kind) for item, kind in zip(value, kinds, strict=True))
    if origin in (Union, UnionType):  # such as int | Literal["auto"]
        for kind in kinds:
            with suppress(TypeError, ValueError):
                return _typed(value, kind)
    if origin is Literal and value in kinds:
        return value
    if type(value) is wanted or (wanted is float and type(value) is int and abs(value) < 1e15):
        return wanted(value)
    raise TypeError


_KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def _kind(wanted: Any) -> str:
    """An annotated type in words: ``a whole number or 'auto'``."""
    parts = get_args(wanted)
    if get_origin(wanted) is tuple:
        count = "a list" if parts[-1] is ... else f"a list of {len(parts)}"
        return f"{count}: {_kind(parts[0])}" if parts[0] is not str else f"{count} of texts"
    if get_origin(wanted) is Literal:
        return " or ".join(map(repr, parts))
    return " or ".join(map(_kind, parts)) if parts else _KINDS[wanted]
