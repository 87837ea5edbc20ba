"""One model of two target languages: a column of tags names the language to write."""

from __future__ import annotations

import io
import json
import shutil
import sys
from itertools import product
from pathlib import Path

import pytest

from dragoman.api import load
from dragoman.cli import main
from dragoman.errors import DataError, OptionError
from dragoman.export.bundle import export
from dragoman.search.aids import Aids, Memory
from served import process, save_tiny_folder

pytestmark = pytest.mark.slow

STEMS = ["".join(letters) for letters in product("bdgk", "aeiou", "lnrst")]
LINES = STEMS[:40:3]
PAGE = "<p>{} <b>{}</b></p>\n".format(*STEMS[:2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that ends its words otherwise in each language."""
    place = tmp_path_factory.mktemp("languages")
    rows = [(stem, code, stem + end) for stem in STEMS for code, end in (("en", "ed"), ("nl", "o"))]
    (place / "pairs.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    read = ["--columns", "1", "3", "--features-column", "2"]
    small = ["--hidden", "24", "--embedding", "8", "--steps", "250", "--validate-every", "250"]
    asked = ["train", str(place / "pairs.tsv"), "--out", str(place / "m"), *read, *small]
    assert (
        main([*asked, "--precision", "fp32", "--learning-rate", "0.01", "--batch-tokens", "200"])
        == 0
    )
    return place / "m"


def said(folder: Path, code: str, lines: list[str] = LINES) -> list[str]:
    """The outputs in a language, whose tag every line has."""
    return [answer.text for answer in load(folder).translate([f"{one}\t{code}" for one in lines])]


def translated(
    folder: Path, text: str, *options: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    out = io.StringIO()
    out.buffer = io.BytesIO()  # type: ignore[misc]  # where documents are written
    monkeypatch.setattr(sys, "stdout", out)
    code = main(["translate", str(folder), *options])
    return code, out.getvalue() + out.buffer.getvalue().decode()


def test_the_target_tag_of_python(folder: Path, tmp_path: Path) -> None:
    english, dutch = said(folder, "en"), said(folder, "nl")
    assert english != dutch
    export(folder, tmp_path / "bundle")
    for model in (load(folder), load(tmp_path / "bundle")):
        found = model.translate([*LINES, f"{STEMS[0]}\ten", "", " "], target_tag="nl")
        assert [answer.text for answer in found] == [*dutch, *said(folder, "en", STEMS[:1]), "", ""]
        assert found[0].source == LINES[0] and found[0].source_tokens[0] == "nl"
        with pytest.raises(DataError, match=r"the tag 'ne' .* not one that training saw"):
            model.translate(LINES, target_tag="ne")
        with pytest.raises(DataError, match="has 0 columns of features, 1 expected"):
            model.translate(LINES)
    explained = load(folder).explain(LINES[0], aids=Aids(target_tag="nl")).answer
    assert explained is not None and explained.text == dutch[0]
    other = load(save_tiny_folder(tmp_path / "de-en"))
    with pytest.raises(OptionError, match="this model reads no features"):
        other.translate(["a cat"], target_tag="nl")


def test_an_unknown_target_tag_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(f"{line}\n" for line in LINES)
    found = translated(folder, text, "--target-tag", "ne", monkeypatch=monkeypatch)
    assert found == (2, "")
    said = "dragoman translate: the tag 'ne' of 'ne' is not one that training saw (choices: en, nl)"
    assert capsys.readouterr().err.splitlines() == [said]
    with pytest.raises(DataError, match="the tag 'ne' of 'nl ne' is not one that training saw"):
        load(folder).translate([], target_tag="nl ne")


def test_a_memory_answers_lines_in_their_language_alone(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = STEMS[0]
    (tmp_path / "nl.tsv").write_text(f"{line}\tHALLO\n")
    (tmp_path / "all.tsv").write_text(f"{line}\tnl\tHALLO\n{line}\ten\tHELLO\n")
    (english,), (other,) = said(folder, "en", [line]), said(folder, "nl", STEMS[1:2])
    dutch = ("--target-tag", "nl", "--memory", str(tmp_path / "nl.tsv"))
    text = f"{line}\n{line}\ten\n{STEMS[1]}\n"
    found = translated(folder, text, *dutch, monkeypatch=monkeypatch)
    assert found == (0, f"HALLO\n{english}\n{other}\n")
    every = ("--memory", str(tmp_path / "all.tsv"))
    text = f"{line}\tnl\n{line}\ten\n{STEMS[1]}\tnl\n"
    found = translated(folder, text, *every, monkeypatch=monkeypatch)
    assert found == (0, f"HALLO\nHELLO\n{other}\n")
    assert main(["explain", str(folder), line, *dutch]) == 2
    assert "the memory answers this sentence" in capsys.readouterr().err
    model, aids = load(folder), Aids(Memory([(line, "HALLO")]))
    answers = model.translate([line, STEMS[1]], aids=aids, target_tag="nl")
    assert [answer.text for answer in answers] == ["HALLO", other]
    for verb in (["translate", str(folder)], ["explain", str(folder), line]):
        assert main([*verb, "--target-tag", "nl", *every]) == 2
        assert "all.tsv: column 2: its answers are tags (leave out" in capsys.readouterr().err


def test_explain_takes_what_translate_takes(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "terms.tsv").write_text(f"{STEMS[0]}\tgil, gol\nnl\tkos\n")
    beside = ("--target-tag", "nl", "--terms", str(tmp_path / "terms.tsv"), "--keep", "usual")
    line = f"{STEMS[0]} {{0}}"
    code, text = translated(folder, f"{line}\n", *beside, monkeypatch=monkeypatch)
    assert code == 0 and ("gil" in text or "gol" in text) and "{0}" in text and "kos" not in text
    monkeypatch.undo()
    assert main(["explain", str(folder), line, *beside, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"]["text"] == text.strip()
    assert [one["text"] for one in found["examples"][0]["source"][:-1]] == ["nl", *STEMS[0]]


def test_a_document_keeps_its_tags_in_each_language(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentencex", reason="needs dragoman[documents]")
    texts = []
    for tag in ("en", "nl"):
        options = ("--format", "html", "--target-tag", tag)
        code, text = translated(folder, PAGE, *options, monkeypatch=monkeypatch)
        assert code == 0 and text.startswith("<p>") and text.endswith("</p>\n")
        assert text.count("<b>") == text.count("</b>") == 1
        texts.append(text.replace("<b>", "").replace("</b>", ""))
        (whole,) = said(folder, tag, [" ".join(STEMS[:2])])
        assert texts[-1] == f"<p>{whole}</p>\n"
    assert texts[0] != texts[1]


def test_a_server_writes_the_language_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    english, dutch = said(folder, "en"), said(folder, "nl")
    with process(folder) as server:
        client = server.client
        listed = {one["code"]: one["targets"] for one in client.get("/languages").json}
        assert listed == {"source": ["en", "nl"], "en": [], "nl": []}
        for source in ("source", "auto"):
            for code, right in (("en", english), ("nl", dutch)):
                answer = client.translate(LINES, source=source, target=code, alignment=True).json
                assert answer["translatedText"] == right
                assert answer["alignment"][0][0]["source"][0] == code
        pytest.importorskip("sentencex", reason="needs dragoman[documents]")
        (whole,) = said(folder, "nl", [" ".join(STEMS[:2])])
        asked = {"source": "source", "target": "nl", "format": "html"}
        page = client.translate(PAGE, **asked).json["translatedText"]
        assert page.replace("<b>", "").replace("</b>", "") == f"<p>{whole}</p>\n"
        explained = client.post("/explain", {**asked, "q": LINES[0]}).json
        assert explained["answer"]["text"] == dutch[0]
        refused = client.translate(LINES, source="source", target="fr")
        assert (refused.status, refused.json) == (400, {"error": "fr is not supported"})


def test_each_direction_has_its_own_memory(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "nl.tsv").write_text(f"{LINES[0]}\tHALLO\n")
    shutil.copytree(folder, tmp_path / "m")
    again = [str(tmp_path / "m"), "--languages", "de:en", "de:nl"]
    with process(
        tmp_path / "m", *again, "--memory", "-", "--memory", str(tmp_path / "nl.tsv")
    ) as server:
        client = server.client
        assert client.get("/languages").json[0]["targets"] == ["en", "nl"]
        for code, right in (("en", said(folder, "en")[0]), ("nl", "HALLO")):
            assert client.translate(LINES[0], target=code).json["translatedText"] == right


def test_a_language_that_the_model_does_not_write_is_not_served(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(folder), "--languages", "de:fr", "--port", "0"]) == 2
    assert f"{folder} does not write fr (choices: en, nl)" in capsys.readouterr().err
