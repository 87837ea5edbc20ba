"""One model that learns from the outputs of others, together with what else a training can do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import dragoman
from dragoman.api import Model
from dragoman.cli import main
from dragoman.export.bundle import export
from dragoman.layout import CONFIG, DISTILLED, REFIT, members
from ranks import two_ranks

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
    (path,) = (student / DISTILLED).glob(f"*/{name}")
    lines = path.read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [(row["source"], row["target"]) for row in found]


def start(command: list[str], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, *map(str, arguments)],
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
    assert (
        "holds a run that did not learn from this teacher and these pairs"
        in capsys.readouterr().err
    )


def test_a_teacher_with_columns_of_features_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "table.tsv", tmp_path / "m"
    words = [a + b + c for a in "bdgk" for b in "aeiou" for c in "lnrst"]
    table.write_text("".join(f"{word}\t{word}s\tN;PL\n" for word in words), "utf-8")
    columns = ["--features-column", "3", "--steps", "2"]
    assert main(["train", str(table), "--out", str(out), *columns, *SMALL]) == 0
    assert main(["distil", str(out), str(table), "--out", str(tmp_path / "student")]) == 2
    said = "m: a model with columns of features cannot be distilled (train a small model on the"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "student").exists()


def test_two_processes_learn_from_one_teacher(
    teacher: Path,
    pairs: Path,
    tmp_path: Path,
    dragoman_command: list[str],
    python_command: list[str],
) -> None:
    asked = ["distil", str(teacher), str(pairs), "--out", str(tmp_path / "m"), "--steps", "4"]
    two_ranks([*dragoman_command, *asked])
    assert rows(tmp_path / "m", "train.jsonl") and dragoman.load(tmp_path / "m").translate(["a b"])
    (tmp_path / "other.tsv").write_text("a b\tb a\n")
    ends_with_2 = "import sys; from dragoman.cli import main; sys.exit(main(sys.argv[1:]) - 2)"
    asked[2] = str(tmp_path / "other.tsv")
    said = two_ranks([*python_command, "-c", ends_with_2, *asked])
    assert said.count("m: holds a run that did not learn from this teacher and these pairs (") == 2


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


def test_files_that_only_the_teacher_learned_from(pairs: Path, tmp_path: Path) -> None:
    out, student, more = tmp_path / "m", tmp_path / "student", tmp_path / "more.tsv"
    more.write_text("x y\tq q q\n" * 20, "utf-8")
    train = ["train", str(pairs), "--out", str(out), "--also", f"{more}=0.5", "--tag-also", "<bt>"]
    assert main([*train, "--steps", "150", *SMALL]) == 0
    more.unlink()
    export(out, tmp_path / "bundle", lines=5)
    assert "more" not in (tmp_path / "bundle" / CONFIG).read_text("utf-8")
    assert main(["distil", str(out), str(pairs), "--out", str(student), "--steps", "3"]) == 0
    teacher, one = dragoman.load(out), dragoman.load(student)
    assert teacher.folder.source.tags.tokens == {"0 <bt>"} and not one.folder.source.tags
    assert one.folder.target.token_id("q") is None


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
    pairs: Path, tmp_path: Path, dragoman_command: list[str]
) -> None:
    asked = ["train", pairs, "--seeds", "3", "--steps", "60", "--report-every", "1", *SMALL]
    assert main([*map(str, asked), "--out", str(tmp_path / "whole")]) == 0
    out = tmp_path / "m"
    said = interrupt(
        start(dragoman_command, *asked, "--out", out), out / "seed-2" / "metrics.jsonl"
    )
    assert "the same command goes on from here" in said
    assert [path.name for path in members(out)] == ["seed-1", "seed-2"]
    again = start(dragoman_command, *asked, "--out", out)
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
