"""How pages are cut and filled, the reference that is made from the code, and the site."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman.cli import VERBS
from dragoman.config.options import Config
from tools.book import include, manual, options, python_api, rooms, web_api
from tools.book.__main__ import main, write_notebooks
from tools.book.notebook import matches
from tools.book.parts import parts_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = """Text.

<!-- small: 20m => 5s -->
<!-- prints -->
```console
$ dragoman a \\
  b
out
$ c
```

```text title="f.tsv"
a\tb
```

<!-- not run: no such program -->
```python
x
```
"""


def test_a_page_is_cut_at_its_fences() -> None:
    text, console, _, file, _, python = parts_of(PAGE)
    assert text.body == "Text.\n\n"
    assert (console.kind, console.prints, console.small) == ("console", True, [("20m", "5s")])
    assert console.commands == "dragoman a \\\n  b\nc" and console.expected == "out"
    assert (file.kind, file.title, file.body) == ("file", "f.tsv", "a\tb")
    assert (python.kind, python.not_run) == ("python", "no such program")
    with pytest.raises(ValueError, match="a fence is not closed: ```sh"):
        parts_of("```sh\nls\n")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\nb", "a  \nb\n", True),
        ("a ... d", "a b\nc d\n", True),
        ("a", "a\nb\n", False),
        ("a.c", "abc", False),
        ("...", "", True),
    ],
)
def test_an_ellipsis_stands_for_any_text(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same


def test_code_is_included_by_its_name() -> None:
    text = include.expand("{{ source model/recurrent/cells.py lstm_cell }}\n")
    assert "# src/dragoman/model/recurrent/cells.py\ndef lstm_cell(" in text
    assert text.rstrip().endswith("torch.tanh(c), c\n```")
    method = include.expand("{{ source model/seq2seq.py Seq2Seq.forward }}\n")
    assert "\ndef forward(self" in method  # not indented
    with pytest.raises(LookupError, match=r"cells.py has no lstm_cel"):
        include.expand("{{ source model/recurrent/cells.py lstm_cel }}\n")
    with pytest.raises(LookupError, match=r"there is no file model/cells.py"):
        include.expand("{{ source model/cells.py x }}\n")
    assert include.expand("{{ recipe dates }}\n").startswith(
        '```toml title="recipes/dates.toml"\n['
    )


def test_every_option_has_its_meaning_in_the_reference() -> None:
    text = options.groups()
    for group in fields(Config):
        kind = type(getattr(Config(), group.name))
        found = options.of_group(kind)
        names = {one.name.partition(".")[0] for one in found}
        assert names == {one.name for one in fields(kind)}
        for one in found:
            assert one.about and f"`--{group.name}.{one.flag}`" in text
            assert not re.search(r"[\[\]]|Annotated|Literal", one.kind), one.kind
    assert "`--model.transformer.feed-forward`" in text
    verbs = options.verbs()
    for verb in VERBS:
        assert f"## dragoman {verb}\n" in verbs
        own = options.described(options.command(verb))
        assert all(one.about for one in own) and f"dragoman {verb}" in verbs
    assert re.search(r"dragoman train PAIRS \[options\]", verbs)


def test_options_stand_in_the_help_as_in_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    from dragoman.cli import run_verb

    for verb in VERBS:
        with pytest.raises(SystemExit):
            run_verb(verb, ["--help"])
        drawn = capsys.readouterr().out
        shown = set(re.findall(r"^[│ ] {1,2}(?:-h, )?(--[a-z][\w.-]+)", drawn, re.MULTILINE))
        listed = set(manual.flags(verb))
        assert listed == shown, verb


def test_the_python_reference_has_every_public_name() -> None:
    text = python_api.reference()
    for name in dragoman.__all__:
        assert name.startswith("__") or f"## dragoman.{name}\n" in text
    assert "### Model.translate\n" in text and "- `folder`: a model folder, a bundle of one" in text
    assert "Args:" not in text and ":class:" not in text


def test_the_http_reference_has_every_route() -> None:
    pytest.importorskip("fastapi", reason="needs dragoman[serve]")
    text = web_api.reference()
    for path, methods in web_api.document()["paths"].items():
        for method in methods:
            assert f"## {method.upper()} {path}\n" in text
    assert re.search(r"\| `q` \| string or list of string \| required \|", text)


def test_rooms_are_drawn_from_the_top_down() -> None:
    order = [name for row in rooms.layers() for name in row]
    for room, others in rooms.imports().items():
        assert all(order.index(other) >= order.index(room) for other in others), room
    drawing = rooms.svg()
    assert drawing.count("<rect") == len(order) and all(f">{name}<" in drawing for name in order)


def test_the_man_page_has_every_option(tmp_path: Path) -> None:
    assert main(["man", str(tmp_path / "dragoman.1")]) == 0
    text = (tmp_path / "dragoman.1").read_text("utf-8")
    for verb in VERBS:
        assert f".SS dragoman {verb}" in text
    if shutil.which("man") is None:
        pytest.skip("needs the program man")
    done = subprocess.run(
        ["man", "--warnings", "-l", "-E", "UTF-8", str(tmp_path / "dragoman.1")],
        capture_output=True,
        text=True,
        env=os.environ | {"MANWIDTH": "80", "MANPAGER": "cat"},
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert "--budget" in done.stdout and "number of\n" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_verbs_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("")

    def completed(*words: str) -> set[str]:
        line = " ".join(f"'{word}'" for word in words)
        script = f"{manual.completion('bash')}\nCOMP_WORDS=(dragoman {line})\n"
        script += f'COMP_CWORD={len(words)}\n_dragoman\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert not done.stderr
        return set(done.stdout.split())

    assert completed("tra") == {"train", "translate"}
    assert completed("train", "--model.hid") == {"--model.hidden"}
    assert completed("train", "pa") == {"pairs.tsv"}
    assert completed("translate", "--search.be") == {"--search.beam"}
    assert completed("train", "--bud") == {"--budget"}
    assert completed("train", "--no-rev") == {"--no-reverse", "--no-reverse-source"}
    assert completed("train", "--lev") == set()  # of the source or of the target
    assert completed("data", "--na") == set()  # is no option
    with pytest.raises(ValueError, match="no completion for csh: bash, zsh or fish"):
        manual.completion("csh")
    assert "-a train " in manual.completion("fish") and " -l budget\n" in manual.completion("fish")
    assert manual.completion("zsh").startswith("autoload")


def test_the_commands_of_the_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(write_notebooks(tmp_path / "n")) == 5
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out.startswith("_dragoman()")
    assert main(["nosuch"]) == 2
    assert "python -m tools.book run" in capsys.readouterr().err


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors: links and anchors are checked. Outputs and pictures
    are there for pages that were run."""
    pytest.importorskip("mkdocs", reason="needs the package mkdocs (dragoman[docs])")
    pytest.importorskip("material", reason="needs the package mkdocs-material")
    pytest.importorskip("fastapi", reason="needs dragoman[serve]")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"DRAGOMAN_DOCS_DRAFT": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_the_code_that_pages_name(site: Path) -> None:
    page = (site / "learn" / "3-attention" / "index.html").read_text("utf-8")
    assert "def over" in re.sub(r"<[^>]*>", "", page) and "{{ " not in page
    for path in site.rglob("*.html"):
        assert "https://fonts." not in path.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1300), ("dark", 390)])
def test_pages_fit_the_window_and_ask_no_other_host(
    browser: Any, site: Path, scheme: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("", "learn/3-attention/", "know/options/", "from/tutorials/", "why/design/"):
        page.goto((site / name / "index.html").as_uri())
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()
