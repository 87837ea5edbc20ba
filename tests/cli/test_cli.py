"""The command line as people meet it: real processes, exit codes, one-line errors."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Timer

import pytest

from dragoman.api import load
from dragoman.cli import VERBS, main
from dragoman.cli.demo import ASKED
from dragoman.cli.parse import lengthen, parse
from dragoman.cli.train import Train
from dragoman.data.samples import sample_pairs
from dragoman.errors import OptionError
from dragoman.evaluation.confidence import Confidence
from tiny import shared_data

pytestmark = pytest.mark.slow

PAIRS = "".join(
    f"{a} {b} !\t{c} {d}!\n"
    for a, c in (("un", "one"), ("deux", "two"), ("trois", "three"), ("six", "six"))
    for b, d in (("chat", "cat"), ("chien", "dog"), ("pain", "bread"), ("œuf", "egg"))
)
SMALL = [
    "--hidden",
    "16",
    "--embedding",
    "8",
    "--steps",
    "4",
    "--validate-every",
    "2",
    "--batch-tokens",
    "40",
    "--precision",
    "fp32",
]


Command = Callable[..., subprocess.CompletedProcess[bytes]]


def run(
    begin: Sequence[str], *arguments: str | Path, text: str | bytes = "", **more: object
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line that begins so in a process of its own."""
    return subprocess.run(
        [*begin, *map(str, arguments)],
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        timeout=120,
        check=False,
        **more,  # type: ignore[call-overload]
    )


@pytest.fixture(name="dragoman", scope="session")
def command_of_dragoman(dragoman_command: list[str]) -> Command:
    """Runs a command of ``dragoman``; this takes its arguments and a ``text`` to read."""
    return partial(run, dragoman_command)


FRESH = [sys.executable, "-m", "dragoman"]
"""Begins a command line of a process that has imported nothing yet."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder made by the command line."""
    place = tmp_path_factory.mktemp("cli")
    (place / "pairs.tsv").write_text(PAIRS, encoding="utf-8")
    learn = ["--steps", "60", "--learning-rate", "0.03", "--warmup", "0"]  # enough to say something
    done = run(FRESH, "train", place / "pairs.tsv", "--out", place / "m", *SMALL, *learn)
    assert done.returncode == 0, done.stderr.decode()
    return place / "m"


