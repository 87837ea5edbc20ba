"""Writing beside: no process spoils another's file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dragoman import files
from dragoman.files import final_name, replacing, sync, write_text

CHILD = """
import sys; from pathlib import Path; from dragoman.files import replacing
with replacing(Path(sys.argv[1])) as aside:
    aside.write_text("child"); print("ready", flush=True); sys.stdin.readline()
"""


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "out.tsv"
    command = [sys.executable, "-c", CHILD, str(out)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout and child.stdout.readline() == "ready\n"
        with replacing(out) as aside:
            aside.write_text("parent")
        assert out.read_text() == "parent"
        child.communicate("\n")
    assert child.returncode == 0 and out.read_text() == "child"
    assert [path.name for path in tmp_path.iterdir()] == ["out.tsv"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text("old")
    (tmp_path / "link").symlink_to("deep/file")
    (tmp_path / "dangling").symlink_to("deep/new")
    for name in ("link", "dangling"):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).is_symlink() and (tmp_path / name).read_text() == "new"
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["file", "new"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_device_and_a_pipe_are_written_to(tmp_path: Path) -> None:
    null, pipe, link = Path("/dev/null"), tmp_path / "pipe", tmp_path / "link"
    before = null.stat()
    write_text(null, "gone")
    link.symlink_to(null)
    write_text(link, "gone")
    assert null.stat().st_ino == before.st_ino and null.is_char_device()
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        write_text(pipe, "through")
        assert reader.communicate(timeout=10)[0] == b"through"
    assert pipe.is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_an_open_stream_keeps_what_is_written_to_it_by_name(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from dragoman.files import write_text;"
        "write_text(Path('/dev/stdout'), 'by name;'); print('printed')"
    )
    with open(tmp_path / "out", "ab") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "by name;printed\n"


@pytest.mark.parametrize(("name", "flags"), [("nt", os.O_RDWR), ("posix", os.O_RDONLY)])
def test_a_file_is_synced_as_the_system_asks(
    name: str, flags: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows syncs no file that is open for reading alone, and no folder."""
    (tmp_path / "file").write_text("text")
    opened = list[tuple[Path, int]]()

    def record(path: Path, how: int) -> int:
        opened.append((path, how))
        return os.open(tmp_path / "file", how)

    monkeypatch.setattr(files, "os", SimpleNamespace(**vars(os) | {"name": name, "open": record}))
    for path in (tmp_path / "file", tmp_path):
        sync(path)
    folder = [(tmp_path, flags)] if name == "posix" else []
    assert opened == [(tmp_path / "file", flags), *folder]


def test_the_name_that_a_file_will_get() -> None:
    names = {"a.tsv.12.partial": "a.tsv", "a.partial": "a", "a.12": "a.12", "a.x.partial": "a.x"}
    assert {name: final_name(name) for name in names} == names


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, replacing(tmp_path / "none" / "a") as aside:
        aside.write_text("new")
    assert raised.value.filename == str(tmp_path / "none" / "a")
