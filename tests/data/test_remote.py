"""Pairs and corpora on other file systems: fetched whole or not at all, kept until they change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dragoman.cli import main
from dragoman.data.remote import local_paths, url_of
from dragoman.errors import DataError

PAIRS = "".join(f"a{i} b{j}\tB{j} A{i}\n" for i in range(9) for j in range(9))
TRAIN = ["--steps", "2", "--hidden", "8", "--embedding", "8", "--threads", "1", "--refit", "False"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder with a cache of its own; files in memory are removed afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def bucket(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a bucket of a real server of S3, on this machine."""
    for package in ("s3fs", "moto", "flask_cors"):
        pytest.importorskip(package, reason=f"needs the package {package} (moto[s3])")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
    yield "s3://bucket"
    server.stop()


def cached(place: Path) -> list[str]:
    return sorted(p.name for p in (place / "cache" / "dragoman").glob("*/*") if p.name != ".lock")


def test_a_path_keeps_one_slash_of_an_address(place: Path) -> None:
    assert url_of(Path("s3://b/c/d.tsv")) == url_of(Path("s3:/b/c/d.tsv")) == "s3://b/c/d.tsv"
    assert url_of(Path("file:///a/b.tsv")) == "file:///a/b.tsv"
    for local in ("pairs.tsv", "/a/b", "-", "C:/pairs.tsv", "tatoeba:fra-eng"):
        assert url_of(Path(local)) == ""
    (place / "s3:" / "b").mkdir(parents=True)
    assert url_of(Path("s3://b")) == ""


def test_a_file_is_fetched_once_until_it_changes(place: Path) -> None:
    said = list[str]()
    fsspec.filesystem("memory").pipe("/data/p.tsv", PAIRS.encode())
    (file,) = local_paths([Path("memory://data/p.tsv")], said.append)
    assert file.read_text() == PAIRS and file.name == "p.tsv"
    assert said == ["memory://data/p.tsv: 1 files are fetched"]
    assert local_paths([Path("memory://data/p.tsv"), place], said.append) == [file, place]
    assert len(said) == 1
    fsspec.filesystem("memory").pipe("/data/p.tsv", PAIRS.upper().encode())
    (other,) = local_paths([Path("memory://data/p.tsv")], said.append)
    assert other.read_text() == PAIRS.upper() and len(said) == 2


def test_what_does_not_come_whole_is_not_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.filesystem("memory").pipe({"/c/one": b"1" * 9, "/c/two": b"2" * 9})
    real = MemoryFileSystem.get

    def cut(system: Any, remote: str, local: str, **options: Any) -> None:
        real(system, remote, local, **options)
        (Path(local) / "two").unlink()
        raise OSError("connection lost")

    monkeypatch.setattr(MemoryFileSystem, "get", cut)
    with pytest.raises(DataError, match="memory://c: cannot be fetched: OSError: connection lost"):
        local_paths([Path("memory://c")], print)
    assert cached(place) == []
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    (folder,) = local_paths([Path("memory://c")], print)
    assert sorted(path.name for path in folder.iterdir()) == ["one", "two"]
    assert cached(place) == ["c"]


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("memory://none.tsv", DataError, "none.tsv: cannot be fetched: FileNotFoundError"),
        ("nothing://b/c", DataError, "Protocol not known: nothing"),
        ("gs://b/c", DataError, r"gcsfs .*pip install"),
    ],
)
def test_an_address_that_cannot_be_read(
    url: str, error: type[Exception], said: str, place: Path
) -> None:
    with pytest.raises(error, match=said):
        local_paths([Path(url)], print)


def test_a_missing_package_is_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "gs://b/c.tsv", "--out", "c"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "dragoman prepare: gs://b/c.tsv: cannot be fetched: ImportError: Please install gcsfs"
    )
    assert not (place / "c").exists()


@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_nothing_is_written_to_an_address(
    verb: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "p.tsv").write_text(PAIRS)
    assert main([verb, "p.tsv", "--out", "s3://bucket/m"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    cause = "s3://bucket/m is no folder of this machine (name a folder)"
    assert line == f"dragoman {verb}: --out: {cause}"
    assert [path.name for path in place.iterdir()] == ["p.tsv"]


def train_from(address: str, system: Any, place: Path) -> None:
    """Prepare pairs that stand at an address, put the corpus there, and train from it."""
    (place / "p.tsv").write_text(PAIRS)
    system.put("p.tsv", f"{address}/p.tsv")
    assert main(["prepare", f"{address}/p.tsv", "--out", "c", "--validation", "5"]) == 0
    system.put("c", f"{address}/corpus", recursive=True)
    shutil.rmtree("c")
    assert main(["train", "p.tsv", "--out", "direct", "--validation", "5", *TRAIN]) == 0
    assert main(["train", f"{address}/corpus", "--out", "m", *TRAIN]) == 0
    one, other = (place / name / "model.safetensors" for name in ("direct", "m"))
    assert one.read_bytes() == other.read_bytes()
    assert f'"{address}/corpus"' in (place / "m" / "run.json").read_text()
    assert main(["train", f"{address}/corpus", "--out", "m", *TRAIN, "--validation", "1000"]) == 2
    assert main(["train", f"{address}/corpus", "--out", "m", *TRAIN, "--steps", "3"]) == 0


@pytest.mark.slow
def test_a_corpus_in_memory_trains(place: Path) -> None:
    train_from("memory://data", fsspec.filesystem("memory"), place)


@pytest.mark.slow
def test_a_corpus_in_a_bucket_trains(place: Path, bucket: str) -> None:
    train_from(f"{bucket}/data", fsspec.filesystem("s3"), place)
