"""A user without a name or a home, as ``docker run --user 54321`` makes: everything works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

UID = 54321
NAMES = ("HOME", "USER", "LOGNAME", "USERNAME", "LNAME")
CACHES = ("XDG_", "MPL", "ORT_", "TORCH", "TMPDIR")
PAIRS = "".join(f"{a} {b}\t{b} {a}\n" for a in "abcdefgh" for b in "ijklmnop")
SMALL = ["--hidden", "8", "--embedding", "8", "--steps", "6", "--validate-every", "3"]


@pytest.fixture
def dragoman(tmp_path: Path) -> Callable[..., str]:
    """Runs a command as a user that no database knows; returns what it says and prints.

    It may pass every folder: the interpreter may lie in one of the user who runs the tests.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.getuid() != 0:
        pytest.skip("needs root and setpriv to become another user")
    may = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    become = [setpriv, f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *may]
    bare = {n: v for n, v in os.environ.items() if n not in NAMES and not n.startswith(CACHES)}

    def python(*arguments: str, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*become, sys.executable, *arguments],
            env=bare | more,
            cwd=tmp_path,
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )

    def run(*arguments: str, text: str = "", **more: str) -> str:
        done = python("-m", "dragoman", *arguments, text=text, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    done = python("-c", "import os, pwd; pwd.getpwuid(os.getuid())")
    if "KeyError" not in done.stderr:
        pytest.skip(f"setpriv is not allowed here: {done.stderr}")
    return run


def test_all_works_and_no_library_complains(tmp_path: Path, dragoman: Callable[..., str]) -> None:
    (tmp_path / "p.tsv").write_text(PAIRS, encoding="utf-8")
    said = dragoman("check", "p.tsv")
    said += dragoman("train", "p.tsv", "--out", "m", *SMALL)
    assert (tmp_path / "m" / "report.html").stat().st_uid == UID
    answers = dragoman("translate", "m", text="a i\nb j\n")
    assert answers.count("\n") == 2
    said += answers + dragoman("evaluate", "m", "p.tsv")
    said += dragoman("explain", "m", "a i", "--attention", "map.png")
    said += dragoman("explain", "m", "a i", "--attention", "e.png", HOME="/proc/nohome")
    said += dragoman("train", "p.tsv", "--out", "n", *SMALL, HOME="/proc/nohome")
    assert (tmp_path / "map.png").exists() and (tmp_path / "n" / "report.html").exists()
    for advice in ("Traceback", "getpwuid", "uid not found", "matplotlib", ".config", "mkdir"):
        assert advice.lower() not in said.lower(), said
