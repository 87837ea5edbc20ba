"""Optional packages: the module, or the exact command that installs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from dragoman.errors import MissingExtraError


def need(module: str, *, extra: str) -> ModuleType:
    """Import ``module``, which the optional dependency group ``extra`` brings.

    Raises:
        MissingExtraError: it is not installed; the message holds the command.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"this needs the package {error.name!r}", cure=f"pip install 'dragoman[{extra}]'"
        ) from error
