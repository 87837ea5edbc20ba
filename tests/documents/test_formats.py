"""What of a document is text, and that all else stays as it is."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copying_network import copying
from dragoman.config.options import SearchOptions
from dragoman.documents.blocks import read_blocks
from dragoman.documents.formats import FORMATS
from made_documents import sentences, translated

pytest.importorskip("sentencex", reason="needs dragoman[documents]")

TEXT = """\ufeffThis is a paragraph
that wraps. It has two  sentences.\r
\r
Dr. Smith paid 3.50 dollars. He left.

  42

the end"""
HTML = """<!doctype html>
<html><head><title>My page</title><style>b > i { color: red }</style></head>
<body class='x' title="a > b"><!-- a note -->
<p>Hello <b>big</b> world. <i>This &amp; that.</i>
   And <a href="x>y" title='do not > touch'>a link</a>!</p>
<pre>not this. &lt;</pre><p>Run <code>ls <b></code> now<br>next &lt;b&gt; line <img src=x> foo</p>
<ul><li>One<li>Two</ul><script>if (a < b) { "text. more" }</script><textarea>not this</textarea>
<p title=don't>un<b>believ</b>able<!-- never closed"""
MARKDOWN = """---
title: not this
---
# A *title*
A paragraph that
wraps. And `code here` too.

> quoted text
> that goes on with a [link](http://a.example/b "not this") inside.

* item **one** has
  two lines
1. ![a picture](p.png) and ![](q.png)
   - [ ] a task

```python
not = "this"

```

    not this either

| A head | And two |
|:-------|--------:|
| x \\| y | `a b` z |

Under lined
===========
[ref]: http://a.example
<div class="x">
not this
</div>

last 2 * 3 of snake_case <b>x</b> and <http://b.example/c>[^1]
and a hard end.

[^1]: A note.
"""
SRT = """2\r
00:00:01,000 --> 00:00:02,000 X1:40\r
<i>Hello there,\r
my friend.</i>\r
\r
1\r
00:00:00,000 --> 00:00:01,000\r
- Hi, you.\r
- Bye {\\an8}now.\r
"""
JSON = """{"key": "A value. Two.\\n\\nAnd three", "n": [1.5e3, "x", {"k" : " y "}],
"url": "https://a.example/b", "e": "", "t": true}
{"next": "line \\"quoted\\""}
"""
DOCUMENTS = {"text": TEXT, "html": HTML, "markdown": MARKDOWN, "srt": SRT, "json": JSON}
READ = {
    "text": [
        "This is a paragraph that wraps.",
        "It has two sentences.",
        "Dr. Smith paid 3.50 dollars.",
        "He left.",
        "the end",
    ],
    "html": [
        "My page",
        "Hello |big| world.",
        "|This & that.|",
        "And |a link|!",
        "Run | now",
        "next <b> line | foo",
        "One",
        "Two",
        "un|believ|able|",
    ],
    "markdown": [
        "A |title|",
        "A paragraph that wraps.",
        "And | too.",
        "quoted text that goes on with a |link| inside.",
        "item |one| has two lines",
        "|a picture| and ||",
        "a task",
        "A head",
        "And two",
        "x | y",
        "| z",
        "Under lined",
        "last 2 * 3 of snake_case |x| and || and a hard end.",
        "A note.",
    ],
    "srt": ["|Hello there, my friend.|", "Hi, you.", "Bye |now."],
    "json": ["A value.", "Two.", "And three", "x", "y", 'line "quoted"'],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_text_of_a_document_is_read_and_the_rest_stays(name: str) -> None:
    assert sentences(name, DOCUMENTS[name]) == READ[name]
    assert translated(name, DOCUMENTS[name]) == DOCUMENTS[name]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_no_text_is_untouched_by_another_text(name: str) -> None:
    """Without its sentences, a document is what it was without them."""
    changed = translated(name, DOCUMENTS[name], lambda text: re.sub(r"[^\W_]", "¤", text))
    assert len(changed) == len(DOCUMENTS[name])
    for was, now in zip(DOCUMENTS[name], changed, strict=True):
        assert was == now or (now == "¤" and was.isalnum())
    kept = ["not this", "color: red", "if (a < b)", "ls <b>", "code here", "00:00:01,000", '"url"']
    for part in [*kept, "http://a.example", "http://b.example", "p.png", "title='do not"]:
        assert changed.count(part) == DOCUMENTS[name].count(part)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("text", ["", " ", "\n\n", "\r\n", "42", "\ufeff", "--- 1.5 ---\n"])
def test_a_document_without_text_is_copied(name: str, text: str) -> None:
    if name == "json" and "-" in text:
        return
    assert sentences(name, text) == [] and translated(name, text) == text


@pytest.mark.parametrize(
    "page",
    [
        "<p>one <b>two <i>three</b> four</i></p>",
        "one </b> two </p></div> three <b>",
        "<p>one <a href='two>three</p><p>four",
        "one <b two <i>three",
        "one < two > three & four &amp five; six",
        "<b><b><b>one</i></i>",
        "<script>one two",
        "<!-- one <b>two</b>",
        "<!doctype one",
        "<code>one two",
        "one <br/><br><hr>two <img src='a>b' alt=three> four",
        "<P>One <B>two</B> three</P><CODE>four</CODE>",
    ],
)
def test_malformed_pages_stay_as_they_are(page: str) -> None:
    found = translated("html", page)
    assert found == page or html.unescape(found) == html.unescape(page)
    tags = re.findall("<[^>]*>?", page)
    assert [
        tag for tag in re.findall("<[^>]*>?", translated("html", page, str.upper)) if tag in tags
    ] == [tag for tag in tags if len(tag) > 1 and tag != "< two >"]


@pytest.mark.parametrize(
    ("page", "read"),
    [
        ("<p>A <span translate='no'>stay <span>stay</span>.</span> B.</p>", ["A | B."]),
        ("<div class='a notranslate b'><p>stay<div>stay</div></div><p>A", ["A"]),
        ("<ul><li translate=no>stay<li>A<LI CLASS=notranslate>stay</ul>B", ["A", "B"]),
        ("<p>A <img class='notranslate' src=x> B", ["A | B"]),
        ("<p title='x translate=no'>A</p><p data-x='class=\"notranslate\"'>B</p>", ["A", "B"]),
        ("<p class=notranslated>A</p><p translate='yes'>B</p>", ["A", "B"]),
        ("<html translate='no'>stay <p translate=yes>A.</p> stay </html> B", ["A.", "B"]),
        ("<p>A <b translate=no>stay <i>stay", ["A |"]),
        ("<p>A <b translate=no>stay</p><p>B</p>", ["A |", "B"]),
        ("<div><b translate=no>stay</i> stay</div> B", ["B"]),
        ("<b translate=no><b>stay</b></b> A <b translate=no>stay</b> B", ["| A | B"]),
    ],
)
def test_what_shall_not_be_translated_stays(page: str, read: list[str]) -> None:
    assert sentences("html", page) == read
    assert translated("html", page) == page
    changed = translated("html", page, lambda text: re.sub("[A-Z]", "¤", text))
    assert changed.count("stay") == page.count("stay")
    assert changed.count("¤") == sum(map(str.isupper, "".join(read)))


def test_many_elements_that_are_not_translated_take_no_long_time() -> None:
    for page in ("<b translate=no>" * 20_000 + "x", "<b>" * 20_000 + "</i>" * 20_000):
        assert translated("html", page, str.upper) == page


TEMPLATES = [
    "<% if (a > b) { %>",
    "<%= render '<p>' %>",
    "<?php if ($a > 1) { ?>",
    "{{ user.name | upper }}",
    "{{{ raw }}}",
    "{% if a %}",
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", ["html", "markdown", "text"])
def test_templates_stay(name: str, template: str) -> None:
    text = f"{template}\nSee {template} here.\n"
    assert sentences(name, text) == ["|See | here."]
    assert translated(name, text, str.upper) == text.replace("See", "SEE").replace("here", "HERE")
    if name == "html":
        page = f"<a href=\"{template}\" title='{template}'>See</a> <p {template}>this</p>"
        assert sentences(name, page)[0].startswith("|See|")
        assert translated(name, page) == page


def test_what_only_begins_like_a_template_is_text() -> None:
    assert sentences("html", "A {{ b <p>C } {% D</p> <% e") == ["A {{ b", "C } {% D", "<% e"]


PAGE = """+++
title = "not this"
+++
The sum $x^2 + y$ costs $5 and $6.

$$
not = this

$$

::: warning Not this
But this.
:::
One \\$ and $$a b$$ end.
"""


def test_mathematics_and_fences_of_markdown_stay() -> None:
    read = ["The sum | costs $5 and $6.", "But this.", "One | and | end."]
    assert sentences("markdown", PAGE) == read
    changed = translated("markdown", PAGE, lambda text: re.sub(r"[^\W_]", "¤", text))
    for part in ("$x^2 + y$", "$$\nnot = this\n\n$$\n", "::: warning Not this", "$$a b$$"):
        assert part in changed
    assert changed.startswith('+++\ntitle = "not this"\n+++\n¤¤¤ ')


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "It costs 3.50, e.g. here. Mr. Smith left!", 2),
        ("hi", "यह एक वाक्य है। यह दूसरा है।", 2),
        ("zh", "你好。世界！“他说。”再见。", 4),
        ("ja", "今日は。元気ですか。", 2),
        ("de", "Am 3. Mai kam er. Er ging.", 2),
        ("unknown", "One here. Two there.", 2),
    ],
)
def test_sentences_end_by_the_rules_of_the_language(
    language: str, text: str, expected: int
) -> None:
    assert len(sentences("text", text, language)) == expected
    assert translated("text", text, language=language) == text


