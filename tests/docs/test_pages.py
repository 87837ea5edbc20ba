"""Every command and every block of Python that README and docs show is run, page by page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from dragoman.cli import VERBS
from tools.book.__main__ import chapters, pages
from tools.book.manual import flags
from tools.book.notebook import PageError, code_of, notebook, parts, record, run
from tools.book.parts import parts_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pages are sessions of bash")
ROOT = Path(__file__).resolve().parents[2]
EVERY = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
KNOWN = {flag for verb in VERBS for flag in flags(verb)} | {"--version"}
SHORT = {flag.rpartition(".")[2].removeprefix("--") for flag in KNOWN}
NAMES = {flag[2:] for flag in KNOWN} | SHORT
OTHERS = {"--silent", "--retry", "--retry-connrefused", "--retry-delay", "--quiet", "--directory"}
OTHERS |= {"--strict", "--budgte", "--nproc-per-node", "--resolution", "--require-hashes", "--user"}
OTHERS |= {"--from", "--spec"}  # uvx and pipx
OTHERS |= {"--load-only", "--nnodes", "--max-restarts", "--rdzv-backend", "--rdzv-id"}
OTHERS |= {"--node-rank", "--master-addr", "--master-port"}
OTHERS |= {"--rdzv-endpoint", "--multi_gpu", "--num_processes", "--cpu", "--pairs", "--devices"}
OTHERS |= {"--bandwidth", "--price", "--device-start", "--device-rate", "--device-tokens"}
"""Options of other programs on our pages."""


def named(page: Path) -> str:
    return page.relative_to(ROOT).with_suffix("").as_posix()


@pytest.fixture(scope="session", name="programs")
def programs_of_notebooks(programs: Path) -> Path:
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason=f"needs the package {package} (dragoman[docs])")
    return programs


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=named)
def test_what_a_page_shows_runs_and_prints_what_it_says(
    page: Path, programs: Path, tmp_path: Path
) -> None:
    """The page is executed as its notebook; outputs and pictures are kept for the site."""
    printed = record(page, tmp_path, programs)
    runs = [n for n, part in enumerate(parts(page)) if code_of(part, small=True)]
    assert printed.keys() == {n for n in runs if not parts(page)[n].not_run}
    for number, part in enumerate(parts(page)):
        assert not part.prints or printed[number].out.strip(), part.commands


def test_every_chapter_is_a_notebook() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs the package nbformat")
    assert len(chapters()) == 5
    for page in chapters():
        whole = notebook(page)
        nbformat.validate(nbformat.from_dict(whole))
        code = [cell["source"] for cell in whole["cells"] if cell["cell_type"] == "code"]
        assert code[0] == "%pip install --quiet 'dragoman[train]'"
        assert any("dragoman train" in one for one in code)
        assert not any(
            "made/" in cell["source"] or ".md)" in cell["source"] for cell in whole["cells"]
        )


@pytest.mark.parametrize("page", EVERY, ids=named)
def test_pages_name_verbs_and_options_that_exist(page: Path) -> None:
    """Of a table about another toolkit, the columns after the first are ours."""
    if page.name == "log.md":
        pytest.skip("the log tells of what was removed too")
    ours = []
    for line in page.read_text("utf-8").splitlines():
        cells = line.strip("|").split(" | ")
        foreign = page.parent.name == "from" and line.startswith("| ")
        ours.append(
            (cells[-1] if page.stem != "tutorials" else cells[1])
            if foreign and len(cells) > 1
            else line
        )
    text = "\n".join(ours)
    verbs = set(re.findall(r"`dragoman ([a-z]+)\b", text)) | set(
        re.findall(r"^\$ (?:.*\| )?dragoman ([a-z]+)\b", text, re.MULTILINE)
    )
    assert verbs <= VERBS.keys() | ({"count"} if page.stem == "adding" else set())
    options = set(re.findall(r"(?<![\w-])--([a-z][\w.-]*)", text))
    unknown = {one for one in options if one not in NAMES and f"--{one}" not in OTHERS}
    assert {one for one in unknown if one.removeprefix("no-") not in NAMES} == set()


@pytest.mark.parametrize("page", EVERY, ids=named)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    """The source archive has no benchmarks/, to which README links."""
    links = re.findall(r"\]\((?!https?:|made/|#)([^)#\s]+)", page.read_text("utf-8"))
    missing = [page.parent / link for link in links if not (page.parent / link).exists()]
    left_out = [] if (ROOT / "benchmarks").is_dir() else [ROOT / "benchmarks" / "README.md"]
    assert [file for file in missing if file not in left_out] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120


def test_why_a_block_is_not_run_is_said() -> None:
    for page in EVERY:
        if page.name != "log.md":
            for part in parts_of(page.read_text("utf-8")):
                assert not part.not_run or len(part.not_run.split()) > 3, page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```console\n$ echo a\nb\n```\n", "expected\nb\nprinted\na\n"),
        ("```console\n$ dragoman trian\n```\n", "did you mean 'train'"),
        ("```python\nprint(1)\n```\n\n```output\n2\n```\n", "expected\n2\nprinted\n1\n"),
        ("<!-- small: x => y -->\n```console\n$ echo a\n```\n", "'x' is not in the block"),
    ],
)
def test_a_page_that_is_wrong_fails(text: str, wrong: str, programs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    (tmp_path / "work").mkdir()
    with pytest.raises(PageError, match=re.escape(wrong)):
        run(page, tmp_path / "work", programs)
