"""Tags stay on their words, and stay nested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copying_network import copying
from dragoman.config.options import SearchOptions, SideOptions
from dragoman.data.vocabulary import train_tokenizer
from dragoman.search.aids import Aids, Memory
from dragoman.search.hypotheses import Hypothesis
from dragoman.search.keep import pattern_of, put_back, take_out
from dragoman.search.tags import CLOSING, MARK, OBJECT, OPENING, ROLES, mark, pairs_of, tag

KEEP = Aids(keep=pattern_of([MARK.pattern, "usual"]))
OPTIONS = SearchOptions(beam=1)
WORDS = "the white cat sat on a mat ."


def swapped(size: int) -> Sequence[int]:
    """The second word and the third change places."""
    return [0, 2, 1, *range(3, size)] if size > 2 else range(size)


def backwards(size: int) -> Sequence[int]:
    return range(size - 1, -1, -1)


def only_ends(size: int) -> Sequence[int]:
    return [0, size - 1] if size > 1 else range(size)


ORDERS = {"same": range, "swapped": swapped, "backwards": backwards, "ends": only_ends}


def answer(line: str, order: str = "same", level: str = "word", longest: int = 100) -> str:
    one = copying([WORDS] * 3, level, ORDERS[order], longest).with_aids(KEEP)
    return next(one.translate([line], OPTIONS)).text


@pytest.mark.parametrize(
    ("line", "order", "expected"),
    [
        ("the <b>white</b> cat sat", "swapped", "the cat <b>white</b> sat"),
        ("the <b>white</b> <i>cat</i> sat", "swapped", "the <i>cat</i> <b>white</b> sat"),
        ("<p>the <b>white cat</b></p> sat", "swapped", "<p>the <b>cat white</b></p> sat"),
        ("the <b>white <i>cat</i></b> sat", "swapped", "the <b><i>cat</i> white</b> sat"),
        ("<b>the white</b> cat sat", "swapped", "<b>the cat white</b> sat"),
        ("the white <br>cat sat", "same", "the white <br>cat sat"),
        ("<b>the</b> white <i>cat sat</i>", "backwards", "<i>sat cat</i> white <b>the</b>"),
        ("the <b>white cat</b> sat", "ends", "<b>the</b> sat"),
        ("the <b></b>cat", "same", "the <b></b>cat"),
        ("<p>the cat <b></b> <i></i></p>", "same", "<p>the cat <b></b> <i></i></p>"),
        ("the <b>{0}</b> cat", "same", "the <b>{0}</b> cat"),
        ("the <b>white {0} cat</b> sat", "same", "the <b>white {0} cat</b> sat"),
        ("the {0}<br>cat", "same", "the {0}<br>cat"),
        ("the <b>white cat <i>sat</b> on</i> a", "same", "the <b>white cat <i>sat</b> on</i> a"),
        ("the </b>white <b>cat", "same", "the </b>white <b>cat"),
        ("the wh<b>it</b>e cat", "same", "the <b>white</b> cat"),
        ("the<b> white </b>cat", "same", "the<b> white </b>cat"),
        ("the <b>white</b>.", "same", "the <b>white</b>."),
        ("the <B CLASS='x'>white</B> cat", "swapped", "the cat <B CLASS='x'>white</B>"),
        ("<b>.</b>", "same", "<b>.</b>"),
        ("<b></b>", "same", "<b></b>"),
        ("{0} <br/>", "same", "{0} <br/>"),
        ("the <b></b><i></i>cat", "same", "the <b></b><i></i>cat"),
        ("the<b></b><i></i> cat", "same", "the<b></b><i></i> cat"),
        ("the <b><i></i>cat</b> sat", "swapped", "the sat <b><i></i>cat</b>"),
    ],
)
def test_tags_stay_on_their_words(line: str, order: str, expected: str) -> None:
    assert answer(line, order) == expected


def test_punctuation_behind_the_words_is_outside_of_the_tags() -> None:
    assert answer("sat on a <b>mat</b> .") == "sat on a <b>mat</b> ."
    assert answer("sat on a <b>mat .</b>") == "sat on a <b>mat .</b>"


def test_tags_stay_off_the_inside_of_words_with_an_apostrophe() -> None:
    for line, expected in {
        "i <b>don</b>'t see": "i <b>don't</b> see",
        "i don'<b>t</b> see": "i <b>don't</b> see",
        "l'<b>homme</b> see": "l'<b>homme</b> see",
    }.items():
        one = copying(["i don't see l'homme"] * 3).with_aids(KEEP)
        assert next(one.translate([line], OPTIONS)).text.replace(" ' ", "'") == expected


def test_tags_stay_off_the_inside_of_words_with_a_hyphen() -> None:
    one = copying(["a well-known cat"] * 3, "bpe").with_aids(KEEP)
    for line in ("a <b>well</b>-known cat", "a well-<b>known</b> cat", "a well<b>-</b>known cat"):
        assert next(one.translate([line], OPTIONS)).text == "a <b>well-known</b> cat"


def placed(line: str, weights: np.ndarray) -> str:
    """A line with tags, said again by a network with these weights of attention, [T, S + 1]."""
    left, kept = take_out(line, KEEP.keep)
    tokens = train_tokenizer([left] * 3, SideOptions(level="word", vocabulary=500))
    found = Hypothesis((), 0.0, 0.0, True, (), weights.astype(np.float32))
    return put_back(left.split(), found, left, kept, (tokens, Joined()), "")  # type: ignore[arg-type]


class Joined:
    def join(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens)


def test_faint_attention_counts_far_behind_in_a_line() -> None:
    """The last word attends to the one before it, but more to its own source than others do."""
    words = [f"w{n}" for n in range(30)]
    weights = np.eye(30, 31)
    weights[29, 28:30] = 0.7, 0.2
    line = " ".join([*words[:28], "<b>w28", "<i>w29</i></b>"])
    assert placed(line, weights) == line


def test_a_word_that_attends_to_the_end_of_the_source_follows_the_one_before_it() -> None:
    for line in ("<b>the white</b> cat sat", "the <b>white cat</b> sat"):
        for at in range(3):
            weights = np.eye(4, 5)
            weights[at] = 0.003, 0.002, 0.001, 0.004, 0.99
            assert placed(line, weights) == line


@st.composite
def tagged(draw: st.DrawFn, depth: int = 3) -> str:
    """Words with well nested tags, and single ones."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["word", "word", "pair", "single"]))
        if kind == "word" or depth == 0:
            parts.append(draw(st.sampled_from(WORDS.split())))
        elif kind == "single":
            parts.append(draw(st.sampled_from(["<br>", "{0}", "<i>", "</b>"])))
        else:
            name = draw(st.sampled_from(["a", "u", "em"]))
            parts.append(f"<{name}>{draw(tagged(depth - 1))}</{name}>")
    return draw(st.sampled_from([" ", ""])).join(parts)


