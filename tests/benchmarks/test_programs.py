"""How programs are asked and read, without any of them."""

from __future__ import annotations

import gzip
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from benchmarks import words as words_module
from benchmarks.limit import Limit
from benchmarks.program import PEERS, PROGRAMS, Program, RunError, Training, measure
from benchmarks.train import Table
from benchmarks.words import Words, make_words, tokenize
from benchmarks.workloads import WORKLOADS
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import merge

LOGS = {
    "dragoman": (
        '{"kind": "train", "step": 10, "loss": 5.1, "tokens_per_second": 8123.4, "elapsed": 1.2}\n'
        '{"kind": "validation", "step": 10, "loss": 5.0}\n'
        '{"kind": "train", "step": 20, "loss": 4.9, "tokens_per_second": 8200.0, "elapsed": 2.2}\n',
        [8123.4, 8200.0],
    ),
    "eole": (
        "[2026-01-01 10:00:00,1 INFO] Step 10/1000; acc: 7.2; ppl: 2310.44; xent: 7.75; aux: 0.000;"
        " mtp: 0.000; attn_ent: 0.000; lr: 1.00e-03; sents:     640; bsz:  870/ 864/64;"
        " 2990/2982 tok/s;      3 sec;\n",
        [2982.0],
    ),
    "opennmt": (
        "[2026-01-01 10:00:00,1 INFO] Step 10/1000; acc: 7.2; ppl: 2310.4; xent: 7.7; lr: 0.00100;"
        " sents:     640; bsz:  870/ 864/64;  99/ 98 tok/s;      3 sec;\n",
        [98.0],
    ),
    "joeynmt": (
        "2026-01-01 10:00:00,1 - INFO - joeynmt.training - Epoch   1, Step:       10, Batch Loss: "
        "    5.578650, Batch Acc: 0.132932, Tokens per Sec:     1694, Lr: 0.001000\n",
        [1694.0],
    ),
    "fairseq": (
        '2026-01-01 10:00:00 | INFO | train_inner | {"epoch": 1, "update": 0.022, "loss": "10.1", '
        '"ppl": "1100", "wps": "1981.2", "ups": "2.1", "wpb": "864.1", "bsz": "64"}\n'
        '2026-01-01 10:09:00 | INFO | train | {"epoch": 1, "train_wps": "1900", "wps": "1900"}\n',
        [1981.2],
    ),
    "yoyodyne": ("418.0 target tokens/s\n", [418.0]),
    "tutorial-looped": ("20.9 M parameters\nstep 2: loss 8.7, 370.1 target tokens/s\n", [370.1]),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_tells_the_speed_of_each_interval(name: str, tmp_path: Path) -> None:
    program, (text, speeds) = PROGRAMS[name], LOGS[name]
    log = tmp_path / program.spec.get("log", "output.log")
    assert program.speeds(tmp_path) == []
    log.parent.mkdir(exist_ok=True)
    log.write_text(text)
    assert program.speeds(tmp_path) == speeds


def test_every_peer_has_a_sample_log() -> None:
    assert {*PEERS, "dragoman"} <= set(LOGS)


def fill(program: Program, training: Training) -> None:
    """Write a program's files, with a command of ours in the place of its own."""
    spec = program.spec | {"command": f"{sys.executable} -c pass", "before": ""}
    Program(program.name, spec, program.precision).start(training).wait()


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_files_can_be_filled_in_for_every_workload_that_it_can_do(
    name: str, tmp_path: Path
) -> None:
    program, could = PROGRAMS[name], 0
    for w in WORKLOADS.values():
        if program.unfit(w):
            continue
        could += 1
        fill(program, Training(w, Words(tmp_path, 2), tmp_path / w.name, threads=1))
        for file in (tmp_path / w.name).glob("*.yaml"):
            assert yaml.safe_load(file.read_text())
        for file in (tmp_path / w.name).glob("*.toml"):
            check_options(merge(Config(), tomllib.loads(file.read_text()), place=file.name))
    assert could


@pytest.mark.parametrize(
    "program, workload, why",
    [
        ("fairseq", "w3", "no attention 'bahdanau'"),
        ("eole", "w0", "no such encoder"),
        ("joeynmt", "w0d", "no attention 'none'"),
        ("tutorial-batched", "w3", "'bahdanau'"),
        ("joeynmt", "w6", "not set up for the family 'transformer'"),
        ("tutorial-looped", "w6", "'transformer'"),
    ],
)
def test_a_workload_that_it_cannot_do_is_named(program: str, workload: str, why: str) -> None:
    assert why in PROGRAMS[program].unfit(WORKLOADS[workload])
    assert not PROGRAMS["dragoman"].unfit(WORKLOADS[workload])


def test_both_transformers_have_the_sizes_of_the_workload(tmp_path: Path) -> None:
    w, sizes = WORKLOADS["w6"], (4, 2, 256, 4, 1024)
    for name in ("dragoman-fp32", "eole"):
        fill(PROGRAMS[name], Training(w, Words(tmp_path, 2), tmp_path, threads=1))
    config = merge(Config(), tomllib.loads((tmp_path / "recipe.toml").read_text()), place="").model
    ours = config.transformer
    layers = ours.encoder_layers, ours.decoder_layers
    assert (config.family, config.dropout) == ("transformer", 0.2)
    assert (*layers, config.hidden, ours.heads, ours.feed_forward) == sizes
    other = yaml.safe_load((tmp_path / "train.yaml").read_text())
    model, training = other["model"], other["training"]
    layers = model["encoder"]["layers"], model["decoder"]["layers"]
    assert (*layers, model["hidden_size"], model["heads"], model["transformer_ff"]) == sizes
    assert training["dropout"] == training["attention_dropout"] == [0.2]


def fake(script: str) -> Program:
    spec = {"packages": [], "attention": {"luong": ""}, "speed": r"([\d.]+) tokens/s"}
    return Program("fake", spec | {"command": "$python script.py", "files": {"script.py": script}})


def test_the_median_leaves_out_the_first_intervals_and_the_program_is_ended(tmp_path: Path) -> None:
    script = "import time\nfor i in (1, 1, 5, 7, 6): print(i, 'tokens/s')\ntime.sleep(600)"
    training = Training(WORKLOADS["w1"], Words(tmp_path), tmp_path / "run", threads=1)
    run = measure(fake(script), training, seconds=0.1)
    assert run.intervals == [5.0, 7.0, 6.0]
    assert run.tokens_per_second == 6.0
    assert run.peak_memory > 1_000_000


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    training = Training(WORKLOADS["w1"], Words(tmp_path), tmp_path / "run", threads=1)
    with pytest.raises(RunError, match=r"(?s)^1 reports only; its last words: .*no luck$"):
        measure(fake("print('3 tokens/s')\nraise SystemExit('no luck')"), training, seconds=0.1)
    spec = fake("").spec | {"before": f"{sys.executable} -c import(nothing)"}
    with pytest.raises(RunError, match="(?s)fake: .*SyntaxError"):
        Program("fake", spec).start(training)


def table(**speeds: list[float]) -> Table:
    made = Table(WORKLOADS["w1"], {"cores": 2}, Limit({"output": 6_000_000}, 1))
    made.rates = {"fp32": 30.0, "bf16": 120.0}  # 5,000 and 20,000 tokens a second
    for name, runs in speeds.items():
        made.runs += [
            {
                "name": name.replace("_", "-"),
                "tokens_per_second": speed,
                "product_rate": 100.0,
                "busy": 0.0,
                "peak_memory": 10**9,
            }
            for speed in runs
        ]
    return made


def test_the_last_line_compares_medians() -> None:
    made = table(dragoman=[9000, 9400, 1], dragoman_fp32=[6000], eole=[3000], joeynmt=[1500])
    assert made.line() == ("W1 train: 3.0 x fastest peer (eole), 6.0 x joeynmt, 45 % of limit")
    assert "5,000 tokens/s at 30 GFLOP/s; reached: 120 % by dragoman-fp32." in made.markdown()
    made = table(dragoman=[3000], joeynmt=[1500])
    made.missing["eole"] = "not installed"
    assert made.line() == "W1 train: 2.0 x fastest peer (joeynmt), 15 % of limit"
    assert "| eole | not measured: not installed |" in made.markdown()
    made.missing["joeynmt"] = made.missing["dragoman"] = "not installed"
    made.runs.clear()
    assert made.line() == "W1 train: dragoman was not measured"
    made = table(dragoman=[4000], tutorial_looped=[400], tutorial_batched=[800])
    assert made.line() == "W1 train: 5.0 x tutorial-batched, 10.0 x tutorial-looped, 20 % of limit"


def test_words_are_cut_counted_and_filled(tmp_path: Path) -> None:
    folder = tmp_path / "multi30k"
    folder.mkdir()
    german, english = "Ein Hund, ein Haus.\nDer Hund\n", "A dog, a house.\nThe dog's\n"
    for stem in ("train", "val", "test_2016_flickr"):
        for end, text in (("de", german), ("en", english)):
            (folder / f"{stem}.{end}.gz").write_bytes(gzip.compress(text.encode()))
    made = make_words("multi30k", tmp_path, tmp_path / "words")
    assert made.sentences("train", "tgt") == [
        ["a", "dog", ",", "a", "house", "."],
        ["the", "dog", "'", "s"],
    ]
    assert set(made.vocabulary("src")) == {"ein", "hund"}
    assert set(made.file("counts", "tgt").read_text().splitlines()) == {"a 2", "dog 2"}
    known = (tmp_path / "words" / "known.tsv").read_text().splitlines()
    assert known[1] == "<unk> hund\t<unk> dog <unk> <unk>"


def test_tokens_are_cut_once_only() -> None:
    text = "Qu'est-ce <unk> que «ça» ?"
    assert tokenize(text) == ["Qu", "'", "est", "-", "ce", "<unk>", "que", "«", "ça", "»", "?"]
    assert tokenize(" ".join(tokenize(text))) == tokenize(text)


def test_renaming_makes_the_wanted_vocabulary_and_keeps_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(["ein", "hund", f"d{i % 7}"], ["a", "dog", f"e{i}"]) for i in range(300)]
    monkeypatch.setattr(words_module, "_multi30k", lambda _: {"train": pairs})
    made = words_module._multi30k_32k(tmp_path, size=400)["train"]
    for side in range(2):
        assert len({token for pair in made for token in pair[side]}) == 400 - 4
        assert {len(pair[side]) for pair in made} == {3}


def test_readme_names_every_program() -> None:
    readme = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text("utf-8")
    assert {name for name in PROGRAMS if not re.search(rf"`{name}`", readme)} == set()