def test_sentences_are_joined_as_the_script_of_the_target_wants() -> None:
    into = {"One.": "一。", "Two!": "二！", "一。": "One.", "二！": "Two!", "|One.": "|一。"}
    assert translated("text", "One. Two!", into.__getitem__) == "一。二！"
    assert translated("text", "一。二！", into.__getitem__, "zh") == "One. Two!"
    page = translated(
        "html",
        "<b>One.</b> <i>Two!</i>",
        lambda text: re.sub(r"\w+\W", lambda one: into[one[0]], text),
    )
    assert page == "<b>一。</b><i>二！</i>"


def test_lines_break_where_they_did() -> None:
    """A line end comes back by attention, and never twice, at an end or inside of a word."""
    cue = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
    text = cue.format("one two three four\nfive  six")
    model = copying(["one two three four five six"] * 3)

    def say(sentence: str) -> str:
        return next(model.translate([sentence], SearchOptions(beam=1))).text

    assert translated("srt", text, say) == text
    for answer in ("\U000fc000one", "one\U000fc001\U000fc000", "one"):
        assert translated("srt", text, lambda _, a=answer: a) == cue.format("one")  # type: ignore[misc]
    twice = translated("srt", text, lambda _: "one \U000fc000 \U000fc001 two")
    assert twice == cue.format("one\ntwo")
    chinese = cue.format("一二三\n四五")
    assert translated("srt", chinese, language="zh") == chinese
    assert sentences("srt", chinese, "zh") == ["一二三四五"]


