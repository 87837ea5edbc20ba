"""The report of a run: its numbers, its limits, and the page itself in a browser."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dragoman.config.options import Config
from dragoman.config.toml import merge
from dragoman.errors import FolderError
from dragoman.runs.history import History
from dragoman.runs.report import report_data, write_report
from made_runs import HOSTILE, make_run, train_row, validation_row

ROWS = [
    {"kind": "start", "step": 0, "environment": {"python": HOSTILE}},
    *(train_row(step, loss=None if step == 10 else 5 / step) for step in range(5, 101, 5)),
    *(validation_row(step) for step in (50, 100)),
]


def embedded(page: str) -> Any:
    found = re.findall(r'<script type="application/json" id="run">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def test_the_numbers_are_those_of_the_metrics(tmp_path: Path) -> None:
    path = write_report(make_run(tmp_path / "m", ROWS))
    data = embedded(path.read_text("utf-8"))
    for kind in ("train", "validation"):
        rows = [row for row in ROWS if row["kind"] == kind]
        for name in ("step", "loss", "elapsed", *data[kind]):
            assert data[kind][name] == [row[name] for row in rows], name
    assert {"gradient_norm_encoder", "memory_mb", "utilisation"} < set(data["train"])
    assert {"bleu", "chrf", "exact", "perplexity", "token_accuracy"} < set(data["validation"])
    assert data["best"]["bleu"] == ROWS[-1]["bleu"] and data["last"]["step"] == 100
    assert data["now"]["watched"][0]["output"] == f"{HOSTILE} 100"
    assert data["record"]["notes"] == [HOSTILE]
    none = report_data(History.of(make_run(tmp_path / "n", ROWS, held_out=False)))
    assert none["record"]["held_out"] is False
    assert not list(tmp_path.rglob("*.partial"))


def test_no_sentence_ends_the_script(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "<i>{data}{title}", ROWS)).read_text("utf-8")
    assert page.count("</script>") == 2 and "<img" not in page and "<i>" not in page
    assert "<title>&lt;i&gt;{data}{title} · Dragoman</title>" in page
    assert embedded(page)["now"]["samples"][0]["source"] == HOSTILE


def test_options_asked_for_come_first_then_those_chosen(tmp_path: Path) -> None:
    training = {"seed": 7, "steps": 200, "track": ["tensorboard"]}
    config = merge(Config(), {"training": training, "data": {"reverse": True}}, place="test")
    rows = [*ROWS, {"kind": "start", "step": 100, "environment": {}}]
    data = report_data(History.of(make_run(tmp_path, rows, config)))
    origins = [origin for _, _, origin in data["options"]]
    assert origins == sorted(origins) and data["commands"] == 2
    options = {name: (value, origin) for name, value, origin in data["options"]}
    assert {n for n, (_, origin) in options.items() if origin == "asked"} == {
        "training.seed",
        "data.reverse",
        "training.steps",
        "training.track",
    }
    assert options["model.hidden"] == (48, "chosen") and options["training.steps"][0] == 200
    assert options["model.cell"] == ("gru", "default")
    assert options["training.watch"] == ([], "default")


def test_a_long_run_of_long_sentences_fits(tmp_path: Path) -> None:
    rows = [train_row(step) for step in range(1, 6001)]
    rows += [
        validation_row(
            step,
            watched=[
                {"source": f"{n} {'w' * 3000}", "reference": "", "output": f"{step}{'x' * 3000}"}
                for n in range(8)
            ],
        )
        for step in range(1, 400)
    ]
    page = write_report(make_run(tmp_path, rows)).read_text("utf-8")
    assert len(page.encode()) <= 2_000_000
    data = embedded(page)
    assert data["train"]["step"][-1] == 6000 and 500 < len(data["train"]["step"]) <= 1000
    known = {row["step"]: row["loss"] for row in rows if row["kind"] == "train"}
    assert [known[step] for step in data["train"]["step"]] == data["train"]["loss"]


def test_a_folder_that_holds_little_has_a_report(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "m", [])
    (folder / "run.json").write_text("3")
    data = embedded(write_report(folder).read_text("utf-8"))
    assert data["train"] == {} and data["command"] == f"dragoman train PAIRS --out {folder}"
    odd = make_run(tmp_path / os.fsdecode(b"m\xff"), ROWS)  # a name that is no UTF-8
    assert embedded(write_report(odd).read_text("utf-8"))["name"] == "m?"
    with pytest.raises(FolderError, match="is not a model folder: it has no config.toml"):
        write_report(tmp_path)


@pytest.mark.slow
def test_the_page_works_in_a_browser(browser: Any, tmp_path: Path) -> None:
    path = write_report(make_run(tmp_path / "m", ROWS)).resolve()
    for width, scheme in ((1280, "light"), (360, "dark")):
        view = {"width": width, "height": 800}
        page = browser.new_page(viewport=view, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        assert page.title() == "m · Dragoman" and page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width

        legend = page.locator(".legend").first
        assert "training 0.05" in legend.inner_text()  # 5 / 100, the last one
        box = page.locator("svg").first.bounding_box()
        # The plot lies between 46 pixels on the left and 10 on the right: at 30 % of 100 steps.
        page.mouse.move(box["x"] + 46 + 0.3 * (box["width"] - 56), box["y"] + 60)
        assert "training 0.167" in legend.inner_text()  # 5 / 30
        assert page.locator("output").all_inner_texts()[0] == "step 30"
        page.mouse.move(0, 0)
        assert "training 0.05" in legend.inner_text()

        words = page.locator(".sentence .token")
        assert words.all_inner_texts()[:5] == ["<b>", "x", "⏎", "</script>", "⏎"]
        words.nth(3).hover()
        weights = [words.nth(i).get_attribute("data-weight") for i in range(3)]
        assert weights == ["70", "20", "10"]
        assert HOSTILE.split("\u2028")[0] in page.locator("main").inner_text()
        assert said == [] and asked == [path.as_uri()]
        page.close()
