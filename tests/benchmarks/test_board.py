"""The board: its page comes from its records, and a row is run by its command to the end."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.board import cost, peers
from benchmarks.board.__main__ import PAGE, main
from benchmarks.board.data import make_files, split_by_source
from benchmarks.board.page import interval, page, summary, value
from benchmarks.board.rows import LANGUAGE, RESULTS, ROOT, Row, RowError, read_records, read_rows
from benchmarks.board.run import held_out, measured
from benchmarks.program import PROGRAMS, Program, RunError
from benchmarks.workloads import WORKLOADS
from dragoman.config.options import Config
from dragoman.config.toml import from_toml
from tiny import SHARED
from tools.book.manual import flags

TINY = """
[tiny]
group = "Tests"
title = "Tiny"
data = "made by the test"
train = ["{language}.tsv"]
languages = ["aa", "bb"]
test = { dev = ["dev.tsv"] }
options = ["--hidden", "16", "--embedding", "8", "--steps", "3", "--training.refit", "False"]
test_options = ["--multiple-references"]
score = "word error"
expected = 1
seeds = 1
measures = [{ measure = "validation loss" }]
[[tiny.published]]
figure = "9.9"
what = "others"
source = "a paper"
scored = "test"
by_language = { aa = 8.8 }
"""


def test_the_page_is_what_the_records_say() -> None:
    """After a change of rows or records: ``python -m benchmarks.board --page``."""
    assert PAGE.read_text("utf-8") == page(read_rows(), RESULTS)


def test_every_record_belongs_to_a_row_and_stands_once() -> None:
    rows = read_rows()
    for path in RESULTS.glob("*.json"):
        records = read_records(path)
        assert path.stem in rows and records
        keys = [(record["language"], record["seed"]) for record in records]
        assert len(keys) == len(set(keys))


def test_rows_name_options_recipes_programs_and_measures_that_exist() -> None:
    known = {flag for verb in ("train", "evaluate") for flag in flags(verb)}
    short = {f"--{flag.rpartition('.')[2].removeprefix('--')}" for flag in known}
    for row in read_rows().values():
        words = [word for word in (*row.options, *row.test_options) if word.startswith("--")]
        assert set(words) <= known | short, row.name
        for recipe in (word for word in row.options if word.endswith(".toml")):
            assert isinstance(from_toml(ROOT / recipe), Config)
        assert not row.program or (row.program in PROGRAMS and row.workload in WORKLOADS)
        assert row.program or row.pairs or row.sample or row.hold_out or row.test, row.name
        assert row.score in ("BLEU", "exact match", "word error")


def test_the_files_of_every_row_are_where_the_data_are() -> None:
    if not SHARED.is_dir():
        pytest.skip("needs the real data, which are not part of the project")
    for row in read_rows().values():
        for name in (*row.train, *row.validation, *(f for test in row.test.values() for f in test)):
            for language in row.entries():
                assert (SHARED / name.replace(LANGUAGE, language)).is_file(), row.name


def tiny(folder: Path) -> list[str]:
    """Write rows and data; the beginning of a command line."""
    words = ["cat", "bat", "tab", "cab", "sat", "act", "at", "tact", "bast", "cast", "scat", "stab"]
    lines = [f"{word}\t{' '.join(word.upper())}\n" for word in words]
    for language in ("aa", "bb"):
        (folder / f"{language}.tsv").write_text("".join(lines), encoding="utf-8")
    (folder / "dev.tsv").write_text("tac\tT A C\nbac\tB A C\nbac\tB A K\n", encoding="utf-8")
    (folder / "rows.toml").write_text(TINY, encoding="utf-8")
    places = {"rows": "rows.toml", "results": "results", "work": "work", "out": "results.md"}
    return [word for key, name in places.items() for word in (f"--{key}", str(folder / name))]


@pytest.mark.parametrize("name", ["held-out pairs of the training run", "TRAINING pairs (none)"])
def test_training_pairs_are_not_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scores = {"BLEU": {"value": 9.0}}
    answer = json.dumps({"test": name, "scores": scores})
    monkeypatch.setattr("benchmarks.board.run.dragoman_command", lambda _: (answer, None))
    assert held_out(tmp_path) == ({"held_out": scores} if name.startswith("held-out") else {})


@pytest.mark.slow
def test_a_row_runs_to_the_page_and_goes_on_where_it_was(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    dragoman_command: list[str],
) -> None:
    monkeypatch.setattr("benchmarks.board.run.DRAGOMAN", dragoman_command)
    command = [*tiny(tmp_path), "--page", str(tmp_path), "tiny"]
    assert main(command) == 0
    kept = tmp_path / "results" / "tiny.json"
    first, second = read_records(kept)
    assert (first["language"], second["language"], first["steps"]) == ("aa", "bb", 3)
    test = first["tests"]["dev"]
    assert (test["lines"], test["references"]) == (2, 3)
    assert 0 <= first["held_out"]["exact match"]["value"] <= 100
    assert test["scores"]["exact match"]["interval"] and test["scores"]["BLEU"]["signature"]
    assert 0 < first["measures"]["validation loss"] < 20
    assert first["minutes"] > 0 and first["model_bytes"] > 0 and first["sentences_per_second"] > 0
    assert first["commands"][0].startswith("dragoman train aa.tsv --hidden 16 ")
    assert first["commands"][1] == "dragoman evaluate MODEL dev.tsv --json --multiple-references"
    assert str(tmp_path) not in kept.read_text("utf-8")
    text = (tmp_path / "results.md").read_text("utf-8")
    error = 100 - test["scores"]["exact match"]["value"]
    assert f"\n| aa | {error:.1f} | " in text and "| 8.8 |\n" in text and "| 9.9° |" in text
    kept.write_text(json.dumps([second]), encoding="utf-8")  # as if the first had been cut off
    capsys.readouterr()
    assert main(command) == 0
    assert "tiny aa seed 1" in (said := capsys.readouterr().out) and "tiny bb" not in said
    assert read_records(kept)[0] == second
    (tmp_path / "dev.tsv").unlink()
    assert main([*command, "--again"]) == 2
    assert "dev.tsv: no such file" in capsys.readouterr().err
    assert len(read_records(kept)) == 2
    (tmp_path / "aa.tsv").write_text("no tab here\n", encoding="utf-8")
    (tmp_path / "dev.tsv").write_text("tac\tT A C\n", encoding="utf-8")
    assert main([*command, "--again"]) == 1
    assert "tiny: dragoman train" in (said := capsys.readouterr().err) and "aa.tsv" in said
    assert len(read_records(kept)) == 2


def record(row: Row, language: str, exact: float, **other: Any) -> dict[str, Any]:
    scores = {
        "exact match": {"value": exact, "interval": [exact - 4, exact + 5], "signature": "whole"}
    }
    test = {"scores": scores, "baselines": {"copy": {"exact match": 1.0}}, "search": "beam:5"}
    machine = {"processor": "P", "cores": 2, "threads": 2, "torch": "2", "time": "2026-01-01 10:00"}
    made: dict[str, Any] = {"language": language, "seed": 1, "row": row.identity, "steps": 3}
    made |= {"commands": ["dragoman evaluate MODEL"], "tests": {"dev": test}, "measures": {}}
    made |= {"watched": {}, "minutes": 2.0, "others": 0.1, "model_bytes": 2_000_000}
    made |= {"sentences_per_second": 100.0, "precision": "bf16", "machine": machine}
    made |= {"held_out": {"exact match": {"value": exact + 3}}}
    return made | {"version": "1", "commit": "abc"} | other


def shown(tmp_path: Path, *records: dict[str, Any]) -> str:
    (tmp_path / "tiny.json").write_text(json.dumps(records), encoding="utf-8")
    return page(read_rows(tmp_path / "rows.toml"), tmp_path)


def test_the_page_takes_means_and_says_what_is_missing(tmp_path: Path) -> None:
    tiny(tmp_path)
    rows = read_rows(tmp_path / "rows.toml")
    row = rows["tiny"]
    assert "| [Tiny](#tiny) | not measured |  |  | 9.9° |" in page(rows, tmp_path)
    one, other = record(row, "aa", 90.0), record(row, "bb", 70.0)
    text = shown(tmp_path, one, other)
    assert "| [Tiny](#tiny), dev | word error **20.0** |  | 17.0 | 9.9° | 99.0 | 4.0 | 1 |" in text
    assert "- 3 steps; 2 MB of weights\n- 100 sentences/s translated\n" in text
    assert "| aa | 10.0 | 5.0–14.0 | 7.0 | 99.0 | 2.0 | 8.8 |" in text
    text = shown(tmp_path, one)
    assert "word error **10.0** (1 of 2 languages)" in text and "| bb | not measured |" in text
    again = record(row, "aa", 94.0, seed=2), record(row, "bb", 70.0, seed=2)
    text = shown(tmp_path, one, other, *again)
    assert "word error **19.0** | (seeds 18.0–20.0) | 16.0 | 9.9° | 99.0 | 4.0 | 2 |" in text
    before = {key: value for key, value in again[0].items() if key != "held_out"}  # an older one
    text = shown(tmp_path, one, other, before)
    assert "word error **19.0** |  | 17.0 | 9.9° | 99.0 | 4.0 | 2 |" in text
    assert "busy machine |" not in text
    assert "4.0, busy machine |" in shown(tmp_path, one, record(row, "bb", 70.0, others=0.3))
    almost = shown(tmp_path, record(row, "aa", 99.96), record(row, "bb", 100.0))
    assert "word error **0.02**" in almost and "| aa | 0.04 | -5.0–4.0 |" in almost
    stale = copy.deepcopy(one) | {"row": "of other options"}
    assert "not measured" in shown(tmp_path, stale)
    assert list(summary(rows, tmp_path)) == ["   1.0 min  tiny  (0 of 2 measured)"]


def test_a_word_error_is_what_exact_match_leaves() -> None:
    scores = {"exact match": {"value": 80.0, "interval": [75.0, 84.0]}, "BLEU": {"value": 3.0}}
    assert value("word error", scores) == 20.0 and interval("word error", scores) == (16.0, 25.0)
    assert value("BLEU", scores) == 3.0 and value("word error", {"exact match": 1.0}) == 99.0


def test_a_result_belongs_to_its_options_and_to_the_settings_of_its_recipe(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"group": "", "title": "", "data": "", "expected": 1, "score": "BLEU"}
    row = Row("a", **facts, options=["--steps", "3"])
    assert row.identity != Row("a", **facts, options=["--steps", "4"]).identity
    recipe = tmp_path / "r.toml"
    of_recipe = Row("a", **facts, options=["--recipe", str(recipe)])
    seen = []
    for text in ("# one\nx = 1\n", "# two\nx = 1\n", "x = 2\n"):
        recipe.write_text(text, encoding="utf-8")
        seen.append(of_recipe.identity)
    assert seen[0] == seen[1] != seen[2]


def test_no_source_stands_on_both_sides_of_a_split() -> None:
    lines = [f"t{n}\tSource {n % 40}{'!' * (n % 3)}" for n in range(200)]
    learned, tested = split_by_source(iter(lines), 1, 12)
    assert sorted(learned + tested) == sorted(lines) and 12 <= len(tested) < 12 + 5
    sources = [{line.split("\t")[1].strip("!") for line in part} for part in (learned, tested)]
    assert not sources[0] & sources[1]
    assert split_by_source(iter(reversed(lines)), 1, 12)[1] == tested[::-1]


def test_pairs_and_splits_are_written(tmp_path: Path) -> None:
    text = "".join(f"e{n}\tf{n}\n" for n in range(2000))
    (tmp_path / "all.tsv.gz").write_bytes(gzip.compress(text.encode()))
    facts: dict[str, Any] = {"group": "", "title": "", "data": "", "expected": 1, "score": "BLEU"}
    split = Row("a", **facts, train=["all.tsv.gz"], hold_out=2)
    files = make_files(split, "", tmp_path, tmp_path / "work")
    (test,) = files.tests.values()
    learned, tested = (path.read_text("utf-8").splitlines() for path in (*files.train, *test))
    assert len(tested) == 1000 and len(learned) == 1000 and not set(learned) & set(tested)
    pairs = Row("b", **facts, pairs=[["a b", "c"]])
    files = make_files(pairs, "", tmp_path, tmp_path / "work")
    assert files.train[0].read_text("utf-8") == "a b\tc\n" and [files.train] == [
        *files.tests.values()
    ]
    drawn = make_files(Row("d", **facts, sample="dates"), "", tmp_path, tmp_path / "drawn")
    texts = [
        path.read_text("utf-8").splitlines() for path in (*drawn.train, *drawn.tests["new sources"])
    ]
    learned, tested = ({line.partition("\t")[0] for line in text} for text in texts)
    assert len(texts[1]) == 1000 and not learned & tested
    with pytest.raises(RowError, match=r"c: .*none\.tsv: no such file"):
        make_files(Row("c", **facts, train=["none.tsv"]), "", tmp_path, tmp_path / "work")


def test_measures_are_read_from_the_metrics() -> None:
    from benchmarks.board.rows import Measure

    rows = [
        {"kind": "train", "step": 10, "loss": 3.0, "elapsed": 1.0},
        {"kind": "train", "step": 20, "loss": 2.0, "elapsed": 3.0},
        {"kind": "validation", "step": 20, "loss": 2.5, "free_accuracy": 0.4},
        {"kind": "train", "step": 30, "loss": 1.0, "elapsed": 5.0},
    ]
    config = {"training": {"batch_sentences": 32}}

    def of(measure: str, step: int = 0) -> float | None:
        return measured(Measure(measure, step), rows, config)

    assert (of("loss"), of("loss", 20), of("loss", 40)) == (1.0, 2.0, None)
    assert (of("validation loss"), of("free_accuracy")) == (2.5, 0.4)
    assert of("samples/s") == 160.0
    assert measured(Measure("samples/s"), rows[:1], config) is None


def test_others_use_what_is_not_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in (("_busy_seconds", [100.0, 130.0]), ("_own_seconds", [7.0, 17.0])):
        monkeypatch.setattr(cost, name, iter(values).__next__)
    monkeypatch.setattr("time.perf_counter", iter([50.0, 60.0]).__next__)
    load = cost.Meter().read()
    monkeypatch.undo()
    assert (load.seconds, load.others) == (10.0, 2.0)


def test_wrong_rows_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = tiny(tmp_path)
    assert main([*places, str(tmp_path), "tny"]) == 2
    assert capsys.readouterr().err == "no row tny; there are tiny\n"
    rows = tmp_path / "rows.toml"
    rows.write_text(TINY.replace("seeds = 1", 'colour = "red"'), encoding="utf-8")
    assert main([*places, "--list"]) == 2
    assert capsys.readouterr().err == "tiny: unknown field colour\n"
    rows.write_text('[tiny]\ngroup = "Tests"\n', encoding="utf-8")
    assert main([*places, "--list"]) == 2
    assert "tiny: " in (said := capsys.readouterr().err) and "'title'" in said
    with pytest.raises(SystemExit):
        main([])


def test_another_program_is_trained_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "multi30k").mkdir()
    for stem in ("train", "val", "test_2016_flickr"):
        for end, text in (("de", "Ein Hund schläft nun .\n"), ("en", "A dog sleeps now .\n")):
            path = tmp_path / "multi30k" / f"{stem}.{end}.gz"
            path.write_bytes(gzip.compress(text.encode()))
    train = "import pathlib; pathlib.Path('m.pt').write_bytes(bytes(50))"
    spec = {"packages": [], "attention": {"luong": ""}, "speed": "", "command": "$python train.py"}
    answer = {"command": "$python answer.py"}
    files = {"train.py": train, "answer.py": "print('a dog sleeps now .')"}
    fake = Program("fake", spec | {"files": files, "translate": answer})
    monkeypatch.setitem(peers.PROGRAMS, "fake", fake)
    monkeypatch.setattr(peers, "CACHE", tmp_path / "cache")
    facts: dict[str, Any] = {"group": "", "title": "", "data": "", "expected": 1, "score": "BLEU"}
    row = Row("beside-fake", **facts, program="fake", steps=7)
    made = peers.peer_run(row, tmp_path, tmp_path / "work")
    (test,) = made["tests"].values()
    assert test["scores"]["BLEU"]["value"] == pytest.approx(100.0) and made["model_bytes"] == 50
    assert "tok:none" in test["scores"]["BLEU"]["signature"]
    absent = Program("fake", spec | {"files": files, "translate": answer, "packages": ["none"]})
    monkeypatch.setitem(peers.PROGRAMS, "fake", absent)
    with pytest.raises(RunError, match="fake is not installed"):
        peers.peer_run(row, tmp_path, tmp_path / "work")
