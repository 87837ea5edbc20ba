"""``dragoman translate --format``: documents, with terms, a memory and what is kept."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dragoman.cli import main
from dragoman.cli import translate as translate_verb
from dragoman.documents.formats import FORMATS
from made_documents import lines_of, sentences
from served import save_tiny_folder
from test_extras import BLOCKED, MAIN

pytest.importorskip("sentencex", reason="needs dragoman[documents]")

PAGE = b"""<html><body class="\xff">\r
<p>The <b>cat</b> sat on <a href="x">a mat</a> &amp; https://a.example/b. Dogs <i>sit!</i></p>\r
<pre>dogs sit</pre><p>the cat</p><p><em>a dog</em> near <code>x = 1</code></p></body></html>\r
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_folder(tmp_path_factory.mktemp("documents") / "de-en")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_bytes(PAGE)
    return path


def translate(capfdbinary: pytest.CaptureFixture[bytes], *arguments: object) -> bytes:
    assert main(["translate", *map(str, arguments)]) == 0
    out, err = capfdbinary.readouterr()
    assert err == b""
    return out


class Tags(HTMLParser):
    """The tags of a page, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found, self.begun = list[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.begun.append(tag)
        self.found.append(f"<{tag} {attrs}>")

    def handle_endtag(self, tag: str) -> None:
        assert self.begun.pop() == tag
        self.found.append(f"</{tag}>")


def test_a_page_keeps_all_but_its_text(
    capfdbinary: pytest.CaptureFixture[bytes], folder: Path, page: Path
) -> None:
    out = translate(capfdbinary, folder, "--format", "html", "--input", page)
    assert out != PAGE and out.count(b"\r\n") == PAGE.count(b"\r\n")
    assert sorted(Tags(out.decode("latin-1")).found) == sorted(Tags(PAGE.decode("latin-1")).found)
    for part in (b'<body class="\xff">\r\n<p>', b"https://a.example/b", b"<pre>dogs sit</pre>"):
        assert part in out
    assert out.count(b"<code>x = 1</code>") == 1


def test_terms_memory_keep_and_constraints_apply_to_each_sentence(
    capfdbinary: pytest.CaptureFixture[bytes], folder: Path, page: Path, tmp_path: Path
) -> None:
    (tmp_path / "memory").write_text("the cat\tDIE KATZE & <so>\na dog near\tEIN HUND\n")
    (tmp_path / "terms").write_text("mat\tcats\n")
    options = ["--memory", tmp_path / "memory", "--terms", tmp_path / "terms", "--keep", "Dogs"]
    out = translate(capfdbinary, folder, "--format", "html", "--input", page, *options).decode(
        "latin-1"
    )
    assert "<p>DIE KATZE &amp; &lt;so&gt;</p>" in out
    first = re.sub("<[^>]*>", "", out.split("<p>")[1])
    assert "cats" in first.split() and "Dogs" in first
    text = tmp_path / "text"
    text.write_text("the cat sat. a dog sat!\n\ndogs sit.")
    out = translate(
        capfdbinary,
        folder,
        "--format",
        "text",
        "--input",
        text,
        "--must",
        "mat",
        "--prefix",
        "near",
        "--never",
        "cat",
        "--language",
        "en",
    ).decode()
    assert len(re.findall("near", out)) >= 3 and len(re.findall("mat", out)) >= 3
    assert out.count("\n\n") == 1 and "cat " not in out


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_runs(
    capfdbinary: pytest.CaptureFixture[bytes], folder: Path, tmp_path: Path, name: str
) -> None:
    text = {"srt": "1\n00:00:01,000 --> 00:00:02,000\nthe cat\n", "json": '{"a": "the cat"}\n'}
    path = tmp_path / "document"
    path.write_text(text.get(name, "the cat\n"))
    out = translate(capfdbinary, folder, "--format", name, "--input", path).decode()
    assert out.count("\n") == path.read_text().count("\n")
    path.write_text("")
    assert translate(capfdbinary, folder, "--format", name, "--input", path) == b""


def test_the_name_of_the_folder_tells_by_which_rules_sentences_end(
    folder: Path, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()
    monkeypatch.setattr(translate_verb, "read_blocks", lambda *given: asked.append(given[2]) or ())
    for name in ("deu-eng", "x-de-en", "model"):
        shutil.copytree(folder, tmp_path / name)
        main(["translate", str(tmp_path / name), "--format", "html", "--input", str(page)])
    main(["translate", str(folder), "--format", "html", "--input", str(page), "--language", "ja"])
    assert asked == ["de", "de", "so", "ja"]


@pytest.mark.parametrize("option", [["--json"], ["--requests"], ["--min-confidence", "0.5"]])
def test_options_of_lines_are_refused(
    capfdbinary: pytest.CaptureFixture[bytes], folder: Path, option: list[str]
) -> None:
    assert main(["translate", str(folder), "--format", "text", *option]) == 2
    said = b"--format: a document goes without --json, --requests and --min-confidence"
    assert said in capfdbinary.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--must", "zebra"],
        ["--prefix", "zebra"],
        ["--must", ""],
        ["--never", "cat", "--must", "cat"],
        ["--must", "cat", "--temperature", "1"],
    ],
)
def test_a_wrong_constraint_is_told_before_anything_is_written(
    capfdbinary: pytest.CaptureFixture[bytes], folder: Path, page: Path, wrong: list[str]
) -> None:
    assert main(["translate", str(folder), "--format", "html", "--input", str(page), *wrong]) == 2
    out, err = capfdbinary.readouterr()
    assert out == b"" and wrong[0].encode() in b"--" + err.partition(b": ")[2]


@pytest.mark.slow
def test_without_the_package_the_command_is_named(folder: Path, page: Path) -> None:
    code = BLOCKED.format(blocked={"sentencex"}) + MAIN
    asked = ["translate", str(folder), "--format", "html", "--input", str(page)]
    done = subprocess.run(
        [sys.executable, "-c", code, *asked],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2 and not done.stdout
    assert "the package 'sentencex' (pip install 'dragoman[documents]')" in done.stderr


@pytest.mark.slow
def test_a_large_document_is_streamed(folder: Path, tmp_path: Path) -> None:
    """The first answers come before the last lines are read."""
    text = "the cat sat on a mat.\n\n" * 6000
    read = 0

    def lines() -> object:
        nonlocal read
        for line in lines_of(text):
            read += 1
            yield line

    from itertools import tee

    import dragoman
    from dragoman.documents.blocks import filled, read_blocks

    blocks, written = tee(read_blocks(lines(), FORMATS["text"], "en"))  # type: ignore[arg-type]
    asked = (sentence for block in blocks for sentence in block.sentences)
    answers = (answer.text for answer in dragoman.load(folder).stream(asked, beam=1))
    next(filled(written, answers))
    next(filled(written, answers))
    assert read < 5000
    assert sentences("text", text[:46]) == ["the cat sat on a mat."] * 2
