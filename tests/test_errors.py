"""What an error says, and the public face of the package."""

from __future__ import annotations

from types import ModuleType

import pytest

import dragoman
from dragoman.errors import DataError, DragomanError, UsageError, did_you_mean


def test_an_error_is_place_cause_cure() -> None:
    error = DataError("1 column, 2 expected", place="p.tsv:3", cure="try --separator")
    assert str(error) == "p.tsv:3: 1 column, 2 expected (try --separator)"
    assert str(DragomanError("no more memory")) == "no more memory"
    assert str(DataError("said\nmore", place="p", cure="a\r\nb")) == "p: said\\nmore (a\\nb)"
    assert (DragomanError.exit_code, UsageError.exit_code, error.exit_code) == (1, 2, 2)


def test_hints() -> None:
    assert did_you_mean("hiden", ["hidden", "beam"]) == "did you mean 'hidden'?"
    assert did_you_mean("zzz", ["b", "a"]) == "choices: a, b"


def test_the_export_list_is_the_namespace() -> None:
    assert all(getattr(dragoman, name) is not None for name in dragoman.__all__)
    assert set(dir(dragoman)) == set(dragoman.__all__)
    modules = {name for name in dragoman.__all__ if isinstance(getattr(dragoman, name), ModuleType)}
    assert not modules  # a package of that name hides the function once it is imported
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dragoman.nothing