def test_a_page_of_many_tags_is_no_recursion() -> None:
    deep = "<b>" * 50_000 + "text" + "</b>" * 50_000
    assert translated("html", deep, str.upper) == deep
    deep = "<div>" * 50_000 + "text <b>more</b>" + "</div>" * 50_000
    assert translated("html", deep, str.upper) == deep.replace("text", "TEXT").replace(
        "more", "MORE"
    )


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "a-" * 150_000, "1." * 150_000, "%" + "0" * 300_000, '"a\\"' * 100_000],
    ids=["word", "dashes", "numbers", "field", "quotes"],
)
def test_markup_that_nearly_stands_there_is_looked_for_once(text: str) -> None:
    """A pattern that looked again from every character would need an hour for these lines."""
    for name in ("text", "json"):
        assert translated(name, text) == text


@pytest.mark.parametrize(
    ("sentence", "between"), [("好。", ""), ("Dr. A. Smith paid 3.50 to Zoë.", " "), ("यह है।", " ")]
)
def test_a_long_text_is_cut_into_the_same_sentences(sentence: str, between: str) -> None:
    """All of it at once would take the library minutes."""
    language = {"好": "zh", "D": "en", "य": "hi"}[sentence[0]]
    text = between.join([sentence] * 20_000)
    (block,) = (b for b in read_blocks([text], FORMATS["html"], language) if b.sentences)
    assert set(block.sentences) == {sentence} and len(block.sentences) == 20_000
    assert block.joined([sentence] * 20_000) == text


@pytest.mark.parametrize("text", ["word " * 20_000, "x" * 100_000, "“字”" * 30_000])
@pytest.mark.parametrize("name", ["text", "html", "json"])
def test_no_sentence_is_long_where_none_ends(name: str, text: str) -> None:
    """The model reads some sentences at a time: with long ones it would need gigabytes."""
    text = f'"{text}"' if name == "json" else text
    found = sentences(name, text)
    assert max(map(len, found)) < 50_000 and translated(name, text) == text
    assert [one.strip() for one in found] == found  # words stay whole


