"""What clients ask for and what they get, over HTTP on the loopback."""

from __future__ import annotations

import base64
import json
import logging
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from dragoman.config.options import SearchOptions, SideOptions
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vocabulary import train_tokenizer
from dragoman.errors import OptionError
from dragoman.search.request import Request
from dragoman.search.translator import Translator
from dragoman.serving.languages import Models, language_codes
from served import LINE, SURE, Running, served, serving
from tiny_translator import translator

libretranslatepy = pytest.importorskip("libretranslatepy", reason="needs libretranslatepy")

GERMAN = ["der Hund liegt auf dem Tisch .", "die Frau und der Mann .", "ein Haus ."]
FRENCH = ["le chien est sur la table .", "la femme et un homme .", "une maison ."]


def tokens(lines: list[str]) -> Tokenizer:
    return train_tokenizer(lines * 3, replace(SideOptions(), level="word", vocabulary=60))


def reading(lines: list[str]) -> Translator:
    """A translator whose source vocabulary is that of ``lines``."""
    model = translator("word")
    return Translator(model.scorer, [tokens(lines)], model.target, 30)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    others = [
        served("fr", model=reading(FRENCH), confidence=None),
        served("en", "fr", confidence=None),
    ]
    with serving(served(model=reading(GERMAN)), *others, max_characters=5000) as running:
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    with serving(served(card="# A card")) as running:
        yield running


def text(line: str, **options: object) -> str:
    chosen = replace(SearchOptions(), **options)  # type: ignore[arg-type]
    return next(translator("word").translate([line], chosen)).text


def test_json_a_form_and_a_list_give_what_the_model_says(plain: Running) -> None:
    answer = plain.translate()
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    best = next(translator("word").translate([LINE], SearchOptions()))
    assert answer.json == {"translatedText": best.text, "confidence": round(SURE.of(best), 4)}
    fields = {"q": LINE, "source": "de", "target": "en"}
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert plain.post("/translate", urlencode(fields).encode(), **form).json == answer.json
    many = plain.translate([LINE, "dogs", "", "a cat\n\nof cats"]).json["translatedText"]
    assert many == [best.text, text("dogs"), "", f"{text('a cat')}\n\n{text('of cats')}"]
    assert (
        plain.translate(f"{LINE}\r\ndogs").json["translatedText"] == f"{best.text}\n{text('dogs')}"
    )
    nulls = {"alternatives": None, "api_key": None, "format": "text", "other": 1}
    assert plain.translate(LINE, **nulls).json == answer.json


def test_a_real_client_translates_detects_and_lists(server: Running) -> None:
    client = libretranslatepy.LibreTranslateAPI(server.url)
    assert client.translate(LINE, "en", "fr") == text(LINE)
    assert (
        client.translate("l'été est « là » & là\n", "en", "fr")
        == text("l'été est « là » & là") + "\n"
    )
    assert client.detect(GERMAN[0])[0]["language"] == "de"
    listed = {one["code"]: one["targets"] for one in client.languages()}
    assert listed == {"de": ["en"], "fr": ["en"], "en": ["fr"]}
    assert all(one["name"] for one in client.languages())


def test_the_source_language_is_found(server: Running) -> None:
    for lines, code in ((GERMAN, "de"), (FRENCH, "fr")):
        found = server.post("/detect", {"q": lines[0]}).json
        assert found[0]["language"] == code and found[0]["confidence"] > 90
        assert {one["language"] for one in found} == {"de", "fr", "en"}
        assert sum(one["confidence"] for one in found) == pytest.approx(100, abs=0.2)
    for lines, code in ((GERMAN, "de"), (FRENCH, "fr")):
        asked = {"q": lines[1:], "source": "auto", "target": "en"}
        answer = server.post("/translate", asked).json
        assert [one["language"] for one in answer["detectedLanguage"]] == [code, code]
        alone = server.post("/translate", {**asked, "source": code}).json
        assert answer["translatedText"] == alone["translatedText"]
        one = server.post("/translate", {**asked, "q": lines[2]}).json
        assert one["detectedLanguage"]["language"] == code
    found = server.post("/translate", {**asked, "target": "fr"}).json["detectedLanguage"][0]
    assert found == {"language": "en", "confidence": 100.0}  # all that is translated to French


def test_the_texts_of_a_request_have_one_language(server: Running) -> None:
    asked = {"q": [GERMAN[1], *FRENCH], "source": "auto", "target": "en"}
    answer = server.post("/translate", asked).json
    assert [one["language"] for one in answer["detectedLanguage"]] == ["fr"] * 4
    alone = server.post("/translate", {**asked, "source": "fr"}).json
    assert answer["translatedText"] == alone["translatedText"]


