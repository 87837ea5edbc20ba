"""A few thousand damaged inputs; ``benchmarks/fuzz.py`` takes fifty thousand and tells how."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import fuzz
from dragoman.config.options import DataOptions, SideOptions
from dragoman.config.toml import from_toml
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.vocabulary import load_tokenizer
from dragoman.errors import DragomanError

EXAMPLES = {
    "readers": 500,
    "toml": 300,
    "tokenizer": 300,
    "vectors": 200,
    "checkpoint": 150,
    "folder": 100,
    "history": 100,
    "checker": 50,
    "cli": 50,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> fuzz.Place:
    return fuzz.prepare(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.slow
@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_damaged_input_is_taken_or_refused_in_one_line(name: str, place: fuzz.Place) -> None:
    @settings(max_examples=EXAMPLES[name], deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 2**48))
    def each(seed: int) -> None:
        assert fuzz.attempt(name, seed, place) in ("taken", "refused")

    each()


@pytest.mark.parametrize("what", ["pairs", "toml", "tokenizer"])
def test_any_bytes_are_taken_or_refused(what: str, tmp_path: Path) -> None:
    read = {
        "pairs": lambda path: list(read_pairs([path], DataOptions(), Faults())),
        "toml": from_toml,
        "tokenizer": lambda path: load_tokenizer(path, SideOptions(level="bpe")),
    }[what]

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
    def each(content: bytes) -> None:
        (tmp_path / "x").write_bytes(content)
        try:
            read(tmp_path / "x")
        except DragomanError as error:
            assert "\n" not in str(error)

    each()


class RamblingError(DragomanError):
    def __init__(self) -> None:
        self.args = ("one\ntwo",)


def test_a_fault_would_be_seen(place: fuzz.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(rng: Random, place: fuzz.Place) -> None:
        while True:
            pass

    def breaks(rng: Random, place: fuzz.Place) -> None:
        raise KeyError("x")

    def rambles(rng: Random, place: fuzz.Place) -> None:
        raise RamblingError

    timers = tuple((timer, number, 1) for timer, number, _ in fuzz.TIMERS)
    monkeypatch.setattr(fuzz, "TIMERS", timers)
    for target, answer in ((hangs, "TimeoutError"), (breaks, "KeyError"), (rambles, "one line")):
        monkeypatch.setitem(fuzz.TARGETS, "readers", (target, 1))
        assert answer in fuzz.attempt("readers", 1, place)