def test_characters_that_stand_for_markup_are_copied() -> None:
    for name, text in {
        "text": "a \U000f0000 b\udcff \U0010fffd",
        "html": "a \U000f0000<b>b</b>",
    }.items():
        assert translated(name, text) == text
    assert translated("html", "a &#xF0000; b") == "a \ufffd b"
    assert translated("json", '"a \\udb80\\udc00 \\ud800 b"') == '"a \U000f0000 \ufffd b"'
    assert translated("html", "<p title='\udcff'>a</p>") == "<p title='\udcff'>a</p>"


@pytest.mark.parametrize("text", ["{'a': 1}", '{"a"\n', '["\\x y", // no', '"a', '{"a": "b",}'])
def test_what_is_not_quite_json_stays_as_it_is(text: str) -> None:
    assert translated("json", text) == text


WORDS = st.sampled_from(
    [
        "One",
        "two",
        "3.5",
        "é",
        "AT&amp;T",
        "&lt;x&gt;",
        "end.",
        "Dr.",
        "so!",
        "你好",
        "“quoted”",
        "(a)",
    ]
)
LINE = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)


@st.composite
def pages(draw: st.DrawFn, depth: int = 3) -> str:
    """HTML with nested elements, inline and not."""
    if depth == 0 or draw(st.booleans()):
        return draw(LINE)
    name = draw(st.sampled_from(["p", "b", "i", "div", "a", "td", "code", "pre", "SPAN", "script"]))
    attributes = draw(st.sampled_from(["", " class='a > b'", ' href="x" title=y', "\n id=z"]))
    inside = (
        draw(LINE)
        if name in ("code", "pre", "script")
        else "".join(draw(st.lists(pages(depth - 1), max_size=3)))
    )
    between = draw(st.sampled_from(["", " ", "\n  ", "<br>", "<!-- One. Two. -->", "<img src=x>"]))
    return f"{draw(LINE)} <{name}{attributes}>{inside}</{name}>{between}{draw(LINE)}"


@given(pages())
@settings(deadline=None, max_examples=150)
def test_any_page_comes_back(page: str) -> None:
    assert translated("html", page) == page


@given(st.text(alphabet="<>/!-\"'= abip&;.\n\U000f0000\ufeff", max_size=60))
@settings(deadline=None, max_examples=300)
def test_anything_is_a_page(page: str) -> None:
    assert html.unescape(translated("html", page)) == html.unescape(page)


@given(
    st.lists(
        st.sampled_from(
            [
                "# A title",
                "A line of text.",
                "wraps `a  b` here",
                "> quoted *text*",
                "> more",
                "- item",
                "  - [x] **done** it",
                "1. one",
                "```",
                "~~~",
                "    four",
                "\ttab",
                "| a | b |",
                "|---|---|",
                "---",
                "===",
                "",
                "",
                "<div>",
                "</div>",
                "<!-- a",
                "b -->",
                "[r]: http://a.b",
                "[^1]: note",
                "a [link](b(c) 'd') and ![p](q) [x][y] [z]",
                "2*3*4 snake_case __a__ *",
                "* ",
                "\\* escaped \\_",
                "hard end  ",
                "Two. Sentences.",
                "a | b",
                "`open",
                "你好。世界！",
            ]
        ),
        max_size=14,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(deadline=None, max_examples=300)
def test_any_markdown_comes_back(lines: list[str], end: str) -> None:
    text = end.join(lines)
    assert translated("markdown", text) == text


@given(st.lists(st.tuples(st.integers(0, 9), st.lists(LINE, max_size=3)), max_size=5))
@settings(deadline=None)
def test_any_subtitles_come_back(cues: list[tuple[int, list[str]]]) -> None:
    times = "00:00:01,000 --> 00:00:02,000"
    text = "".join(
        f"{n}\r\n{times}\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
        for n, lines in cues
    )
    assert translated("srt", text) == text


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
@settings(deadline=None, max_examples=200)
def test_any_json_comes_back(value: object, indent: int | None, escapes: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escapes)
    if not re.search("[\U000f0000-\U0010ffff]", json.dumps(value, ensure_ascii=False)):
        assert json.loads(translated("json", text)) == json.loads(text)
    changed = json.loads(translated("json", text, lambda text: "x"))
    assert shape(changed) == shape(json.loads(text))


def shape(value: object) -> object:
    """A value with no letters in its strings."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return "" if isinstance(value, str) else value