@pytest.mark.parametrize("path", ["/translate", "/detect"])
def test_a_form_in_parts_is_read_as_json(plain: Running, path: str) -> None:
    fields = [("q", LINE), ("q", "dogs"), ("source", "de"), ("target", "en"), ("never", "cat")]
    fields = fields if path == "/translate" else fields[:1]
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(*field) for field in fields) + "--b--\r\n"
    asked = {"q": LINE} if path == "/detect" else {**dict(fields), "q": [LINE, "dogs"]}
    asked = {**asked, "never": ["cat"]} if path == "/translate" else asked
    for kind in ("multipart/form-data", "Multipart/Form-Data"):
        answer = plain.post(path, body.encode(), **{"Content-Type": f"{kind}; boundary=b"})
        assert answer.status == 200 and answer.json == plain.post(path, asked).json


def test_alternatives_are_the_other_hypotheses(plain: Running) -> None:
    options = replace(SearchOptions(), n_best=5)
    texts = next(translator("word").translate([LINE], options)).texts
    answer = plain.translate(alternatives=2).json
    assert [answer["translatedText"], *answer["alternatives"]] == list(texts[:3])
    two = plain.translate(f"{LINE}\ndogs", alternatives=2).json
    others = next(translator("word").translate(["dogs"], options)).texts
    assert two["alternatives"] == [
        f"{a}\n{b}" for a, b in zip(texts[1:3], others[1:3], strict=True)
    ]
    assert plain.translate([LINE], alternatives=1).json["alternatives"] == [[texts[1]]]


def test_constraints_hold(plain: Running) -> None:
    answer = plain.translate(prefix="dogs ", must=["mat"], never=["the", "cat"]).json
    said = answer["translatedText"].split()
    assert said[0] == "dogs" and "mat" in said and not {"the", "cat"} & {*said}
    request = Request(LINE, "dogs ", ("mat",), ("the", "cat"))
    best = next(translator("word").translate([request], SearchOptions()))
    assert answer["translatedText"] == best.text and answer["unmet"] == []
    form = urlencode(
        {"q": LINE, "source": "de", "target": "en", "must": ["mat", "dog"]}, doseq=True
    )
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    said = plain.post("/translate", form.encode(), **kind).json["translatedText"].split()
    assert "mat" in said and "dog" in said


def test_an_unsure_translation_is_left_out(plain: Running) -> None:
    sure = plain.translate().json["confidence"]
    fine = plain.translate(min_confidence=sure - 0.01).json
    assert fine["translatedText"] and fine["unsure"] is False
    answer = plain.translate(min_confidence=min(1.0, sure + 0.01), alternatives=2).json
    assert answer == {"translatedText": "", "alternatives": [], "confidence": sure, "unsure": True}


def test_alignment_gives_words_probabilities_and_attention(plain: Running) -> None:
    line = "the zebra , near"
    (found,) = plain.translate(line, alignment=True).json["alignment"]
    best = next(translator("word").translate([line], SearchOptions(), attention=True))
    assert [word.strip() for word in found["source"]] == ["the", "zebra", ",", "near"]
    assert len(found["target"]) == len(best.target_tokens)
    assert found["log_probs"] == pytest.approx(list(best.hypotheses[0].steps), abs=1e-4)
    weights = best.hypotheses[0].weights
    assert weights is not None and len(found["weights"]) == len(weights)
    assert found["weights"][0] == pytest.approx(weights[0].tolist(), abs=1e-3)
    blank = plain.translate("\n", alignment=True).json["alignment"]
    assert blank == [{"source": [], "target": [], "log_probs": [], "weights": None}] * 2


def test_a_file_is_translated_line_by_line(plain: Running) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="source"\r\n\r\nde\r\n'
        b'--b\r\nContent-Disposition: form-data; name="target"\r\n\r\nen\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="../../x.TXT"\r\n\r\n'
        b"\xef\xbb\xbfthe cat\r\n\r\ndogs\n\r\n--b--\r\n"
    )
    answer = plain.post(
        "/translate_file", body, **{"Content-Type": "multipart/form-data; boundary=b"}
    )
    head, _, data = answer.json["translatedFileUrl"].partition(",")
    assert head == "data:text/plain;charset=utf-8;base64"
    assert base64.b64decode(data).decode() == f"{text('the cat')}\n\n{text('dogs')}\n"


def test_facts_about_the_server(plain: Running) -> None:
    assert plain.get("/health").json == {"status": "ok"}
    settings = plain.get("/frontend/settings").json
    assert settings["language"]["source"]["code"] == "de" and settings["charLimit"] == 50_000
    assert settings["keyRequired"] is False and ".txt" in settings["supportedFilesFormat"]
    (model,) = plain.get("/models").json
    assert model["card"] == "# A card" and model["confidence"] is True
    assert plain.post("/explain", {"q": "a cat", "source": "de", "target": "en"}).json == {
        "line": "a cat"
    }
    assert "/translate" in plain.get("/openapi.json").json["paths"]


