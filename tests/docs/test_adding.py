"""The worked examples of ``docs/why/adding.md``, applied to a copy of the code and run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.book.parts import Part, parts_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "why" / "adding.md").read_text("utf-8")


def section(title: str) -> list[Part]:
    return parts_of(PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0])


def apply(text: str, change: str) -> str:
    """``text`` with the lines of a diff, whose context must stand there exactly once."""
    lines = [(line[:1] or " ", line[1:]) for line in change.splitlines()]
    before, after = (
        "".join(f"{line}\n" for mark, line in lines if mark in marks) for marks in (" -", " +")
    )
    pattern = re.compile("^" + re.escape(before).replace(r"\.\.\.", "(.*)"), re.MULTILINE)
    found = list(pattern.finditer(text))
    assert len(found) == 1, f"{len(found)} times in the code:\n{before}"
    for rest in found[0].groups():
        after = after.replace("...", rest, 1)
    return text[: found[0].start()] + after + text[found[0].end() :]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def change(copy: Path, title: str) -> None:
    changed = 0
    for part in section(title):
        file = copy / part.title
        if part.kind == "file":
            file.write_text(f"{part.body}\n", encoding="utf-8")
        elif part.language == "diff":
            file.write_text(apply(file.read_text("utf-8"), part.body), encoding="utf-8")
        changed += bool(part.title)
    assert changed


def python(copy: Path, *arguments: str, text: str = "", fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_verb(copy: Path) -> None:
    change(copy, "A verb")
    (copy / "p.tsv").write_text("a\tb\nc\td\n")
    assert "count       count the pairs" in python(copy, "-m", "dragoman", "--help")
    assert python(copy, "-m", "dragoman", "count", "p.tsv") == "2\n"
    assert "Count the pairs of a file." in python(copy, "-m", "dragoman", "count", "--help")


@pytest.mark.slow
def test_a_score(copy: Path) -> None:
    change(copy, "A score")
    code = """
from dragoman.evaluation.metrics import measures
found = {m.key: m for m in measures(["a b", "a b c"], [["a b c d"], ["a b c d", "a"]])}
print(found["length"].value(), found["length"].value([0]))
"""
    assert python(copy, "-c", code) == "62.5 50.0\n"


@pytest.mark.slow
def test_a_reader(copy: Path) -> None:
    change(copy, "A reader")
    (copy / "p.txt").write_text("a => b\n\nc => d => e\nwrong\n" + "f => g\n" * 40)
    code = """
from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from pathlib import Path
faults = Faults()
pairs = list(read_pairs([Path("p.txt")], DataOptions(), faults))
print(len(pairs), pairs[1].source, pairs[1].target)
"""
    assert python(copy, "-c", code) == "42 c d => e\n"


@pytest.mark.slow
def test_a_recipe(copy: Path) -> None:
    """The tests that the page names find it, and fail when it has an option that does not exist."""
    shutil.copytree(ROOT / "tests" / "recipes", copy / "tests" / "recipes")
    (copy / "recipes").mkdir()
    change(copy, "A recipe")
    (recipe,) = (copy / "recipes").iterdir()
    wrong = recipe.read_text("utf-8").replace("lowercase", "lowercased")
    recipe.with_stem("wrong").write_text(wrong)
    chosen = "a_recipe and (spanish or round_trips)"
    printed = python(copy, "-m", "pytest", "-q", "tests/recipes", "-k", chosen, fails=True)
    assert "1 failed, 3 passed" in printed and "did you mean 'lowercase'" in printed


@pytest.mark.slow
def test_a_cell(copy: Path) -> None:
    """It trains, and the graph gives what PyTorch gives."""
    change(copy, "A recurrent cell")
    code = """
import torch
from dataclasses import replace
from dragoman.config.options import ModelOptions
from dragoman.model.build import build_model
options = replace(ModelOptions(), cell="relu", embedding=7, hidden=10, dropout=0.0)
torch.manual_seed(1)
model = build_model(options, source_vocabulary=11, target_vocabulary=13).double().eval()
source = torch.tensor([[4, 5, 6, 3], [7, 8, 3, 0]])
memory, state = model.encode(source, source != 0)
alone, first = model.encode(source[1:, :3], source[1:, :3] != 0)
torch.testing.assert_close(memory.states[1:, :3], alone.states)
torch.testing.assert_close(state.rows[1:], first.rows)
target = torch.tensor([[2, 4, 5], [2, 6, 7]])
whole, _ = model.decoder.unroll(target, state, memory)
step = model.decoder.stepper(memory)
for t in range(3):
    one, state, _ = step(target[:, t], state)
    torch.testing.assert_close(whole[:, t], one)
whole.sum().backward()
print(bool(model.encoder.layers[0].weight_hidden.grad.abs().sum() > 0))
"""
    rows = "".join(f"{a} {b}\t{b.upper()} {a.upper()}\n" for a in "abcdef" for b in "ghijkl")
    (copy / "p.tsv").write_text(rows)
    command = "train p.tsv --out m --cell relu --hidden 16 --embedding 8 --steps 40 --level word"
    command = command.replace("--level", "--source.level word --target.level")
    code += f"""
import dragoman
from dragoman.cli import main
assert main({command.split()}) == 0
"""
    code += """
lines = ["a g", "b k", "f"]
model = dragoman.load("m")
runtime = [(one.text, one.score) for one in model.translate(lines, beam=1)]
for line, (text, score) in zip(lines, runtime):
    found = model.explain(line, beam=1)
    loss = float(found["loss"].sum()) / found["loss"].size
    print(abs(score + loss) < 1e-3 or (text, score, loss))
"""
    assert python(copy, "-c", code) == "True\n" * 4
