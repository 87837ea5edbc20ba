"""Parts of a line that stay as they are."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import SearchOptions, SideOptions
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import OptionError
from dragoman.search.aids import Aids
from dragoman.search.hypotheses import Hypothesis
from dragoman.search.keep import pattern_of, put_back, take_out
from dragoman.search.tags import Kept
from tiny_translator import TEXT, translator

WORDS = "ein Hund sah die weiße Katze ( dort ) ."
TARGET = train_tokenizer([WORDS] * 3, SideOptions(level="word", vocabulary=50))


@pytest.mark.parametrize(
    ("line", "left", "kept"),
    [
        ("see {0} and %s.", "see and.", ["{0}", "%s"]),
        ("{name} files", "files", ["{name}"]),
        (
            "at https://a.example/x?y=1, or www.b.example.",
            "at, or.",
            ["https://a.example/x?y=1", "www.b.example"],
        ),
        ("mail a.b+c@d.example now", "mail now", ["a.b+c@d.example"]),
        ("a <b>white</b> cat", "a white cat", ["<b>", "</b>"]),
        ("%(count)s of %1$d at 50% off", "of at 50% off", ["%(count)s", "%1$d"]),
        ("3 < 5 and {no end", "3 < 5 and {no end", []),
        ("<b></b>", "", ["<b>", "</b>"]),
        ("  two  spaces ", "  two  spaces ", []),
        (
            "{{ user.name | upper }} saw {% if a %} <%= b %>!",
            "saw!",
            ["{{ user.name | upper }}", "{% if a %}", "<%= b %>"],
        ),
        ("a {{ b and {% c", "a {{ b and {% c", []),
    ],
)
def test_what_is_usual_is_taken_out(line: str, left: str, kept: list[str]) -> None:
    assert take_out(line, pattern_of(["usual"])) == (left, take_out(line, pattern_of(["usual"]))[1])
    assert [one.text for one in take_out(line, pattern_of(["usual"]))[1]] == kept


def test_numbers_and_expressions_are_kept_where_they_are_asked_for() -> None:
    line = "12.5 kg of X-17 at 10:30"
    texts = lambda *names: [one.text for one in take_out(line, pattern_of(names))[1]]  # noqa: E731
    assert texts("usual") == []
    assert texts("numbers") == ["12.5", "17", "10:30"]
    assert texts("X-\\d+", "numbers") == ["12.5", "X-17", "10:30"]
    assert pattern_of(()) is None
    with pytest.raises(OptionError, match=r"'\(': .*regular expression"):
        pattern_of(["("])


def hypothesis(reads: list[int], size: int) -> Hypothesis:
    """An output whose tokens attend to these source tokens."""
    weights = np.full((len(reads) + 1, size + 1), 0.1, np.float32)
    weights[np.arange(len(reads)), reads] = 1.0
    return Hypothesis((), 0.0, 0.0, True, (), weights)


@pytest.mark.parametrize(
    ("line", "output", "reads", "expected"),
    [
        (
            "a {0} dog saw the cat .",
            "ein Hund sah die Katze .",
            [0, 1, 2, 3, 4, 5],
            "ein {0} Hund sah die Katze .",
        ),
        ("a dog saw the {0} .", "ein Hund sah die .", [0, 1, 2, 3, 4], "ein Hund sah die {0} ."),
        ("{0} saw a dog", "sah ein Hund", [0, 1, 2], "{0} sah ein Hund"),
        ("the {0} cat saw", "sah die Katze", [2, 0, 1], "sah die {0} Katze"),
        ("{0} {1} saw", "sah", [0], "{0} {1} sah"),
        ("({0}) saw", "( ) sah", [0, 1, 2], "({0}) sah"),
        ("saw {0}", "sah", [0], "sah {0}"),
    ],
)
def test_each_part_comes_back_to_its_place(
    line: str, output: str, reads: list[int], expected: str
) -> None:
    left, kept = take_out(line, pattern_of(["usual"]))
    tokens = TARGET.tokens(TARGET.encode([output])[0])
    size = len(TARGET.spans(left))
    found = put_back(tokens, hypothesis(reads, size), left, kept, (TARGET, TARGET), "")
    assert found.replace("( {0}", "({0}").replace("{0} )", "{0})") == expected


def test_a_part_stands_behind_the_prefix_and_never_inside_of_a_word() -> None:
    kept = [Kept("{0}", 0, "", " ")]
    tokens = TARGET.tokens(TARGET.encode(["ein Hund sah"])[0])
    asked: Any = (hypothesis([0, 1, 2], 3), "a dog saw")
    sides = TARGET, TARGET
    assert put_back(tokens, *asked, kept, sides, "ein Hund") == "ein Hund {0} sah"
    inside = put_back(["▁Hu", "nd", "▁sah"], *asked, [Kept("{0}", 2, " ", " ")], sides, "")
    assert inside in ("{0} Hund sah", "Hund {0} sah")


@given(
    st.lists(
        st.sampled_from(["cat", "sat", "{0}", "<b>", "</b>", "a", "%s", ".", "dog"]), max_size=12
    ),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_each_part_comes_once_and_without_pairs_in_its_order(words: list[str], data: Any) -> None:
    line = "".join(word + data.draw(st.sampled_from(["", " "])) for word in words)
    pattern = pattern_of(["usual"])
    assert pattern is not None
    one = translator("bpe", longest=data.draw(st.sampled_from([3, 30])))
    options = SearchOptions(beam=2, n_best=2)
    (answer,) = one.with_aids(Aids(keep=pattern)).translate([line], options)
    for text in (answer.text, *answer.texts):
        found, wanted = pattern.findall(text), pattern.findall(line)
        assert Counter(found) == Counter(wanted), (line, text)
        single = [[part for part in parts if part[0] != "<"] for parts in (found, wanted)]
        assert single[0] == single[1] or "</b>" in wanted
    plain, kept = take_out(line, pattern)
    if not kept:
        assert answer.text == next(one.translate([plain], options)).text


def test_text_is_that_of_the_line_without_them() -> None:
    one, options = translator("word"), SearchOptions()
    line = f"{TEXT[0]} {{0}}"
    (answer,) = one.with_aids(Aids(keep=pattern_of(["usual"]))).translate([line], options)
    (plain,) = one.translate([TEXT[0]], options)
    assert answer.text.replace("{0}", "").split() == plain.text.split()
    assert answer.source == line and answer.score == plain.score