def test_head_gives_the_headers_of_get(plain: Running) -> None:
    for path in ("/", "/health", "/page/main.js"):
        answer = plain.send(urllib.request.Request(plain.url + path, method="HEAD"))
        same = plain.get(path).headers
        assert answer.status == 200 and answer.text == ""
        assert answer.headers["content-length"] == same["content-length"]


def test_metrics_count(plain: Running) -> None:
    def numbers() -> dict[str, float]:
        lines = plain.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {
            name.split(",process")[0].split("{process")[0]: float(value) for name, value in pairs
        }

    before = numbers()
    plain.translate(["a", "b\nc"])
    plain.translate(target="xx")
    after = numbers()
    change = {name: value - before.get(name, 0.0) for name, value in after.items()}
    assert change['dragoman_requests_total{route="/translate",status="200"'] == 1
    assert change['dragoman_requests_total{route="/translate",status="400"'] == 1
    assert change['dragoman_lines_total{source="de",target="en"'] == 3
    assert change['dragoman_characters_total{source="de",target="en"'] == 3
    assert change['dragoman_request_seconds_count{route="/translate"'] == 2
    assert after['dragoman_waiting{source="de",target="en"'] == 0
    kinds = [line for line in plain.get("/metrics").text.splitlines() if line.startswith("# TYPE")]
    assert "# TYPE dragoman_request_seconds histogram" in kinds


def test_no_text_is_logged_unless_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dragoman.serving")
    for asked in (False, True):
        caplog.clear()
        with serving(log_text=asked) as running:
            running.translate("the secret cat")
            running.get("/secret?q=secret")
        lines = [
            record.getMessage() for record in caplog.records if record.name == "dragoman.serving"
        ]
        assert ("secret" in "".join(lines)) == asked
        assert any(line.startswith("POST /translate 200 ") for line in lines)
        assert any(line.startswith("GET other 404 ") for line in lines)


def test_keys_are_asked_for(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\n\n sécond \n", "utf-8")
    with serving(api_keys=keys) as running:
        refusals = [
            running.translate(),
            running.translate(api_key="other"),
            running.translate(api_key=""),
        ]
        assert [r.status for r in refusals] == [403] * 3
        assert refusals[0].json == {"error": "An API key is needed"}
        assert refusals[1].json == {"error": "Invalid API key"}
        assert running.translate(api_key="sécond").status == 200
        fields = {"q": LINE, "source": "de", "target": "en"}
        assert running.post("/translate", fields, Authorization="Bearer first").status == 200
        assert running.post("/translate", fields, Authorization="Basic first").status == 403
        for path in ("/detect", "/explain"):
            assert running.post(path, fields).status == 403
        assert running.get("/languages").status == 200
        client = libretranslatepy.LibreTranslateAPI(running.url, "first")
        assert client.translate(LINE, "de", "en")
    keys.write_text("\n")
    with pytest.raises(OptionError, match="holds no key"), serving(api_keys=keys):
        pass
    with pytest.raises(OptionError, match="--api-keys: cannot be read"), serving(api_keys=tmp_path):
        pass


def test_other_origins_read_answers_only_when_allowed(plain: Running) -> None:
    origin = {"Origin": "https://page.example"}
    assert "access-control-allow-origin" not in plain.get("/languages", **origin).headers
    with serving(cors=("https://page.example",)) as running:
        allowed = "access-control-allow-origin"
        assert running.get("/languages", **origin).headers[allowed] == "https://page.example"
        assert allowed not in running.get("/languages", Origin="https://evil.example").headers


def test_languages_come_from_the_option_or_the_name() -> None:
    names = ["fra-eng", "w1-de-en", "dates", "m_pt-br.v2"]
    found = [("fra", "eng"), ("de", "en"), ("source", "target"), ("pt", "br")]
    assert list(language_codes((), names)) == found
    assert list(language_codes(("fr:en", "zh-Hant:en-small"), ["a", "b"])) == [
        ("fr", "en"),
        ("zh-Hant", "en-small"),
    ]
    for wrong in ("fr-en", "fr:", "auto:en", "fr:en:de", "fr:../x", "f:en"):
        with pytest.raises(OptionError, match="is not a pair of language codes .such as fr:en"):
            list(language_codes((wrong,), ["a"]))
    with pytest.raises(OptionError, match="1 given for 2 models"):
        list(language_codes(("fr:en",), ["a", "b"]))
    with pytest.raises(OptionError, match="de-en and de-en both translate de to en"):
        Models([served(), served()])


def test_every_answer_is_json_without_infinity(plain: Running) -> None:
    answer = plain.translate("dogs " * 200, alignment=True)  # in pieces: no attention
    assert answer.json["alignment"][0]["weights"] is None
    assert json.loads(answer.text, parse_constant=pytest.fail)
