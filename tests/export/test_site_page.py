"""A static site in a real Chromium, from a server of plain files and without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.api import load
from served import served, serving
from sites import PAIRS, SURE, WORDS, files_served, made_site

pytestmark = pytest.mark.slow
LINE = PAIRS[0][0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Path:
    return made_site(tmp_path_factory.mktemp("site"), package, int8=True)


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    """The page; at the end its console is empty, and no other host was asked."""
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    context.on("request", lambda request: asked.append(request.url))
    with files_served(site) as url:
        page.goto(url)
        page.wait_for_selector("#direction option", state="attached")
        yield page
    assert said == []
    assert asked and all(one.startswith(url) for one in asked)
    context.close()


def type_text(page: Any, text: str) -> None:
    page.locator("#source").fill(text)
    page.wait_for_selector("#lines .token")


def test_the_page_shows_what_the_bundle_says(page: Any, site: Path) -> None:
    (right,) = load(site / "model").translate([LINE], beam=5, n_best=5)
    type_text(page, LINE)
    assert page.locator("#translation").inner_text() == right.text
    assert page.locator("#others li").all_inner_texts() == list(right.texts[1:4])
    assert page.locator(".confidence").inner_text() == f"confidence {100 * SURE.of(right):.0f} %"
    page.locator("#map-details summary").click()
    assert page.locator(".map td[title]").count() > len(LINE.split())
    page.locator("#steps-details summary").click()
    page.wait_for_selector("#steps td")
    steps = right.hypotheses[0].steps
    for row, log_prob in zip(page.locator("#steps tbody tr").all(), steps, strict=True):
        assert f" {100 * exp(log_prob):.0f} %" in row.inner_text()
    page.locator("#show-card").click()
    assert "A card." in page.locator("#card").inner_text()
    assert page.locator("#key-label").is_hidden() and page.locator("#swap").is_hidden()


GREEDY = """async lines => {
  const load = name => import(new URL(name, location.href));
  const bytes = async name => new Uint8Array(await (await fetch(name)).arrayBuffer());
  const runtime = await load("packages/onnxruntime.js"), sessions = [];
  const externalData = [{path: "model.safetensors", data: await bytes("model/model.safetensors")}];
  for (const name of ["encoder", "decoder"]) {
    const graph = await bytes(`model/${name}.onnx`), executionProviders = ["wasm"];
    sessions.push(await runtime.InferenceSession.create(graph, {externalData, executionProviders}));
  }
  const facts = await (await fetch("model.json")).json();
  const {Tokenizer} = await load("page/tokenizer.js"), {Network} = await load("page/network.js");
  const {Translator} = await load("page/translator.js");
  const [source, target] = facts.tokenizers.map(tree => new Tokenizer(tree));
  const network = new Network(runtime, ...sessions, target.texts.length);
  const translator = new Translator(network, source, target, facts);
  return (await translator.translate(lines, {beam: 1})).translatedText;
}"""
"""What the modules of the page answer to a text by a greedy search."""


def test_a_hundred_lines_are_those_of_a_server(page: Any, site: Path) -> None:
    draw, model = np.random.default_rng(3), load(site / "model")
    words = [*WORDS, "zebra", "Über", ","]
    lines = [" ".join(draw.choice(words, draw.integers(1, 16))) for _ in range(100)]
    one = served("xx", "yy", model=model.translator({})[0], confidence=None)
    greedy = replace(one, source="zz", search=replace(one.search, beam=1))
    with serving(one, greedy) as client:
        beam, greedily = (
            client.translate("\n".join(lines), source=each.source, target="yy", alternatives=more)
            for each, more in ((one, 4), (greedy, 0))
        )
    type_text(page, "\n".join(lines))
    assert page.locator("#translation").text_content() == beam.json["translatedText"]
    found = page.evaluate(GREEDY, "\n".join(lines))
    assert found == greedily.json["translatedText"] != beam.json["translatedText"]


def test_only_the_last_text_is_answered(page: Any, site: Path) -> None:
    for count in range(1, 9):
        page.locator("#source").fill(" ".join(LINE.split() * count))
        page.wait_for_timeout(260)  # longer than the page waits for another key
    page.locator("#source").fill("w7")
    (right,) = load(site / "model").translate(["w7"], beam=5, n_best=5)
    page.wait_for_function(
        "text => document.getElementById('translation').textContent === text", arg=right.text
    )
    page.wait_for_timeout(500)
    assert page.locator("#translation").inner_text() == right.text


def test_the_page_works_without_a_network(browser: Any, site: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with files_served(site) as url:
        page.goto(url)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        type_text(page, LINE)
        before = page.locator("#translation").inner_text()
    for address in (url, f"{url}index.html"):  # nobody listens there any more
        page.goto(address)
        type_text(page, LINE)
        assert page.locator("#translation").inner_text() == before
    context.close()


def test_a_file_that_is_missing_is_said(browser: Any, site: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with files_served(site) as url:
        page.route("**/model/model.safetensors", lambda route: route.fulfill(status=404))
        page.goto(url)
        page.wait_for_function("document.getElementById('problem').textContent")
        problem = page.locator("#problem").inner_text()
    assert problem == "model/model.safetensors cannot be loaded (404)."
    assert page.locator("#facts").inner_text() == ""
    context.close()
