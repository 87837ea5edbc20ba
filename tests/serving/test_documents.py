"""Documents over HTTP."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from dragoman.search.aids import Aids, Memory
from dragoman.search.keep import pattern_of
from served import Running, served, serving
from tiny_translator import translator

pytest.importorskip("sentencex", reason="needs dragoman[documents]")

PAGE = '<p>the <b>cat</b> sat. dogs <i>sit!</i></p><pre>a cat</pre><a href="b">a mat</a> &lt;'


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving() as running:
        yield running


def test_html_keeps_its_tags(server: Running) -> None:
    found = server.translate(PAGE, format="html").json
    text = found["translatedText"]
    assert sorted(re.findall("<[^>]*>", text)) == sorted(re.findall("<[^>]*>", PAGE))
    assert "<pre>a cat</pre>" in text and text != PAGE and "confidence" in found
    several = server.translate([PAGE, "<p>", "a cat"], format="html", alternatives=1).json
    assert several["translatedText"][:2] == [text, "<p>"]
    assert [len(texts) for texts in several["alternatives"]] == [1, 0, 1]


def test_what_the_server_keeps_is_kept_in_documents_too() -> None:
    aids = Aids(Memory([("the cat", "DIE KATZE")]), keep=pattern_of(["dogs"]))
    model = translator("word").with_aids(aids)
    with serving(served(model=model)) as running:
        text = running.translate("<p><b>the cat</b>. a dogs sit</p>", format="html").json
        assert text["translatedText"].startswith("<p><b>") and "dogs" in text["translatedText"]
        text = running.translate("<p><b>the cat</b></p>", format="html").json
        assert text["translatedText"] == "<p><b>DIE KATZE</b></p>"


def test_a_model_without_attention_takes_lines_only() -> None:
    with serving(served(model=translator("word", attention="none"))) as running:
        answer = running.translate("<p>the cat</p>", format="html")
        assert answer.status == 400 and "this model has no attention" in answer.json["error"]
        assert running.translate("the cat").status == 200


def test_other_formats(server: Running) -> None:
    answer = server.translate('{"a": "the cat"}', format="json").json["translatedText"]
    assert answer.startswith('{"a": "') and answer.endswith('"}')
    lines = server.translate("the cat\n\ndogs", format="text").json["translatedText"]
    assert lines.count("\n") == 2


def test_alignments_are_those_of_the_sentences(server: Running) -> None:
    answer = server.translate("<p>The <b>cat</b> sat. Dogs sit!</p>", format="html", alignment=True)
    first, second = answer.json["alignment"]
    assert first["source"][:2] == ["The", " cat"] and second["source"][0] == "Dogs"


@pytest.mark.parametrize("ending", ["html", "md", "srt", "json"])
def test_files(server: Running, ending: str) -> None:
    text = {"srt": "1\n00:00:01,000 --> 00:00:02,000\nthe cat\n", "json": '["the cat"]'}
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
        for name, more, value in (
            ("source", "", "de"),
            ("target", "", "en"),
            ("file", f'; filename="x.{ending.upper()}"', text.get(ending, "the cat")),
        )
    )
    answer = server.post(
        "/translate_file",
        f"{body}--b--\r\n".encode(),
        **{"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status == 200, answer
    found = base64.b64decode(answer.json["translatedFileUrl"].partition(",")[2]).decode()
    assert found and found != text.get(ending)
    assert found[:2] == text.get(ending, found)[:2]
