"""Several seeds in one command, their ensemble, and one model that learns from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import main
from dragoman.config.options import Config
from dragoman.config.toml import load_config, merge
from dragoman.errors import DataError, OptionError, UsageError
from dragoman.layout import members

pytestmark = pytest.mark.slow

SMALL = ["--embedding", "16", "--hidden", "24", "--threads", "1"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three letters, to be said backwards; one line has no target that a model could learn from."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    rows = [(a, b, c) for a in "abcdef" for b in "abcdef" for c in "abcdef"]
    path.write_text("".join(f"{' '.join(r)}\t{' '.join(r[::-1])}\n" for r in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def seeds(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("seeds") / "m"
    steps = ["--steps", "150", "--validation", "20", "--seed", "7"]
    assert main(["train", str(pairs), "--out", str(out), "--seeds", "3", *steps, *SMALL]) == 0
    return out


def test_seeds_make_an_ensemble_on_one_split(seeds: Path, pairs: Path) -> None:
    names = ["seed-7", "seed-8", "seed-9"]
    assert (
        [path.name for path in members(seeds)] == names == sorted(p.name for p in seeds.iterdir())
    )
    alone = [dragoman.load(path) for path in members(seeds)]
    assert len({model.translate(["a b c"])[0].score for model in alone}) == 3
    held = [model.examples() for model in alone]
    assert held[0] == held[1] == held[2] and len(held[0].sources) == 20
    lines = ["a b c", "f e d", "", "c c c"]
    together = dragoman.load(seeds).translate(lines)
    by_hand = dragoman.load(*members(seeds)).translate(lines)
    assert [(t.text, t.score) for t in together] == [(t.text, t.score) for t in by_hand]
    assert together[0].score not in [model.translate(["a b c"])[0].score for model in alone]


def test_the_same_command_trains_nothing_again(
    seeds: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in seeds.glob("*/model.safetensors")}
    steps = ["--steps", "150", "--validation", "20", "--seed", "7"]
    assert main(["train", str(pairs), "--out", str(seeds), "--seeds", "3", *steps, *SMALL]) == 0
    assert capsys.readouterr().err.count("nothing to do") == 3
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_of_seeds_is_used_as_a_model(
    seeds: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(seeds), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == 20
    with pytest.raises(UsageError, match="an ensemble of 3 models cannot be explained"):
        dragoman.load(seeds).explain("a b c")
    assert main(["train", str(pairs), "--out", str(tmp_path / "n"), "--continue", str(seeds)]) == 2
    assert "it has no config.toml (name a seed in it)" in capsys.readouterr().err
    weights = seeds / "seed-8" / "model.safetensors"
    arguments = ["evaluate", str(seeds), "--outputs", str(weights)]
    before = weights.read_bytes()
    assert main(arguments) == 2
    assert "would overwrite" in capsys.readouterr().err and weights.read_bytes() == before


def test_a_budget_is_shared(pairs: Path, tmp_path: Path) -> None:
    config = merge(Config(), {"training": {"budget": "3s", "threads": 1}}, place="")
    dragoman.train(pairs, tmp_path / "m", config, seeds=3)
    budgets = [load_config(path).training.budget for path in members(tmp_path / "m")]
    assert budgets == ["1s", "1s", "1s"]


def test_a_folder_of_one_run_takes_no_seeds(seeds: Path, pairs: Path) -> None:
    with pytest.raises(OptionError, match="holds a run of one seed"):
        dragoman.train(pairs, seeds / "seed-7", Config(), seeds=2)
    with pytest.raises(OptionError, match="no model folder: it holds 'seed-7'"):
        dragoman.train(pairs, seeds, Config())


def test_a_student_learns_what_the_ensemble_says(
    seeds: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "student"
    command = ["distil", str(seeds), str(pairs), "--out", str(out), "--steps", "20"]
    assert main([*command, "--hidden", "20"]) == 0
    (learned,) = (out / "distilled").glob("*/train.jsonl")
    rows = [json.loads(line) for line in learned.open()]
    teacher = dragoman.load(seeds)
    held = teacher.examples()
    sources = [row["source"] for row in rows]
    assert not set(sources) & set(held.sources) and len(sources) == len(set(sources))
    answers = [answer.text for answer in teacher.translate(sources)]
    assert [row["target"] for row in rows] == answers
    student = dragoman.load(out)
    assert student.config.model.hidden == 20
    assert student.config.model.embedding == teacher.config.model.embedding
    assert sorted(student.examples().sources) == sorted(held.sources)
    made = learned.stat().st_mtime_ns
    assert main([*command, "--hidden", "20"]) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert learned.stat().st_mtime_ns == made


def test_distilling_into_another_run_is_refused(seeds: Path, pairs: Path, tmp_path: Path) -> None:
    """Another teacher or other pairs do not go on with what was made; a run gains no files."""
    one, two = members(seeds)[:2]
    config = merge(load_config(one), {"training": {"steps": 2}}, place="")
    before = {path.name for path in two.iterdir()}
    with pytest.raises(OptionError, match="a run that did not learn from this teacher"):
        dragoman.distil(one, pairs, two, config)
    assert {path.name for path in two.iterdir()} == before
    dragoman.distil(one, pairs, tmp_path / "m", config)
    held = tmp_path / "held.tsv"  # the student is validated on them: it learns from no source
    rows = zip(dragoman.load(one).examples().sources, "abcdef", strict=False)
    held.write_text("".join(f"{source}\t{target}\n" for source, target in rows), "utf-8")
    with pytest.raises(DataError, match="translates none of these sources"):
        dragoman.distil(one, held, tmp_path / "empty", config)
    assert not (tmp_path / "empty").exists()
    other = tmp_path / "other.tsv"
    other.write_text("a b c\tc b a\n", "utf-8")
    for teacher, file in ((two, pairs), (seeds, pairs), (one, other)):
        with pytest.raises(OptionError, match="a run that did not learn from this teacher"):
            dragoman.distil(teacher, file, tmp_path / "m", config)


def test_a_student_reads_the_files_of_its_teacher(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (line.split("\t") for line in pairs.read_text("utf-8").splitlines())
    table = tmp_path / "table.tsv"
    table.write_text("".join(f"{b} X\tnone\t{a}\n" for a, b in rows), "utf-8")
    reading = ["--columns", "1", "3", "--reverse"]
    out, student = str(tmp_path / "m"), str(tmp_path / "student")
    assert main(["train", str(table), "--out", out, *reading, "--steps", "150", *SMALL]) == 0
    assert main(["distil", out, str(table), "--out", student, "--steps", "5"]) == 0
    held = dragoman.load(out).examples()
    assert sorted(dragoman.load(student).examples().sources) == sorted(held.sources)
    assert not any("X" in source for source in held.sources)
    capsys.readouterr()
    assert main(["evaluate", student, str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == 216
    assert dragoman.load(student).reading().columns == (1, 3)


def test_several_seeds_need_pairs_that_can_be_read_again(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="a stream can be read only once"):
        dragoman.train("-", tmp_path / "m", Config(), seeds=2)
    assert not (tmp_path / "m").exists()


def test_an_ensemble_of_seeds_has_no_confidence(
    seeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", str(seeds), "--min-confidence", "0.5"]) == 2
    assert "an ensemble has no confidence" in capsys.readouterr().err


def test_a_teacher_without_held_out_pairs(seeds: Path, pairs: Path, tmp_path: Path) -> None:
    """A folder that was sent on has none; nothing is left behind."""
    (seeds / "seed-7" / "corpus").rename(tmp_path / "corpus")
    try:
        with pytest.raises(DataError, match="holds no held-out pairs"):
            dragoman.distil(seeds, pairs, tmp_path / "student")
    finally:
        (tmp_path / "corpus").rename(seeds / "seed-7" / "corpus")
    assert not (tmp_path / "student").exists()
