"""Memories and terms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dragoman.config.options import SearchOptions
from dragoman.errors import DataError, OptionError
from dragoman.search.aids import Aids, Memory, Terms, read_memory, read_terms
from dragoman.search.keep import pattern_of
from dragoman.search.request import Request, Translation
from tiny_translator import translator

OPTIONS = SearchOptions(beam=3, n_best=2)


def test_a_memory_answers_its_lines_and_the_model_the_others() -> None:
    one, memory = translator("word"), Memory([("the cat", "die Katze"), ("the cat", "der Kater")])
    lines = ["a dog sat", "the cat", "", "the  Cat", "the cat"]
    answers = list(one.with_aids(Aids(memory)).translate(lines, OPTIONS))
    plain = list(one.translate(lines, OPTIONS))
    for number in (0, 2, 3):
        assert answers[number].texts == plain[number].texts and not answers[number].remembered
        assert answers[number].score == plain[number].score
    for number in (1, 4):
        assert answers[number].remembered and answers[number].text == "die Katze"
        assert answers[number].texts == ("die Katze", "der Kater")
    (first,) = one.with_aids(Aids(memory)).translate(["the cat"], SearchOptions(n_best=1))
    assert first.texts == ("die Katze",)


@pytest.mark.parametrize(
    ("ignore", "known"),
    [
        ((), {"The  cat"}),
        (("case",), {"The  cat", "the  CAT"}),
        (("spaces",), {"The  cat", "The cat", " The cat "}),
        (("case", "spaces"), {"The  cat", "the  CAT", "The cat", " The cat ", "the cat"}),
    ],
)
def test_case_and_spaces_may_differ_where_it_is_asked_for(
    ignore: tuple[str, ...], known: set[str]
) -> None:
    memory = Memory([("The  cat", "x")], ignore)
    lines = {"The  cat", "the  CAT", "The cat", " The cat ", "the cat", "The cats"}
    assert {line for line in lines if memory.answers(line)} == known


@pytest.mark.parametrize(
    ("source", "forms"),
    [
        ("the Dog sat", [("Hund", "Hunde")]),
        ("the dogs sat", []),
        ("hot dog, dog", [("Würstchen",), ("Hund", "Hunde")]),
        ("hotdog", []),
        ("a c++ dog.", [("C++",), ("Hund", "Hunde")]),
        ("在东京都", [("Tokio",)]),
        ("dog dog", [("Hund", "Hunde")]),
        ("İdog dog", [("Hund", "Hunde")]),
        ("", []),
    ],
)
def test_terms_are_found_as_whole_words(source: str, forms: list[tuple[str, ...]]) -> None:
    terms = Terms(
        {"dog": ("Hund", "Hunde"), "hot dog": ("Würstchen",), "C++": ("C++",), "东京": ("Tokio",)}
    )
    assert [*terms.within(source)] == forms


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
@pytest.mark.parametrize("longest", [30, 4])
def test_a_form_of_each_term_is_in_the_output(level: str, longest: int) -> None:
    one = translator(level, longest=longest)
    terms = Terms({"cat": ("dog", "dogs"), "near": ("mat",), "zebra": ("sit",)})
    lines = ["a cat sat on a mat near the dog", "dogs", "cat", "zebra zebra zebra near"]
    for answer in one.with_aids(Aids(terms=terms)).translate(lines, OPTIONS):
        said = answer.text if level == "char" else re.findall(r"\w+", answer.text)
        for forms in terms.within(answer.source):
            assert any(form in said for form in forms), (answer.source, answer.text)
        assert not answer.unmet
    (plain,) = one.translate(["dogs"], OPTIONS)
    assert next(one.with_aids(Aids(terms=terms)).translate(["dogs"], OPTIONS)).texts == plain.texts


def test_a_term_whose_forms_are_banned_is_refused() -> None:
    one, terms = translator("word"), Terms({"cat": ("dog", "dogs")})
    request = Request("cat", prefix="the cat sat", never=("dog", "dogs"))
    with pytest.raises(OptionError, match="'dog' cannot be there without 'dog'"):
        list(one.with_aids(Aids(terms=terms)).translate([request], OPTIONS))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog\n", r"terms.tsv:1: 1 column"),
        ("dog\tHund,\n", r"terms.tsv:1: a form of 'dog' is empty"),
        ("dog\tHund\ncat\tKatze\nDog\tHündin\n", r"terms.tsv:3: 'dog' has an earlier line"),
    ],
)
def test_a_wrong_line_of_a_terms_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_terms(path)


def test_files_are_read(tmp_path: Path) -> None:
    terms, memory, asked = tmp_path / "terms.tsv", tmp_path / "memory.tsv", list[Request]()
    terms.write_text("Hot dog\tWürstchen, Würste\n")
    memory.write_text("the cat\tdie Katze\nthe cat\tder Kater\n")
    found = read_terms(terms, asked.append), pattern_of(["numbers"])
    aids = Aids(read_memory(memory, ["case"]), *found)
    assert aids.terms.within("a hot dog") == {("Würstchen", "Würste"): 2}
    assert asked == [Request("hot dog", must=(("Würstchen", "Würste"),), place=f"{terms}:1")]
    assert aids.memory.answers("The cat") == ("die Katze", "der Kater")
    assert aids.keep is not None and aids.keep.findall("a 12 b") == ["12"]
    none = Aids(read_memory(None), read_terms(None), pattern_of([]))
    assert (none.memory.answers("the cat"), none.terms.within("dog"), none.keep) == ((), {}, None)
    with pytest.raises(DataError, match=r"nothing.tsv: no such file"):
        read_memory(tmp_path / "nothing.tsv")


def test_requests_that_arrive_one_by_one_have_the_same_aids() -> None:
    memory, terms = Memory([("the cat", "die Katze")]), Terms({"dog": ("mat", "dogs")})
    one = translator("word").with_aids(Aids(memory, terms, pattern_of(["usual"])))
    lines = ["the cat", "a dog sat", "", "a {0} dog", "{0}"]
    found = dict[int, Translation]()
    requests = [(number, Request(line)) for number, line in enumerate(lines)]
    one.answer_each(iter(requests), OPTIONS, found.__setitem__)
    answers = one.translate(lines, OPTIONS)
    assert [found[n].texts for n in range(5)] == [answer.texts for answer in answers]
    assert [found[n].read for n in range(5)] == ["", "a dog sat", "", "a dog", ""]
    assert found[0].remembered and found[4].text == "{0}" and "{0}" in found[3].text
    assert {"mat", "dogs"} & {*found[1].text.split()}
