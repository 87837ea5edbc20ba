"""One model that learns from the outputs of others, together with what else a training can do."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import dragoman
from dragoman.api import Model
from dragoman.cli import main
from dragoman.data.corpus import Corpus
from dragoman.layout import CORPUS, DISTILLED, REFIT, TRAIN, members

pytestmark = pytest.mark.slow

SMALL = ["--embedding", "16", "--hidden", "24", "--threads", "1", "--validation", "10"]
LETTERS = "abcdefgh"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three letters, to be said backwards."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [(a, b, c) for a in LETTERS for b in LETTERS for c in LETTERS]
    path.write_text("".join(f"{' '.join(r)}\t{' '.join(r[::-1])}\n" for r in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def teacher(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "m"
    assert main(["train", str(pairs), "--out", str(out), "--steps", "150", *SMALL]) == 0
    return out


def rows(student: Path, name: str) -> list[tuple[str, str]]:
    lines = (student / DISTILLED / name).read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [(row["source"], row["target"]) for row in found]


def command(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dragoman", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def interrupt(process: subprocess.Popen[str], file: Path) -> str:
    """Send SIGINT once ``file`` holds something; gives back what the process said."""
    end = time.monotonic() + 120
    while not (file.exists() and file.stat().st_size) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    return said


def test_what_the_teacher_has_translated_stays_when_it_is_interrupted(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tmp_path / "many.tsv"
    lines = (
        f"{a} {b} {c} {d} {e}\tx\n"
        for a in LETTERS
        for b in LETTERS
        for c in LETTERS
        for d in LETTERS
        for e in LETTERS
    )
    many.write_text("".join(lines), "utf-8")  # 32,768
    out, asked = tmp_path / "student", ["distil", teacher, many, "--out", tmp_path / "student"]
    part = out / DISTILLED / "outputs.part"
    said = interrupt(command(*asked, "--steps", "2"), part)
    done = part.read_text("utf-8").count("\n")
    found = re.search("([0-9,]+) of 32,768 sources are translated; the same command goes on", said)
    assert found and done - int(found[1].replace(",", "")) in (0, 1)  # stopped between two steps
    assert "Traceback" not in said and 0 < done < 32768
    with part.open("a") as file:
        file.write('"cut')  # as if it had been killed in the middle of a line
    streamed, real = list[int](), Model.stream

    def watched(model: Model, lines: Any, **options: Any) -> Any:
        streamed.append(len(lines))
        return real(model, lines, **options)

    monkeypatch.setattr(Model, "stream", watched)
    assert main([*map(str, asked), "--steps", "2"]) == 0
    assert streamed == [32768 - done]
    learned = dict(rows(out, "train.jsonl"))
    some = [*learned][:: len(learned) // 50]
    assert [learned[s] for s in some] == [t.text for t in dragoman.load(teacher).translate(some)]


def test_a_corrected_command_uses_what_the_refused_one_has_translated(
    teacher: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["distil", str(teacher), str(pairs), "--out", str(tmp_path / "m"), "--steps", "2"]
    assert main([*asked, "--metric", "bleu"]) == 2  # three words have no BLEU
    monkeypatch.setattr(Model, "stream", None)
    assert main(asked) == 0


def test_validation_pairs_that_are_asked_for_are_used(
    teacher: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev, out = tmp_path / "validation.tsv", tmp_path / "student"
    text = "a b c\tC B A\nd e f\tF E D\n"
    dev.write_text(text, "utf-8")
    asked = ["distil", str(teacher), str(pairs), "--out", str(out), "--steps", "2"]
    asked += ["--validation-pairs", str(dev)]
    assert main(asked) == 0
    assert dev.read_text("utf-8") == text
    assert dragoman.load(out).examples().sources == ("a b c", "d e f")
    assert rows(out, "validation.jsonl") == [("a b c", "C B A"), ("d e f", "F E D")]
    assert not {"a b c", "d e f"} & {source for source, _ in rows(out, "train.jsonl")}
    dev.write_text("a b c\tC B A\n", "utf-8")
    assert main(asked) == 2
    assert "distilled from another teacher or other pairs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("heading", "reading"),
    [
        ("", ["--separator", ",", "--columns", "4", "2"]),
        ("tags,said,more,verb\n", ["--columns", "verb", "said"]),
    ],
)
def test_a_teacher_with_columns_of_features(
    heading: str, reading: list[str], tmp_path: Path
) -> None:
    """The student's file has the columns of the teacher's: its tags are tags, not words."""
    table, tags = tmp_path / "table.csv", ["V;PST", "V;PRS", "N;PL"]
    words = [a + b + c for a in "bdgk" for b in "aeiou" for c in "lnrst"]
    lines = [f"{tag},{word}{n},-,{word}" for word in words for n, tag in enumerate(tags)]
    table.write_text(heading + "".join(f"{line}\n" for line in lines), "utf-8")
    reading += ["--features-column", "1", "--target-tag", "en"]
    out, student = tmp_path / "m", tmp_path / "student"
    assert main(["train", str(table), "--out", str(out), "--steps", "200", *reading, *SMALL]) == 0
    assert main(["distil", str(out), str(table), "--out", str(student), "--steps", "3"]) == 0
    teacher, one = dragoman.load(out), dragoman.load(student)
    assert one.folder.source.tags.tokens == teacher.folder.source.tags.tokens
    assert sorted(one.examples().sources) == sorted(teacher.examples().sources)
    learned = Corpus(student / CORPUS / TRAIN)
    text = (student / DISTILLED / "train.tsv").read_text("utf-8")
    cells = [re.split("[,\t]", line) for line in text.splitlines()[bool(heading) :]]
    names = text.split("\n")[0].split("\t")  # columns that have names stand where there is room
    at = [names.index("verb"), names.index("said")] if heading else [3, 1]
    assert 0 < len(cells) == len(learned)
    sources = [f"{row[at[0]]}\t{row[0]}\ten" for row in cells]
    assert [row[at[1]] for row in cells] == [t.text for t in teacher.translate(sources)]
    assert dragoman.evaluate(student, table).examples.left_out == 0


def test_a_teacher_with_a_target_tag_alone(pairs: Path, tmp_path: Path) -> None:
    out, student = tmp_path / "m", tmp_path / "student"
    train = ["train", str(pairs), "--out", str(out), "--target-tag", "en", "--steps", "150"]
    assert main([*train, *SMALL]) == 0
    assert main(["distil", str(out), str(pairs), "--out", str(student), "--steps", "3"]) == 0
    teacher, one = dragoman.load(out), dragoman.load(student)
    assert one.folder.source.tags.tokens == teacher.folder.source.tags.tokens == {"1 en"}
    held = teacher.examples().sources
    assert sorted(one.examples().sources) == sorted(held) and held[0].endswith("\ten")
    assert not any("\t" in source for source, _ in rows(student, "train.jsonl"))


def test_several_seeds_are_refitted_and_their_student_only_where_it_is_asked_for(
    pairs: Path, tmp_path: Path
) -> None:
    out, steps = tmp_path / "m", ["--steps", "150", "--validate-every", "50"]
    train = [
        "train",
        str(pairs),
        "--out",
        str(out),
        "--seeds",
        "2",
        "--refit",
        "True",
        *steps,
        *SMALL,
    ]
    assert main(train) == 0
    for one in members(out):
        assert not (one / REFIT).exists()
        assert "refit" in json.loads((one / "run.json").read_text("utf-8"))
    held = dragoman.load(out).examples()
    assert held.name == "TRAINING pairs (held out at first, known since the refit)"
    assert len(dragoman.load(out).translate(["a b c", ""])) == 2
    for name, more in (("plain", []), ("refitted", ["--refit", "True"])):
        asked = ["distil", str(out), str(pairs), "--out", str(tmp_path / name), *more]
        assert main([*asked, "--steps", "10", "--validate-every", "10"]) == 0
        record = json.loads((tmp_path / name / "run.json").read_text("utf-8"))
        assert ("refit" in record) == (name == "refitted")
        assert sorted(dragoman.load(tmp_path / name).examples().sources) == sorted(held.sources)


def test_seeds_that_are_interrupted_go_on_in_the_one_they_were_in(
    pairs: Path, tmp_path: Path
) -> None:
    asked = ["train", pairs, "--seeds", "3", "--steps", "60", "--report-every", "1", *SMALL]
    assert main([*map(str, asked), "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "m"
    said = interrupt(command(*asked, "--out", out), out / "seed-2" / "metrics.jsonl")
    assert "the same command goes on from here" in said
    assert [path.name for path in members(out)] == ["seed-1", "seed-2"]
    again = command(*asked, "--out", out)
    said = again.communicate(timeout=300)[1]
    assert again.returncode == 0 and said.count("nothing to do") == 1, said
    whole = {path.parent.name: path for path in (tmp_path / "whole").glob("*/model.safetensors")}
    assert sorted(whole) == ["seed-1", "seed-2", "seed-3"]
    for name, path in whole.items():
        assert (out / name / "model.safetensors").read_bytes() == path.read_bytes()


def test_a_distilled_model_teaches_in_its_turn(teacher: Path, pairs: Path, tmp_path: Path) -> None:
    taught = teacher
    for name in ("student", "students-student"):  # the first one learned from JSON lines
        out = tmp_path / name
        assert main(["distil", str(taught), str(pairs), "--out", str(out), "--steps", "150"]) == 0
        assert rows(out, "train.jsonl")
        taught = out
