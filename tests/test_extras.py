"""A base install: without the packages of the extras, help works and verbs name the command."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dragoman.cli import VERBS
from dragoman.errors import EXTRAS, MissingExtraError, naming_extras
from served import save_tiny_folder

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def base_install(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python without any package of an extra."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED.format(blocked=set(EXTRAS)) + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


MAIN = "import sys; from dragoman.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_works_in_a_base_install(verb: str) -> None:
    done = base_install(MAIN, *filter(None, [verb]), "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: dragoman" in done.stdout and not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "{d}/p.tsv", "--out", "{d}/m"],
        ["prepare", "{d}/p.tsv", "--out", "{d}/c"],
        ["check", "{d}/p.tsv"],
        ["evaluate", "{d}/m", "{d}/p.tsv"],
        ["explain", "{d}/m", "a"],
        ["bench", "{d}/p.tsv"],
        ["demo", "--out", "{d}/demo"],
    ],
)
def test_a_verb_that_needs_an_extra_names_the_command(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("a\tb\n" * 20, encoding="utf-8")
    save_tiny_folder(tmp_path / "m")
    done = base_install(MAIN, *(a.format(d=tmp_path) for a in arguments))
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(
        rf"dragoman {arguments[0]}: this needs the package '\w+' "
        r"\(pip install 'dragoman\[train\]'\)\n",
        done.stderr,
    ), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"p.tsv", "m"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import dragoman; dragoman.load('m', device='cuda')", "dragoman[train]"),
        ("import dragoman; dragoman.train('p', 'm')", "dragoman[train]"),
        ("import dragoman.api, dragoman.cli, dragoman.search.translator", ""),
        ("import dragoman.layout, dragoman.config.rules, dragoman.runs.history", ""),
        (MAIN.replace("sys.argv[1:]", "['data', 'list']"), ""),
    ],
)
def test_the_python_api_in_a_base_install(code: str, said: str) -> None:
    done = base_install(code)
    last = done.stderr.strip().rpartition("\n")[2]
    assert said in last and (not said) == (done.returncode == 0), done.stderr
    assert "MissingExtraError" in last or not said


def test_a_missing_package_of_ours_is_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), naming_extras():
        raise ModuleNotFoundError("No module named 'no_such_package'", name="no_such_package")
    said = r"'wandb' \(pip install 'dragoman\[track\]'\)"
    with pytest.raises(MissingExtraError, match=said), naming_extras():
        raise ModuleNotFoundError("No module named 'wandb.sdk'", name="wandb.sdk")


def test_every_package_of_an_extra_is_known() -> None:
    imported = {"mlflow-skinny": "mlflow", "nvidia-ml-py": "pynvml"}
    groups = PROJECT["optional-dependencies"]
    found = {
        imported.get(name := Requirement(text).name, name): group
        for group in groups.keys() - {"dev", "docs", "all"}
        for text in groups[group]
    }
    assert found == EXTRAS
    assert {Requirement(t).name for t in PROJECT["dependencies"]}.isdisjoint(EXTRAS)


def test_the_versions_that_are_pinned_fit_every_extra() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {
        name.lower().replace("_", "-"): version
        for name, _, version in (line.partition("==") for line in lines)
    }
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = [Requirement(text) for group in groups for text in group]
    for requirement in wanted:
        if version := pinned.get(requirement.name.lower()):
            assert requirement.specifier.contains(version), requirement