def test_a_training_leaves_a_whole_folder(folder: Path) -> None:
    names = {p.name for p in folder.iterdir()} - {".lock"}
    assert names == {
        "config.toml",
        "model.safetensors",
        "source.json",
        "target.json",
        "metrics.jsonl",
        "run.json",
        "corpus",
        "checkpoints",
        "report.html",
        "README.md",
    }
    assert not list(folder.rglob("*.partial"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_n_out_answers_line_n_in(dragoman: Command, folder: Path, end: str) -> None:
    done = dragoman("translate", folder, text=end.join(["a", "", "un chat", "  ", "b"]) + end)
    lines = done.stdout.decode().split("\n")
    assert done.returncode == 0 and len(lines) == 6 and lines[5] == ""
    assert [bool(line) for line in lines[:5]] == [True, False, True, False, True]


def test_the_issue_s_own_line_count(dragoman: Command, folder: Path) -> None:
    assert dragoman("translate", folder, text="a\n\nb\n").stdout.count(b"\n") == 3


def test_batch_sizes_do_not_change_the_output(dragoman: Command, folder: Path) -> None:
    text = "\n".join(
        f"{w} {v}" * (1 + i % 4)
        for i, (w, v) in enumerate(
            (w, v) for w in ("un", "deux", "trois", "?") for v in ("chat", "œuf", "pain", "x y z")
        )
    )
    outputs = {
        dragoman("translate", folder, "--batch-size", n, text=text).stdout for n in ("1", "7", "64")
    }
    assert len(outputs) == 1


def test_strange_lines_are_answered(dragoman: Command, folder: Path) -> None:
    lines = [
        "a\u2028b",
        "a\x00b",
        "\x0b",
        "\x85",
        "🎉",
        "שלום",
        "x" * 5000,
        "un " * 3000,
        "\ufeffun",
    ]
    done = dragoman("translate", folder, "--beam", "1", text="\n".join(lines) + "\n")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b"\n") == len(lines)


def test_json_gives_scores_and_n_best(dragoman: Command, folder: Path) -> None:
    done = dragoman(
        "translate", folder, "--json", "--beam", "3", "--n-best", "2", text="un chat\n\n"
    )
    first, second = map(json.loads, done.stdout.decode().splitlines())
    assert first["source"] == "un chat" and first["text"] == first["n_best"][0]["text"]
    assert len(first["n_best"]) == 2
    assert first["score"] == first["n_best"][0]["score"] >= first["n_best"][1]["score"]
    assert first["source_tokens"] == ["▁un", "▁chat"]
    assert second["text"] == "" and second["n_best"] == []


def test_unsure_answers_are_marked(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("un chat\n\n", encoding="utf-8")
    asked = ["translate", str(folder), "--input", str(tmp_path / "in"), "--beam", "1"]
    Confidence("exact match", 1.0, 0.0, 0.0).save(folder)  # 0.5 for every answer that ended
    try:
        assert main(asked) == 0
        plain = capsys.readouterr().out
        assert main([*asked, "--min-confidence", "0.6"]) == 0
        assert capsys.readouterr().out == f"[unsure] {plain}"
        assert main([*asked, "--min-confidence", "0.6", "--json"]) == 0
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        assert first["confidence"] in (0.0, 0.5) and first["unsure"] is True
        assert second["confidence"] == 1.0 and second["unsure"] is False
    finally:
        (folder / "confidence.json").unlink()


def test_memory_terms_and_kept_parts_together(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("un chat {0} !\nDeux  chien\ndeux pain\n", encoding="utf-8")
    (tmp_path / "memory").write_text("deux chien\ttwo hounds\ndeux chien\ttwo dogs\n")
    (tmp_path / "terms").write_text("chat\tbread, egg\n")
    asked = ["translate", str(folder), "--input", str(tmp_path / "in"), "--json"]
    asked += ["--memory", str(tmp_path / "memory"), "--terms", str(tmp_path / "terms")]
    asked += ["--keep", "usual", "--beam", "2", "--n-best", "2"]
    asked += ["--memory-ignore", "case", "--memory-ignore", "spaces"]
    assert main(asked) == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert {"bread", "egg"} & {*re.findall(r"\w+", first["text"])} and "unmet" not in first
    assert first["text"].count("{0}") == 1 and all("{0}" in n["text"] for n in first["n_best"])
    assert (second["text"], second["from"]) == ("two hounds", "memory")
    assert [one["text"] for one in second["n_best"]] == ["two hounds", "two dogs"]
    assert {one["log_prob"] for one in second["n_best"]} == {0.0} == {second["score"]}
    assert "from" not in third and third["text"]


@pytest.mark.parametrize(
    ("terms", "more", "cause"),
    [
        ("chat\tcafé,cat\n", [], "terms:1: must: 'café' is not in the target vocabulary"),
        ("chat\n", [], "terms:1: 1 column"),
        ("chat\tcat\n", ["--temperature", "1"], "terms:1: must: it needs a search"),
        ("chat\tcat\n", ["--keep", "("], "keep: '('"),
    ],
)
def test_what_cannot_come_out_is_refused_before_the_first_line(
    dragoman: Command, folder: Path, tmp_path: Path, terms: str, more: list[str], cause: str
) -> None:
    (tmp_path / "terms").write_text(terms, encoding="utf-8")
    asked = ("translate", folder, "--terms", "terms", *more)
    done = dragoman(*asked, text="un chat\n", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert cause in done.stderr.decode()


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_an_attention_map_is_drawn(
    dragoman: Command, folder: Path, tmp_path: Path, ending: str, magic: bytes
) -> None:
    picture = tmp_path / f"map.{ending}"
    done = dragoman("explain", folder, "un chat !", "--attention", picture)
    assert done.returncode == 0, done.stderr.decode()
    assert picture.read_bytes().startswith(magic)


def test_a_map_is_drawn_without_a_home(folder: Path, tmp_path: Path) -> None:
    """Libraries that find no folder for a cache or an identifier do not say so to our users."""
    env = {n: v for n, v in os.environ.items() if not n.startswith(("XDG_", "MPL", "ORT_"))}
    picture = tmp_path / "map.png"
    asked = ("explain", folder, "un chat !", "--attention", picture)
    done = run(FRESH, *asked, env=env | {"HOME": "/proc/nohome"})
    assert (done.returncode, done.stderr) == (0, b"") and picture.exists()


def test_evaluate_scores_files_and_the_held_out_pairs(
    dragoman: Command, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("un chat !\ndeux œuf !\n", encoding="utf-8")
    (tmp_path / "b").write_text("one cat!\ntwo egg!\n", encoding="utf-8")
    done = dragoman(
        "evaluate", folder, tmp_path / "a", tmp_path / "b", "--json", "--outputs", tmp_path / "out"
    )
    tree = json.loads(done.stdout)
    assert tree["lines"] == 2 and tree["scores"]["BLEU"]["signature"].startswith("nrefs:1|case:mix")
    assert len((tmp_path / "out").read_text().splitlines()) == 2
    table = dragoman("evaluate", folder).stdout.decode()
    assert "held-out pairs of the training run" in table and "BLEU" in table


def test_verbs_that_search_do_so_in_8_bits(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    assert main(["evaluate", str(folder), "--int8"]) == 0
    assert "|int8:True" in capsys.readouterr().out
    pairs = tmp_path / "p.tsv"
    pairs.write_text(PAIRS, encoding="utf-8")
    found = []
    for option in ("--int8", "--no-int8"):
        assert main(["score", str(folder), str(pairs), option]) == 0
        found.append(capsys.readouterr().out.splitlines())
    assert len(found[0]) == len(found[1]) and found[0] != found[1]


def test_evaluate_compares_models(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    pairs, other = tmp_path / "p.tsv", tmp_path / "lower"
    pairs.write_text(PAIRS.upper(), encoding="utf-8")
    assert main(["train", str(pairs), "--out", str(other), "--target.lowercase", *SMALL]) == 0
    capsys.readouterr()
    asked = ["evaluate", str(folder), str(other), str(pairs), "--beam", "1"]
    assert main([*asked, "--breakdown"]) == 0
    text, said = capsys.readouterr()
    assert f"{other} against {folder}" in text
    assert "source: unseen" in text
    assert text.count("BLEU: nrefs") == 1 and text.count("\u2191") == 6
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith(("/", "  ")))
    assert "normalised targets: references are compared as they stand" in said
    assert main(["evaluate", str(folder), str(folder), str(pairs), "--json", "--beam", "1"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert [m["folder"] for m in tree["models"]] == [str(folder)] * 2
    assert {d["p"] for d in tree["against_first"][str(folder)]} == {1.0}


def test_check_reports(dragoman: Command, tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text(PAIRS + "un chat !\tone cat!\n", encoding="utf-8")
    done = dragoman("check", tmp_path / "p.tsv")
    assert done.returncode == 0 and b"p.tsv:17" in done.stdout
    assert json.loads(dragoman("check", tmp_path / "p.tsv", "--json").stdout)["total_lines"] == 17


def test_data_lists_and_writes_samples(dragoman: Command, tmp_path: Path) -> None:
    assert b"phrases" in dragoman("data", "list").stdout
    out = tmp_path / "d.tsv"
    assert dragoman("data", "get", "dates", "--count", "30", "--out", out).returncode == 0
    assert out.read_bytes() == dragoman("data", "get", "dates", "--count", "30").stdout
    assert all(line.count("\t") == 1 for line in out.read_text("utf-8").splitlines())
    assert len(out.read_text("utf-8").splitlines()) == 30


def test_the_demos_own_sentences_are_of_known_words_and_new() -> None:
    sources = [pair.source for pair in sample_pairs("phrases")]
    words = {word for source in sources for word in source.split()}
    for sentence in ASKED:
        assert set(sentence.split()) <= words, sentence
        assert sentence not in sources


def test_ctrl_c_leaves_a_usable_model_and_the_run_goes_on(
    dragoman: Command, dragoman_command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "p.tsv").write_text(PAIRS, encoding="utf-8")
    command = [
        *dragoman_command,
        "train",
        str(tmp_path / "p.tsv"),
        "--out",
        str(tmp_path / "m"),
        *SMALL,
        "--steps",
        "100000",
        "--patience",
        "0",
        "--validate-every",
        "100000",
        "--report-every",
        "1",
    ]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has none
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, before)
    metrics = tmp_path / "m" / "metrics.jsonl"
    for _ in range(600):
        if metrics.exists() and metrics.read_text().count("\n") > 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    assert b"stopped by SIGINT" in said and b"Traceback" not in said
    assert dragoman("translate", tmp_path / "m", text="un chat\n").stdout.count(b"\n") == 1
    steps = len([r for r in metrics.read_text().splitlines() if '"train"' in r])
    command[command.index("100000")] = str(steps + 2)
    again = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert again.returncode == 0 and f"resuming at step {steps}".encode() in again.stderr


def test_two_trainings_do_not_share_a_folder(dragoman: Command, tmp_path: Path) -> None:
    import fcntl

    (tmp_path / "p.tsv").write_text(PAIRS, encoding="utf-8")
    (tmp_path / "m").mkdir()
    with open(tmp_path / "m" / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = dragoman("train", tmp_path / "p.tsv", "--out", tmp_path / "m", *SMALL)
    assert done.returncode == 2
    assert b"another training is writing here" in done.stderr


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run in this process; the command must refuse with exit code 2 and one line."""
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "p.tsv: no such file"),
        (b"", "p.tsv: is empty"),
        (b"one column\n" * 20, "p.tsv:1: 1 column, 2 expected"),
        (b"caf\xe9\tcoffee\n", r"p.tsv:1: byte 4 (0xE9) is not UTF-8"),
        (bytes(range(256)) * 20, "p.tsv"),
        (b"\x1f\x8b\x08" + b"\0" * 99, "gzip"),
        ("a\tb\n".encode("utf-16")[:-1], "p.tsv: damaged, cut short"),
        (b"\t\n \t \n" * 9, "p.tsv:1"),
        (b"a\0b\tc\n" * 9, "p.tsv:1"),
        (b"x" * 1_000_000 + b"\ty\n", "p.tsv:1"),
        ("\u200b\t\u200b\n".encode() * 9, "p.tsv:1"),
    ],
)
def test_bad_pairs_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "p.tsv"
    if content is not None:
        path.write_bytes(content)
    said = refused(capsys, "train", path, "--out", tmp_path / "m")
    assert message.lower() in said.lower() and said.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_some_bad_lines_are_counted_and_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [f"un {i}\tone {i}" for i in range(200)]
    rows[7], rows[90] = "no second column", "\u200b\tempty"
    rows[30], rows[50] = "a\u2028b\tkept", "c\td\r"
    (tmp_path / "p.tsv").write_bytes(b"\xef\xbb\xbf" + "\n".join(rows).encode() + b"\n")
    assert main(["train", str(tmp_path / "p.tsv"), "--out", str(tmp_path / "m"), *SMALL]) == 0
    said = capsys.readouterr().err
    assert "1 line left out, columns:" in said and "p.tsv:8: 1 column, 2 expected" in said
    assert "1 line left out, empty:" in said and "p.tsv:91:" in said
    assert "179 pairs to learn from, 19 held out" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "dragoman trian: there is no such verb (did you mean 'train'?)"),
        (["trian", "m", "n"], "there is no such verb (did you mean 'train'?)"),
        (["train"], "missing from dragoman train"),
        (["train", "{d}", "--out", "m"], "is a directory"),
        (
            ["train", "p", "--out", "m", "--hiden", "3"],
            "--hiden: there is no such option (did you mean 'hidden'?)",
        ),
        (
            ["train", "p", "--out", "m", "--level", "char"],
            "--level: several options end so (--source.level or --target.level)",
        ),
        (["train", "p", "--out", "m", "--model.hiden=3"], "did you mean 'model.hidden'?"),
        (["train", "p", "--out", "p/x"], "is a file, a folder is expected"),
        (["train", "p", "--out", "/dev/null"], "is a file, a folder is expected"),
        (["train", "p", "--out", "m", "--hidden", "100000000"], "100000000 is too large"),
        (["train", "p", "--out", "m", "--watch", "\udcff"], "training.watch: it is not UTF-8"),
        (["translate", "{f}", "--length-penalty", "300"], "search.length_penalty: 300.0 is too"),
        (["explain", "{f}", "a", "--attention", "{d}/dir.png"], "is a folder"),
        (["train", "p", "--out", "m", "--hidden", "x"], "hidden"),
        (["train", "p", "--out", "m", "--dropout", "2"], "model.dropout: 2.0 is too large"),
        (["train", "p", "--out", "m", "--budget", "soon"], "'soon' is not a duration"),
        (["train", "p", "--out", "m", "--recipe", "no.toml"], "no.toml: cannot be read"),
        (["train", "p", "p", "p", "--out", "m"], "two"),
        (["translate", "{d}/nothing"], "no such folder"),
        (["translate", "{d}"], "is not a model folder"),
        (["translate", "{f}", "--beam", "0"], "search.beam: 0 is too small"),
        (["translate", "{f}", "--input", "{d}/nothing"], "no such file"),
        (["evaluate", "{f}", "{d}/nothing"], "no such file"),
        (["train", "p", "--out", "m", "--seeds", "0"], "--seeds: 0 is too small, at least 1"),
        (["explain", "{f}", "a", "--attention", "map.txt"], "no ending of a picture"),
        (["explain", "{f}", "a", "--attention", "no/map.png"], "no such folder: no"),
        (["explain", "{f}", "a", "--html", "-"], "--html: - is no file"),
        (["evaluate", "{f}", "p", "--outputs", "-"], "--outputs: - is no file"),
        (["check", "p", "--fix", "-"], "--fix: - is no file"),
        (["translate", "{f}", "--n-best", "0"], "search.n_best: 0 is too small"),
        (["translate", "{f}", "--n-best", "3"], "--n-best: more than one output for a line needs"),
        (["evaluate", "{f}", "--outputs", "no/out"], "no such folder: no"),
        (["evaluate", "{f}", "{f}", "--outputs", "out"], "2 models, it takes one"),
        (["evaluate", "{f}", "{d}"], "is not a model folder"),
        (["translate", "{f}", "--min-confidence", "0.5"], "has no confidence: a single model"),
        (
            ["translate", "{f}", "--min-confidence", "5"],
            "--min-confidence: 5.0 is too large, at most 1",
        ),
        (["demo", "--out", "{d}"], "is not a demo's folder (another"),
        (["demo", "--out", "{d}/p"], "is not a demo's folder (another"),
        (["train", "p", "--out", "m", "--validation-pairs", "nothing"], "no such file"),
        (["train", "p", "--out", "m", "--start-from", "nosuch"], "nosuch: no such folder"),
        (["train", "p", "p", "--out", "m"], "both look like files of pairs"),
        (["evaluate", "{f}", "p", "p"], "--validation-pairs p to validate on it"),
        (["train", "p", "--out", "m", "--source.keep-only", "z-a"], "is not a set of characters"),
        (["data", "get", "phrase"], "did you mean 'phrases'"),
        (["data", "get"], "no sample '' (choices: "),
        (["check", "{d}/nothing"], "no such file"),
        (["check", "p", "--fix", "m.csv"], "--fix: tsv is written (a name that ends in .tsv)"),
        (["check", "p", "--fix", "m.tsv.GZ"], "--fix: tsv is written (a name that ends in .tsv)"),
    ],
)
def test_wrong_usage_is_refused(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").write_text(PAIRS, encoding="utf-8")
    (tmp_path / "dir.png").mkdir()
    given = [a.format(d=tmp_path, f=folder) for a in arguments]
    assert message.lower() in refused(capsys, *given).lower()
    assert not (tmp_path / "m").exists()


def test_latin_1_on_standard_input_is_answered_and_named(dragoman: Command, folder: Path) -> None:
    done = dragoman("translate", folder, text=b"un\ncaf\xe9\n\xe9t\xe9\ndeux\n")
    assert done.returncode == 0 and done.stdout.count(b"\n") == 4
    assert b"stdin:2: byte 4 (0xE9) is not UTF-8" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("end", ["", "--json"])
def test_a_line_through_a_pipe_is_answered_before_the_next_is_asked(
    dragoman_command: list[str], folder: Path, end: str
) -> None:
    """A program that waits for each answer must not wait for a block of lines to fill."""
    command = [*dragoman_command, "translate", str(folder), *end.split()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        hangs = Timer(90, process.kill)
        hangs.start()
        for asked in (b"un chat !\n", b"deux chats !\nun\n", b"\n", b"un chien !"):
            process.stdin.write(asked)
            process.stdin.close() if asked[-1:] != b"\n" else process.stdin.flush()
            for _ in range(max(1, asked.count(b"\n"))):
                assert process.stdout.readline().endswith(b"\n")
        assert process.stdout.read() == b""
        hangs.cancel()
    assert process.returncode == 0


def test_a_reader_that_has_gone_is_no_traceback(folder: Path) -> None:
    text = "un chat\n" * 20000
    command = f"{sys.executable} -m dragoman translate {folder} --beam 1 | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], input=text.encode(), capture_output=True, timeout=120, check=False
    )
    assert done.stdout.count(b"\n") == 1 and b"Traceback" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out.replace("\u2502", " ")
    assert f"usage: dragoman {verb}" in text
    # An option starts a line in its box; what follows, up to the next, is its explanation.
    options = re.split(r"\n\s+(?=--[a-z])", text)[1:]
    assert options
    for option in options:
        name, _, explanation = " ".join(option.split()).partition(" ")
        assert re.search(r"\((default|required|sets|repeatable)", explanation), name
        assert len(explanation) > 25, name


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_are_no_traceback(folder: Path, closed: str) -> None:
    command = f"{sys.executable} -m dragoman translate {folder} --beam 1 {closed}"
    done = subprocess.run(
        ["bash", "-c", command], input=b"un\n", capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert done.stdout.count(b"\n") == (1 if closed == "2>&-" else 0)


def test_help_into_a_full_device_fails(tmp_path: Path) -> None:
    command = f"{sys.executable} -m dragoman --help > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_run_killed_while_it_was_prepared_begins_again(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text(PAIRS, encoding="utf-8")
    (tmp_path / "m" / "corpus.partial").mkdir(parents=True)
    (tmp_path / "m" / "corpus.partial" / "text.arrow").write_bytes(b"half")
    (tmp_path / "m" / "corpus").mkdir()
    (tmp_path / "m" / "source.json.partial").write_text("{")
    (tmp_path / "m" / "target.json.99.partial").write_text("{")
    assert main(["train", str(tmp_path / "p.tsv"), "--out", str(tmp_path / "m"), *SMALL]) == 0
    assert not list((tmp_path / "m").rglob("*.partial"))


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in VERBS)
    assert main([]) == 2


def test_short_names_stand_for_whole_ones() -> None:
    assert lengthen(Train, ["--hidden", "3", "--no-reverse", "--out=x", "--seed=4"]) == [
        "--model.hidden",
        "3",
        "--data.no-reverse",
        "--out=x",
        "--training.seed=4",
    ]
    layers = ["--encoder-layers=2", "--model.transformer.encoder-layers=2", "--heads=8"]
    whole = ["--model.encoder-layers=2", layers[1], "--model.transformer.heads=8"]
    assert lengthen(Train, layers) == whole  # a group hides what its inner groups have
    with pytest.raises(OptionError, match="--level: several options end so"):
        lengthen(Train, ["--level", "char"])  # source's or target's?
    with pytest.raises(OptionError, match="--no-hidden: there is no such option"):
        lengthen(Train, ["--no-hidden"])


def test_options_that_are_given_are_told_from_defaults() -> None:
    arguments = ["--out", "m", "--no-bidirectional", "--no-repeat=2", "--", "p", "-x"]
    asked, given = parse(Train, arguments)
    assert given == {"model": {"bidirectional": False}, "search": {"no_repeat": 2}}
    assert asked.pairs == (Path("p"), Path("-x"))
    _, given = parse(Train, ["p", "--out", "m", "--family", "hybrid", "--heads", "2", "--cell=rnn"])
    assert given == {"model": {"family": "hybrid", "transformer": {"heads": 2}, "cell": "rnn"}}


HEAVY = ["torch", "accelerate", "matplotlib", "tokenizers", "pyarrow", "sacrebleu", "tyro", "rich"]


@pytest.mark.parametrize(
    "code",
    [
        "import dragoman",
        "from dragoman.cli import main; main(['--help'])",
        "import dragoman.search.loop, dragoman.search.translator, dragoman.data.prepare",
    ],
)
def test_torch_is_not_imported_before_its_time(code: str) -> None:
    probe = f"{code}\nimport sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True, text=True)
    loaded = done.stdout.splitlines()[-1]
    assert "torch" not in loaded and "accelerate" not in loaded
    if "search" not in code:
        assert loaded == "[]"


def test_a_locale_that_is_not_utf_8_changes_nothing(dragoman: Command, folder: Path) -> None:
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = ("explain", folder, "un œuf", "--json")
    found = [dragoman(*asked), run(FRESH, *asked, env=ascii_only)]
    assert [done.returncode for done in found] == [0, 0], found[1].stderr
    assert found[0].stdout == found[1].stdout


def test_a_wrong_request_leaves_the_other_lines_their_answers(
    dragoman: Command, folder: Path, tmp_path: Path
) -> None:
    lines = [
        '{"source": "un chat", "must": ["cat"]}',
        "",
        '{"source": "un chat", "must": "cat"}',
        '{"source": "un chat", "never": ["cat"]}',
        '{"source": "un chat", "must": ["zebra\u00e9"]}',
        '{"source": "deux chat"}',
    ]
    (tmp_path / "in").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = ("translate", folder, "--requests", "--input", tmp_path / "in")
    plain, as_json = dragoman(*asked), dragoman(*asked, "--json")
    assert plain.returncode == as_json.returncode == 1
    answers = plain.stdout.decode().split("\n")
    assert [bool(answer) for answer in answers] == [True, False, False, True, False, True, False]
    assert "cat" in answers[0] and "cat" not in answers[3]
    found = [json.loads(line) for line in as_json.stdout.decode().splitlines()]
    assert [row.get("text") for row in found] == [
        answer if wrong not in (2, 4) else None for wrong, answer in enumerate(answers[:6])
    ]
    assert "in:3: must cannot be 'cat' (it takes a list: " in found[2]["error"]
    assert "in:5: must: 'zebra\u00e9' is not in the target vocabulary" in found[4]["error"]
    said = plain.stderr.decode().splitlines()
    assert [line.split(": ")[1].rpartition("/")[2] for line in said] == ["in:3", "in:5"]


def test_a_device_that_is_not_there_is_refused(dragoman: Command, folder: Path) -> None:
    for device in ("cuda:99", "tpu", "meta", ""):
        with pytest.raises(OptionError, match="device: '.*' is not a device of this machine"):
            load(folder, device=device)
    done = dragoman("translate", folder, "--device", "cuda:99", text="un\n")
    assert done.returncode == 2 and b"cuda:99" in done.stderr and b"Traceback" not in done.stderr
    plain, named = dragoman("translate", folder, text="un\n"), load(folder, device="cpu")
    assert named.translate(["un"])[0].text == plain.stdout.decode().rstrip("\n")


def test_scores_and_explanations_check_their_options(folder: Path) -> None:
    model = load(folder)
    with pytest.raises(OptionError, match="search.length_penalty: -1 is too small"):
        model.score([("un", "one")], length_penalty=-1)
    with pytest.raises(OptionError, match="search.n_best: a beam of 2 cannot give 3"):
        model.score([("un", "one")], beam=2, n_best=3)
    with pytest.raises(OptionError, match="search.max_ratio: nan is not a finite"):
        model.explain("un", max_ratio=math.nan)


def test_evaluate_and_score_read_other_columns(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [line.split("\t") for line in PAIRS.splitlines()]
    (tmp_path / "two").write_text(PAIRS, encoding="utf-8")
    three = "".join(f"{source}\tnote\t{target}\n" for source, target in rows)
    (tmp_path / "three").write_text(three, encoding="utf-8")
    for verb, shown in (("evaluate", ["--json"]), ("score", [])):
        said = []
        for more in (["two"], ["three", "--columns", "1", "3"]):
            asked = [verb, str(folder), str(tmp_path / more[0]), *more[1:], *shown]
            assert main(asked) == 0
            said.append(capsys.readouterr().out)
        if verb == "evaluate":
            said = [json.dumps(json.loads(text)["scores"]) for text in said]
        assert said[0] == said[1]


def test_plain_output_without_colours(dragoman: Command, folder: Path) -> None:
    environment = os.environ | {"NO_COLOR": "1"}
    done = dragoman("evaluate", folder, env=environment)
    assert b"\x1b[" not in done.stdout + done.stderr


def test_real_data_trains_a_step(dragoman: Command, tmp_path: Path) -> None:
    path = shared_data("tatoeba/eng-fra.tsv.gz")
    done = dragoman(
        "train",
        path,
        "--reverse",
        "--out",
        tmp_path / "m",
        *SMALL,
        "--steps",
        "1",
        "--validation-sample",
        "5",
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"164,130 pairs to learn from, 1,000 held out" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_code_tells_the_signal(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def killed(_: str) -> object:
        os.kill(os.getpid(), number)
        time.sleep(10)
        raise AssertionError("the signal did nothing")

    monkeypatch.setattr("dragoman.cli.import_module", killed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs begin without one
    try:
        assert main(["check"]) == 128 + number
    finally:
        for kind, handler in handlers.items():
            signal.signal(kind, handler)
