"""The files that a row trains and is scored on, made from the data folder."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.board.rows import LANGUAGE, Row, RowError

HELD_OUT = 1000
"""Pairs of a test set that the board makes itself."""


@dataclass(frozen=True)
class Files:
    """What ``dragoman train`` and ``dragoman evaluate`` are given."""

    train: list[Path]
    validation: list[Path]
    tests: dict[str, list[Path]]
    """No file: the pairs that the training held out."""


def make_files(row: Row, language: str, data: Path, folder: Path) -> Files:
    """Find the files of a row; write into ``folder`` those that have to be made.

    Raises:
        RowError: a file of the data folder is missing.
    """

    def found(names: list[str]) -> list[Path]:
        return [_found(row, data / name.replace(LANGUAGE, language)) for name in names]

    if row.pairs:
        train = folder / "train.tsv"
        _write(train, ["\t".join(pair) for pair in row.pairs])
        return Files([train], [], {"training pairs": [train]})
    if row.sample:
        return _sample(row.sample, folder)
    tests = {name: found(files) for name, files in row.test.items()}
    if not row.hold_out:
        return Files(found(row.train), found(row.validation), tests)
    train, test = folder / "train.tsv", folder / "test.tsv"
    learned, held_out = split_by_source(_lines(found(row.train)[0]), row.hold_out - 1, HELD_OUT)
    _write(train, learned)
    _write(test, held_out)
    return Files([train], found(row.validation), {f"own split, {HELD_OUT:,} pairs": [test]})


def split_by_source(lines: Iterator[str], column: int, count: int) -> tuple[list[str], list[str]]:
    """Divide tab-separated pairs into those to learn and about ``count`` to be tested on.

    Sources that differ only in case, punctuation or spaces fall on one side. They are ordered by a
    digest of their words, so that the split depends on nothing but the pairs.
    """
    groups: dict[str, list[str]] = {}
    for line in lines:
        words = " ".join(re.findall(r"\w+", line.split("\t")[column].lower()))
        groups.setdefault(words, []).append(line)
    held_out: set[str] = set()
    pairs = 0
    for words in sorted(groups, key=lambda one: hashlib.sha256(one.encode()).digest()):
        if pairs >= count:
            break
        held_out.add(words)
        pairs += len(groups[words])
    learned = [line for words, group in groups.items() if words not in held_out for line in group]
    tested = [line for words, group in groups.items() if words in held_out for line in group]
    return learned, tested


def _sample(name: str, folder: Path) -> Files:
    """A corpus that Dragoman draws: as many pairs as it has, and 1,000 whose sources are new."""
    train, test = folder / "train.tsv", folder / "test.tsv"
    folder.mkdir(parents=True, exist_ok=True)
    get = [sys.executable, "-m", "dragoman", "data", "get", name]
    subprocess.run([*get, "--out", str(train)], check=True)
    subprocess.run([*get, "--seed", "2", "--count", "5000", "--out", str(test)], check=True)
    seen = {line.partition("\t")[0] for line in _lines(train)}
    new = [line for line in _lines(test) if line.partition("\t")[0] not in seen]
    _write(test, new[:HELD_OUT])
    return Files([train], [], {"new sources": [test]})


def _found(row: Row, path: Path) -> Path:
    if not path.is_file():
        raise RowError(f"{row.name}: {path}: no such file")
    return path


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
