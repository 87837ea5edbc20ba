"""Each kind of mistake, and what is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dragoman.data.tokenizer import UNK
from dragoman.evaluation.mistakes import MISTAKES, mistakes

KNOWN, UNKNOWN = np.array([UNK + 9, UNK + 8]), np.array([UNK + 9, UNK])


def answer(source: str, text: str, *complete: bool) -> Any:
    hypotheses = [SimpleNamespace(complete=ended) for ended in complete]
    return SimpleNamespace(source=source, text=text, hypotheses=hypotheses)


def kinds(source: str, output: str, *references: str) -> set[str]:
    said = [answer(source, output, True)]
    found = mistakes(said, [references], [KNOWN])
    assert tuple(found) == MISTAKES
    return {kind for kind, lines in found.items() if lines}


@pytest.mark.parametrize(
    ("source", "output", "references", "expected"),
    [
        ("je dors", "I sleep and sleep and sleep and", ("I sleep and I sleep",), {"loop"}),
        ("saute", "JUMP JUMP JUMP", ("JUMP JUMP JUMP",), set()),
        ("saute", "JUMP JUMP JUMP", ("JUMP JUMP", "HOP"), {"loop"}),
        ("ah", "haha hahahaha", ("haha ha",), {"loop"}),
        ("ah", "hahaha", ("haha",), set()),
        ("ah", "a b c a b c a b c d", ("a b c a b c d e f",), {"loop"}),
        ("ah", "a b c a b c a b", ("a b c a b c d e f",), set()),
        ("ah", "cat cats cater", ("cat cats cater",), set()),
        ("1000000", "10000000", ("1000000",), {"lost"}),
        ("je dors", " ", ("I sleep",), {"blank"}),
        ("Je dors.", "je dors", ("I sleep.",), {"copied"}),
        ("Tom !", "Tom!", ("Tom!",), set()),
        ("je dors", "I", ("I am asleep", "I sleep in"), set()),
        ("Anne a 3 chats", "Anna has 3 cats", ("Anne has 3 cats",), {"lost"}),
        ("Anne a 3 chats", "Anne has 13 cats", ("Anne has 3 cats",), {"lost"}),
        ("Anne a 3 chats", "Anne, 3 cats", ("Anne has 3 cats",), set()),
        ("Anne a trois chats", "3 cats", ("Anna has 3 cats", "3 cats"), set()),
        ("le 3 mai 1999", "1999-05-04", ("1999-05-03",), set()),
    ],
)
def test_kinds(source: str, output: str, references: tuple[str, ...], expected: set[str]) -> None:
    assert kinds(source, output, *references) == expected


def test_what_the_model_says_itself() -> None:
    # The first of several hypotheses counts; an empty line has none and is not cut off.
    said = [answer("a", "x", True, False), answer("b", "x", False, True), answer("", "")]
    found = mistakes(said, [["x"]] * 3, [UNKNOWN, KNOWN, KNOWN[:0]])
    expected = {"cut off": [1], "unknown": [0], "blank": [2]}
    assert {k: v for k, v in found.items() if v} == expected


def test_a_long_output_is_searched_for_loops_at_once() -> None:
    words = " ".join(f"w{n}" * 20 for n in range(5000))
    assert kinds("a", words, words) == set()
    assert kinds("a", f"{words} and and and", words) == {"loop"}
