"""The lock of a folder, and systems that have none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dragoman.errors import FolderError
from dragoman.files import is_locked, locked, take
from dragoman.layout import LOCK


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(FolderError, match="another training is writing here"), locked(tmp_path):
            pass
    assert not is_locked(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_who_asks_whether_a_folder_is_locked_locks_out_nobody_else_who_asks(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open() as file:
        assert take(file, "LOCK_SH")  # another process asks at this moment
        assert not is_locked(tmp_path)


def test_where_there_is_no_such_lock_a_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with locked(tmp_path), locked(tmp_path):
        assert not is_locked(tmp_path)