@given(
    tagged(),
    st.sampled_from([*ORDERS]),
    st.sampled_from(["word", "char"]),
    st.sampled_from([3, 100]),
)
@settings(deadline=None, max_examples=200)
def test_every_tag_comes_once_and_pairs_stay_nested(
    line: str, order: str, level: str, longest: int
) -> None:
    text = answer(line, order, level, longest)
    find = re.compile(r"<[^>]*>|\{0\}").findall
    assert Counter(find(text)) == Counter(find(line)), (line, text)
    begun = []
    for found in re.findall("</?(?:a|u|em)>", text):
        if found[1] == "/":
            assert begun.pop() == found.replace("/", ""), (line, text)
        else:
            begun.append(found)
    assert not begun


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(ROLES[:3])), max_size=12))
def test_pairs_are_nested_and_each_closes_the_last_one_of_its_name(
    tags: list[tuple[str, str]],
) -> None:
    pairs = pairs_of(tags)
    for start, end in pairs.items():
        assert start < end and tags[start] == (tags[end][0], OPENING) and tags[end][1] == CLOSING
        for other, its_end in pairs.items():
            assert not start < other < end < its_end
    assert len({*pairs.values()}) == len(pairs)


def test_each_tag_is_compared_once_for_pairs() -> None:
    """Neither stray closing tags nor open ones make the others slower."""

    class Name(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    names = [Name(name) for name in "abc"]
    for roles in ((OPENING, CLOSING), (CLOSING, OPENING), (OPENING, OPENING, CLOSING)):
        Name.compared = 0
        tags = [(names[n % 3], role) for role in roles for n in range(1000)]
        pairs_of([*tags, *[(Name("d"), CLOSING)] * 1000])
        assert Name.compared < 20 * len(tags)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>", ("b", OPENING)),
        ("</B>", ("b", CLOSING)),
        ("<br>", ("", OBJECT)),
        ("<BR>", ("", OBJECT)),
        ("<br/>", ("", OBJECT)),
        ("<x-y z='>' />", ("", OBJECT)),
        ("<a href='a>b'>", ("a", OPENING)),
        ("<http://a.b>", ("", OBJECT)),
        ("{0}", ("", OBJECT)),
        ("<code>x</code>", ("", OBJECT)),
        (mark(7, CLOSING), ("7", CLOSING)),
    ],
)
def test_what_is_a_tag(text: str, expected: tuple[str, str]) -> None:
    assert tag(text) == expected


def test_a_memory_answers_lines_with_marks() -> None:
    memory = Memory([("the cat", "die Katze")])
    one = copying([WORDS] * 3).with_aids(Aids(memory, keep=KEEP.keep))
    a, b, c = mark(0, OPENING), mark(0, CLOSING), mark(1, OBJECT)
    lines = [f"{a}the cat{b}", f"{a}the{b} cat", f"the cat{c}", "the cat", f"{a}{b}"]
    answers = [found.text for found in one.translate(lines, OPTIONS)]
    assert answers == [
        f"{a}die Katze{b}",
        f"{a}die Katze{b}",
        f"die Katze{c}",
        "die Katze",
        f"{a}{b}",
    ]
