"""The page in a real Chromium, used as a person would: typing, pointing, with keys alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dragoman.config.options import SearchOptions, SideOptions
from dragoman.data.vocabulary import train_tokenizer
from dragoman.search.translator import Translator
from served import LINE, SURE, Running, served, serving
from tiny_translator import translator

pytestmark = pytest.mark.slow

CARD = """---
license: none
---

# The tiny model

It is <b>not</b> **good**, says `dragoman evaluate` here: 1 &lt; 2.

    first line

    second line

| score | value |
| --- | --- |
| bleu | 3 \\| 4 |

- one
- two

<!-- hidden -->
"""
ARABIC = ["قطة على حصيرة .", "كلب قرب الباب .", "قطط وكلاب , هنا !"]


def right_to_left() -> Translator:
    """A translator that reads and writes Arabic words."""
    side = replace(SideOptions(), level="word", vocabulary=len(translator("word").target))
    tokens = train_tokenizer(ARABIC * 3, side)
    return Translator(translator("word").scorer, [tokens], tokens, 30)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    models = [
        served(card=CARD),
        served("ar", "he", model=right_to_left(), confidence=None),
        served("en", "de", confidence=None),
    ]
    with serving(*models) as running:
        yield running


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Any]:
    with opened(browser, server) as page:
        yield page


@contextmanager
def opened(browser: Any, server: Running, errors: str = "", **view: Any) -> Iterator[Any]:
    """The page. At the end only ``errors`` may be on its console, and no other host was asked."""
    view.setdefault("viewport", {"width": 1200, "height": 900})
    context = browser.new_context(**view)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    page.wait_for_selector("#direction option", state="attached")
    yield page
    assert [text for text in said if not errors or not re.search(errors, text)] == []
    assert asked and all(url.startswith(f"{server.url}/") for url in asked)
    context.close()


def type_text(page: Any, text: str = LINE) -> None:
    page.locator("#source").fill(text)
    page.wait_for_function(
        "count => document.querySelectorAll('#lines .line').length === count",
        arg=len([line for line in text.split("\n") if line.strip()]),
    )


def words(page: Any, row: int) -> Any:
    return page.locator("#lines .words").nth(row).locator(".token")


def alert(page: Any, text: str) -> None:
    """Wait until the page says this, or nothing."""
    pattern = re.compile(text or "^$")
    page.wait_for_function(
        "source => new RegExp(source).test(document.getElementById('problem').textContent)",
        arg=pattern.pattern,
    )


def test_typing_shows_a_translation_and_its_alternatives(page: Any) -> None:
    options = replace(SearchOptions(), n_best=5)
    found = next(translator("word").translate([LINE], options))
    assert page.title() == "Dragoman"
    page.locator("#source").press_sequentially(LINE, delay=10)
    page.locator("#others li").filter(has_text=found.texts[1]).first.wait_for()
    assert page.locator("#translation").inner_text() == found.text
    assert page.locator("#others li").all_inner_texts() == list(found.texts[1:4])
    confidence = page.locator(".confidence")
    assert confidence.inner_text() == f"confidence {100 * SURE.of(found):.0f} %"
    assert {"sure", "fair", "unsure"} & {*confidence.get_attribute("class").split()}
    assert page.locator("#translation").get_attribute("lang") == "en"
    page.locator("#source").fill("")
    page.wait_for_selector("#alignment", state="hidden")
    assert page.locator("#translation").inner_text() == ""
    assert page.locator("#facts").inner_text() == ""


def test_quick_typing_does_not_ask_for_every_letter(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#source").press_sequentially("the cat sat", delay=20)
    page.wait_for_selector("#lines .token")
    assert 1 <= len(asked) <= 3


def test_pointing_at_a_word_shades_those_it_is_linked_to(page: Any) -> None:
    type_text(page, "the zebra sat")
    best = next(translator("word").translate(["the zebra sat"], SearchOptions(), attention=True))
    weights = best.hypotheses[0].weights
    assert weights is not None
    assert [t.strip() for t in words(page, 0).all_inner_texts()] == ["the", "zebra", "sat"]

    def shades(row: int) -> list[float]:
        read = "nodes => nodes.map(n => parseFloat(n.style.getPropertyValue('--weight') || 0))"
        return list(words(page, row).evaluate_all(read))

    words(page, 1).nth(0).hover()
    assert shades(0) == pytest.approx(weights[0, :3].tolist(), abs=1e-3)
    words(page, 0).nth(1).hover()
    rows = words(page, 1).count()
    assert shades(1) == pytest.approx(weights[:rows, 1].tolist(), abs=1e-3)
    page.mouse.move(0, 0)
    assert shades(0) == [0, 0, 0] and shades(1) == [0] * rows
    page.locator("#map-details summary").click()
    cells = page.locator(".map td[title]")
    assert cells.count() == rows * 3
    title = cells.nth(0).get_attribute("title")
    assert re.fullmatch(rf"\S+ from the: {100 * weights[0, 0]:.0f} %", title)


def test_keys_alone_reach_everything(page: Any) -> None:
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id"
    page.wait_for_function("document.activeElement.id === 'source'")  # where one begins
    page.keyboard.type("the cat sat")
    page.wait_for_selector("#lines .token")
    page.keyboard.press("Tab")
    assert page.evaluate(focused).startswith("the")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused).startswith("cat")
    assert words(page, 0).nth(1).get_attribute("class").split() == ["token", "on"]
    page.keyboard.press("End")
    assert page.evaluate(focused).startswith("sat")
    page.keyboard.press("Tab")
    assert "probable" in page.evaluate(focused)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#map-details").get_attribute("open") is not None
    for _ in range(8):
        page.keyboard.press("Shift+Tab")
        if page.evaluate(focused) == "show-card":
            break
    page.keyboard.press("Enter")
    assert page.locator("#card").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#card").is_hidden()
    assert page.evaluate(focused) == "show-card"


def test_the_card_is_shown_as_text(page: Any) -> None:
    page.locator("#show-card").click()
    card = page.locator("#card")
    assert page.get_by_role("heading", name="The tiny model").is_visible()
    assert "It is <b>not</b> good, says dragoman evaluate here: 1 < 2." in card.inner_text()
    assert card.locator("pre").all_inner_texts() == ["first line\n\nsecond line"]
    assert card.locator("td").all_inner_texts() == ["bleu", "3 | 4"]
    assert card.locator("li").all_inner_texts() == ["one", "two"]
    assert "license" not in card.inner_text() and "hidden" not in card.inner_text()
    page.get_by_role("button", name="Close").click()
    assert card.is_hidden()


def test_models_are_switched_and_swapped(page: Any) -> None:
    names = page.locator("#direction option").all_inner_texts()
    assert names == ["German → English", "Arabic → Hebrew", "English → German"]
    type_text(page)
    before = page.locator("#translation").inner_text()
    page.get_by_role("button", name="Swap").click()
    assert page.locator("#direction").input_value() == "en:de"
    assert page.locator("#source").input_value() == before
    page.wait_for_function("document.getElementById('translation').lang === 'de'")
    page.locator("#direction").select_option("ar:he")
    assert page.locator("#swap").is_hidden()
    page.locator("#show-card").click()
    assert "This model has no card." in page.locator("#card").inner_text()


def test_right_to_left(page: Any) -> None:
    page.locator("#direction").select_option("ar:he")
    type_text(page, ARABIC[0])
    assert page.locator("#lines .words").first.get_attribute("dir") == "rtl"
    first, second = (words(page, 0).nth(i).bounding_box()["x"] for i in (0, 1))
    assert first > second
    words(page, 0).nth(0).focus()
    page.keyboard.press("ArrowLeft")
    assert words(page, 0).nth(1).evaluate("node => node === document.activeElement")
    assert page.locator("#source").evaluate("node => getComputedStyle(node).direction") == "rtl"
    assert page.locator(".confidence").count() == 0


def test_errors_are_said_and_overcome(browser: Any, server: Running) -> None:
    with opened(browser, server, errors="status of (429|400)|ERR_FAILED") as page:
        type_text(page)
        refusal = '{"error": "Slowdown: wait"}'
        page.route(
            "**/translate",
            lambda route: route.fulfill(status=429, headers={"Retry-After": "0.5"}, body=refusal),
            times=1,
        )
        page.locator("#source").fill("dogs sit")
        alert(page, "Slowdown: wait")
        assert "old" in page.locator("#translation").get_attribute("class")
        alert(page, "")  # the page has tried again
        assert "old" not in page.locator("#translation").get_attribute("class")
        page.route("**/translate", lambda route: route.abort(), times=1)
        page.locator("#source").fill("a cat")
        alert(page, "The server does not answer.")
        page.locator("#source").fill("x" * 60_000)
        alert(page, "exceeds text limit")
        page.locator("#source").fill("a cat")
        alert(page, "")


def test_steps_are_shown(browser: Any) -> None:
    def token(text: str) -> dict[str, str]:
        return {"text": text, "stands_for": ""}

    step = {
        "real": True,
        "expected": token("</s>"),
        "candidates": [[token("▁a"), 0.75], [token("▁b"), 0.25]],
    }
    steps = json.dumps({"examples": [{"steps": [step]}]})
    model = replace(served(), explain=lambda line: steps)
    with serving(model) as running, opened(browser, running) as page:
        type_text(page)
        page.locator("#steps-details summary").click()
        page.locator("#steps td").nth(2).wait_for()
        assert page.locator("#steps td").all_inner_texts() == ["1", "(end)", "a 75 %, b 25 %"]


def test_an_api_key_is_asked_for(browser: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sesame")
    with (
        serving(served(), api_keys=keys) as running,
        opened(browser, running, errors="status of 403") as page,
    ):
        page.locator("#source").fill(LINE)
        alert(page, "An API key is needed")
        page.get_by_label("API key").fill("sesame")
        assert page.locator("#lines .token").count() == 0, "nothing is shown without a key"
        page.keyboard.press("Tab")
        page.wait_for_selector("#lines .token")
        assert page.locator("#lines .token").count() > 0


def test_the_language_may_be_left_to_the_server(browser: Any) -> None:
    models = served(), served("fr", confidence=None)
    with serving(*models) as running, opened(browser, running) as page:
        page.locator("#direction").select_option("auto:en")
        type_text(page)
        assert re.match(r"(German|French) \(\d+(\.\d)? %\)", page.locator("#facts").inner_text())


CONTRAST = """node => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(x => x / 255)
    .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [.2126, .7152, .0722][i], 0);
  let behind = node;
  while (behind.parentElement && (numbers(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0)
    behind = behind.parentElement;
  const two = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor]
    .map(numbers).map(light).sort((a, b) => b - a);
  return (two[0] + .05) / (two[1] + .05);
}"""
"""The contrast of text and background, as WCAG 2 defines it."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1280])
def test_widths_and_colours(browser: Any, server: Running, width: int, scheme: str) -> None:
    view = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with opened(browser, server, **view) as page:
        type_text(page, f"{LINE}\n{'dogs sit ' * 8}")
        page.locator("#map-details summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("body", "#source", "#translation", "#show-card", "#problem", ".soft"):
            ratio = page.locator(name).first.evaluate(CONTRAST)
            assert ratio >= 4.5, (name, ratio)


def test_a_screen_reader_finds_names_for_all(page: Any) -> None:
    type_text(page)
    snapshot = page.locator("body").aria_snapshot()
    for text in (
        'heading "Dragoman"',
        'combobox "Model"',
        'textbox "Text"',
        'list "Words of the text"',
        'heading "Other translations"',
        'region "Translation"',
    ):
        assert text in snapshot, snapshot
    read = "nodes => nodes.map(node => node.getAttribute('aria-label'))"
    labels = words(page, 1).evaluate_all(read)
    assert all(re.fullmatch(r".+, \d+ % probable( from .+)?", label) for label in labels)
    assert page.locator("#translation").get_attribute("aria-live") == "polite"
