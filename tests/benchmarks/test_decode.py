"""How decoding is asked for, timed and summed up, without any of the programs."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import decode as module
from benchmarks.decode import Table, decode, train
from benchmarks.program import PEERS, PROGRAMS, Answers, Program, RunError, Training
from benchmarks.words import Words
from benchmarks.workloads import WORKLOADS

ECHO = """
import sys
for n, line in enumerate(sys.stdin.read().splitlines()):
    print(f"A-{n}\\t{' '.join(sys.argv[1:])} {line}")
"""


def fake(script: str = ECHO, **translate: str) -> Program:
    said = {"command": "$python script.py $beam", "answer": r"A-\d+\t(.*)\n"} | translate
    spec = {"packages": [], "attention": {"luong": ""}, "files": {"script.py": script}}
    return Program("fake", spec | {"command": "$python train.py $steps", "translate": said})


@pytest.fixture
def training(tmp_path: Path) -> Training:
    (tmp_path / "test.tgt").write_text("x\n" * 60)
    (tmp_path / "few.src").write_text("ein hund\n" * 2)
    return Training(WORKLOADS["w1"], Words(tmp_path), tmp_path / "run", threads=1, steps=7)


def test_only_the_other_lines_are_timed(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Path("few.src"), Path("many.src")
    said = {"few.src": Answers(3.0, ["a b"] * 2), "many.src": Answers(13.0, ["a b"] * 52)}
    monkeypatch.setattr(Program, "translate", lambda _, __, file, ___: said[file.name])
    run = decode(fake(), training, 5, lines)
    assert run is not None
    assert (run["sentences_per_second"], run["tokens_per_second"]) == (5.0, 10.0)
    assert (run["mean_length"], run["whole"], run["start"]) == (2.0, 13.0, 3.0)
    said["few.src"] = Answers(14.0, ["a b"] * 2)  # other work came between
    assert decode(fake(), training, 5, lines) is None


def test_answers_are_read_from_what_it_prints_or_writes(training: Training) -> None:
    source = training.words.folder / "few.src"
    assert fake().translate(training, source, 5).lines == ["5 ein hund"] * 2
    written = "import sys; print('!'); open(sys.argv[1], 'w').write('a\\n\\n')"
    program = fake(written, command="$python script.py $output", answer=r"(?m)^(.*)\n")
    answers = program.translate(training, source, 5)
    assert answers.lines == ["a", ""]
    assert answers.tokens == 1


def test_a_program_that_fails_or_skips_lines_is_named(training: Training) -> None:
    source = training.words.folder / "few.src"
    with pytest.raises(RunError, match=r"(?s)^fake: .*no luck$"):
        fake("raise SystemExit('no luck')").translate(training, source, 1)
    with pytest.raises(RunError, match=r"^fake: 0 answers to 2 lines$"):
        fake("print('hm')").translate(training, source, 1)
    spec = fake().spec | {"command": f"{sys.executable} -c import(nothing)"}
    with pytest.raises(RunError, match=r"(?s)^fake: .*SyntaxError"):
        train(Program("fake", spec), training)
    assert not (training.folder / "trained").exists()


def test_a_model_is_trained_once(training: Training) -> None:
    script = "import sys; open('model', 'a').write(f'{sys.argv[1]}.')"
    spec = fake().spec | {"files": {"train.py": script}}
    for _ in range(2):
        train(Program("fake", spec), training)
        assert (training.folder / "model").read_text() == "7."
    train(Program("fake", spec | {"files": {"train.py": "pass"}}), training)
    assert not (training.folder / "model").exists()


SAID = {
    "fairseq": (
        "S-1\tein hund\nW-1\t0.040\tseconds\nH-1\t-1.5\ta <unk>\nD-1\t-1.5\ta <unk>\n"
        "P-1\t-0.1 -0.2\nS-2\tein\nH-2\t-9.5\t\nD-2\t-9.5\t\nP-2\t-9.5\n",
        ["a <unk>", ""],
    ),
    "yoyodyne": ("a dog\t-0.5\ta cat\t-1.5\r\na house\n\n", ["a dog", "a house", ""]),
}


@pytest.mark.parametrize("name", SAID)
def test_answers_are_found_among_other_words(name: str) -> None:
    text, answers = SAID[name]
    assert re.findall(PROGRAMS[name].spec["translate"]["answer"], text) == answers


def test_only_a_transformer_goes_to_ctranslate2() -> None:
    for name in ("ctranslate2", "ctranslate2-int8"):
        program = module.DECODERS[name]
        assert "'recurrent'" in program.unfit(WORKLOADS["w1"])
        assert not program.unfit(WORKLOADS["w6"])
        # The model that is exported must be the one that dragoman trains.
        assert program.network(WORKLOADS["w6"]) == PROGRAMS["dragoman"].network(WORKLOADS["w6"])


def test_a_way_needs_the_export_that_its_command_names(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: list[str] = []
    monkeypatch.setattr(module, "export", lambda _, name: exported.append(name))
    monkeypatch.setattr(module, "train", lambda *_: None)
    monkeypatch.setattr(module, "make_words", lambda *_: training.words)
    monkeypatch.setattr(module, "CACHE", training.folder)
    (training.words.folder / "test.src").write_text("ein hund\n")
    (training.words.folder / "vocabulary.tgt").write_text("a\n")
    asked = Namespace(programs=[*module.WAYS], steps=1, lines=9, threads=1, repeats=0, data=None)
    assert not module.measure_all(WORKLOADS["w6"], asked).missing
    assert exported == ["bundle", "bundle", "ctranslate2", "ctranslate2-int8"]


def test_every_peer_can_translate() -> None:
    assert all(PROGRAMS[name].spec["translate"]["command"] for name in ("dragoman", *PEERS))


def table(**speeds: tuple[list[float], list[float]]) -> Table:
    made = Table(WORKLOADS["w1"], {"cores": 2}, 800)
    same = {
        "tokens_per_second": 900.0,
        "mean_length": 11.5,
        "bleu": 20.0,
        "whole": 9.0,
        "start": 3.0,
        "product_rate": 100.0,
        "busy": 0.0,
    }
    for name, pair in speeds.items():
        for beam, runs in zip((1, 5), pair, strict=True):
            made.runs += [
                {"name": name, "beam": beam, "sentences_per_second": x} | same for x in runs
            ]
    return made


def test_the_last_line_compares_medians() -> None:
    made = table(dragoman=([240, 1, 999], [110]), fairseq=([100], [50]), joeynmt=([30], [20]))
    assert made.line() == (
        "decode: greedy 2.4 x fastest peer (fairseq), beam 5 2.2 x fastest peer, 5.5 x joeynmt"
    )
    assert "| dragoman | 240 | 1 to 999 | 900 | 11.5 | 20.0 | 9.00 s | 3.00 s |" in made.markdown()
    made = table(dragoman=([240], [100]), fairseq=([100], [20]), eole=([50], [50]))
    made.missing["joeynmt"] = "not installed"
    assert made.line() == (
        "decode: greedy 2.4 x fastest peer (fairseq), beam 5 2.0 x fastest peer (eole), "
        "joeynmt missing"
    )
    assert "joeynmt was not measured: not installed" in made.markdown()
    both = {"dragoman": ([240], [100]), "dragoman-int8": ([300], [150])}
    assert table(fairseq=([100], [50]), joeynmt=([60], [10]), **both).line() == (
        "decode: greedy 2.4 x fastest peer (fairseq), beam 5 2.0 x fastest peer, 4.0 x joeynmt; "
        "int8: greedy 3.0 x fastest peer (fairseq), beam 5 3.0 x fastest peer, 5.0 x joeynmt"
    )
    both |= {"dragoman-bundle": ([900], [450]), "dragoman-bundle-all": ([600], [300])}
    parts = table(fairseq=([100], [50]), **both).line().split("; ")
    assert parts[2:] == [
        f"{name}: greedy {x} x fastest peer (fairseq), beam 5 {x} x fastest peer, joeynmt missing"
        for name, x in (("bundle", "9.0"), ("bundle-all", "6.0"))
    ]
    assert table(eole=([50], [50])).line() == "decode: dragoman was not measured"


def test_the_first_lines_are_taken(tmp_path: Path) -> None:
    (tmp_path / "test.src").write_text("".join(f"{i}\n" for i in range(30)))
    few, many = module._heads(Words(tmp_path), tmp_path / "w", 20)
    assert len(few.read_text().split()) == 8
    assert many.read_text().split() == [str(i) for i in range(20)]
    _, many = module._heads(Words(tmp_path), tmp_path / "w", 70)
    count = len((tmp_path / "test.src").read_text().split())
    assert many.read_text().split() == [str(i % count) for i in range(70)]
