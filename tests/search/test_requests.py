"""What a request asks of its answer, in the text of every level."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dragoman.config.options import SearchOptions
from dragoman.errors import OptionError
from dragoman.search.request import Request, Translation
from dragoman.search.translator import Translator
from tiny_translator import translator


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_words_in_the_text_of_every_level(level: str) -> None:
    one, options = translator(level), SearchOptions(beam=4)
    never = ("sat",) if level == "char" else ("cat", "dog", "a")
    lines = [
        Request(
            f"the cat sat {n} on the mat",
            prefix="a dog" if n % 2 and level == "char" else "",
            must=("mat", "near the"),
            never=never,
        )
        for n in range(12)
    ]
    for answer in one.translate(lines, options):
        words = answer.text.replace(",", " ").replace(".", " ").replace("!", " ").split()
        joined = " ".join(words)
        assert "mat" in (joined if level == "char" else words), answer.text
        assert "near the" in joined
        for word in never:
            assert word not in (joined if level == "char" else words), answer.text


@pytest.mark.parametrize(
    ("request_", "options", "message"),
    [
        ({"must": ("zebra",)}, {}, "must: 'zebra' is not in the target vocabulary"),
        ({"prefix": "a zebra"}, {}, "prefix: 'a zebra' is not in the target vocabulary"),
        ({"must": (" ",)}, {}, "must: ' ' is empty"),
        ({"must": ("the cat",), "never": ("cat",)}, {}, "'the cat' cannot be there without 'cat'"),
        ({"prefix": "the cat", "never": ("cat",)}, {}, "'the cat' cannot be there without 'cat'"),
        ({"must": ("cat",)}, {"temperature": 1.0}, "must: it needs a search"),
        ({"must": ("zebra",), "place": "in.jsonl:7"}, {}, "in.jsonl:7: must: 'zebra'"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    request_: dict[str, object], options: dict[str, object], message: str
) -> None:
    asked = Request("the cat", **request_)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=message):
        list(translator("word").translate([asked], SearchOptions(**options)))  # type: ignore[arg-type]


def answer(one: Translator, request: Request, **options: Any) -> Translation:
    return next(one.translate([request], SearchOptions(**options)))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_a_prefix_may_be_longer_than_the_limit(level: str, temperature: float) -> None:
    prefix = " ".join(["the cat"] * 30)
    asked = Request("dog", prefix=prefix)
    found = answer(translator(level), asked, max_ratio=0.0, temperature=temperature)
    assert found.text.startswith(prefix)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("no_repeat", [1, 2])
def test_a_prefix_may_repeat_itself(no_repeat: int, temperature: float) -> None:
    asked = Request("dog", prefix="the cat the cat the cat")
    found = answer(
        translator("word"), asked, no_repeat=no_repeat, temperature=temperature, max_ratio=0.0
    )
    assert found.text.startswith(asked.prefix) and "<pad>" not in found.text
    assert np.isfinite(found.score)
    later = re.findall(r"\S+", found.text)[5 + no_repeat :]
    assert no_repeat > 1 or (len({*later}) == len(later) and not {*later} & {"the", "cat"})


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_a_word_may_begin_with_a_banned_one(level: str) -> None:
    one = translator(level)
    for n in range(6):
        asked = Request(f"dog {n} sat", must=("category",), never=("cat",))
        found = answer(one, asked, beam=4).text
        assert "category" in found
        assert not re.search(r"cat(?!\w)", found), found


def copying(copies: float = -4.0) -> Translator:
    return translator("word", copy=True, copies=copies)


def test_a_word_outside_the_vocabulary_is_not_copied_where_it_is_banned() -> None:
    lines = [f"zebra gnu {word}" for word in ("the", "dog", "cat", "yak")]
    plain = [answer(copying(), Request(line)).text.split() for line in lines]
    assert sum("zebra" in words for words in plain) >= 1  # the test can fail
    banned = [answer(copying(), Request(line, never=("zebra",))).text.split() for line in lines]
    assert not any("zebra" in words for words in banned)
    assert any("gnu" in words for words in banned)
    answer(translator("word"), Request("zebra", never=("zebra",)))  # no model could say it


def test_a_word_of_the_source_can_be_asked_for_where_it_can_be_copied() -> None:
    for n in range(4):
        asked = Request(f"dog zebra {n} gnu cat", prefix="gnu a", must=("zebra the",))
        found = answer(copying(2.0), asked, beam=4)
        assert found.text.startswith("gnu a") and "zebra the" in found.text and not found.unmet
    with pytest.raises(OptionError, match="'gnu' is not in the target vocabulary, nor in the sour"):
        answer(copying(), Request("dog zebra", must=("gnu",)))


@pytest.mark.slow
@pytest.mark.parametrize("level", ["bpe", "char"])
def test_after_a_prefix_with_a_space_a_new_word_begins(level: str) -> None:
    one = translator(level)
    lines = [f"dog {n} cat {n}" for n in range(20)]
    bare, spaced = (
        [answer(one, Request(line, prefix=prefix), beam=2).text for line in lines]
        for prefix in ("the", "the ")
    )
    assert any(text[3:4].isalnum() for text in bare)  # the test can fail
    assert all(text.startswith("the") and text[3:4] in ("", " ") for text in spaced)


def test_no_text_comes_twice_in_a_list() -> None:
    one, count = translator("unigram", scale=1.0), 0  # several tokens spell one text
    for n in range(10):
        found = answer(one, Request(f"the dog {n} cat"), beam=20, n_best=20, max_ratio=0.0)
        count += len(found.texts)
        assert len({*found.texts}) == len(found.texts) == len(found.hypotheses)
    assert count > 100


def test_what_did_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(translator("word"), Request("", must=("dog",))).unmet == ("dog",)
    one = translator("word", longest=29)  # one of its own
    constraints = one._requests.constraints

    def cut(*given: Any) -> Any:
        return replace(constraints(*given), max_length=1)

    monkeypatch.setattr(one._requests, "constraints", cut)
    found = answer(one, Request("the cat", must=("dog", "on a mat")))
    assert found.unmet and {*found.unmet} == {
        text for text in ("dog", "on a mat") if text not in found.text
    }
