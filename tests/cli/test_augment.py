"""``dragoman augment``: pairs made from text of one language."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from itertools import product
from pathlib import Path

import pytest

import dragoman
from dragoman.cli import main
from dragoman.cli.augment import _with_noise

WORDS = {"un": "one", "deux": "two", "trois": "three", "quatre": "four", "cinq": "five"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that turns French numbers into English ones, with a confidence."""
    place = tmp_path_factory.mktemp("augment")
    lines = (" ".join(words) for n in (3, 4) for words in product(WORDS, repeat=n))
    pairs = (f"{line}\t{' '.join(WORDS[word] for word in line.split())}\n" for line in lines)
    (place / "pairs.tsv").write_text("".join(pairs))
    asked = ["train", str(place / "pairs.tsv"), "--out", str(place / "m"), "--steps", "120"]
    asked += ["--hidden", "24", "--embedding", "12", "--learning-rate", "0.02"]
    asked += ["--source.level", "word", "--target.level", "word"]
    assert main(asked) == 0
    return place / "m"


def test_each_line_is_the_target_of_its_translation(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = tmp_path / "mono.txt", tmp_path / "made.tsv"
    text.write_text("un deux trois\n\n  cinq cinq \nquatre\tdeux un un\n")
    model = dragoman.load(folder)
    sources = ["un deux trois", "cinq cinq", "quatre deux un un"]
    outputs = [answer.text for answer in model.translate(sources)]
    assert main(["augment", str(folder), str(text), "--out", str(out)]) == 0
    back = "".join(f"{made}\t{line}\n" for made, line in zip(outputs, sources, strict=True))
    assert out.read_text() == back
    assert f"3 pairs of 4 lines: {out}" in capsys.readouterr().err
    assert main(["augment", str(folder), str(text), "--out", str(out), "--forward"]) == 0
    forth = "".join(f"{line}\t{made}\n" for made, line in zip(outputs, sources, strict=True))
    assert out.read_text() == forth


def test_drawn_outputs_are_the_same_again_and_teach_beside_other_pairs(
    folder: Path, tmp_path: Path
) -> None:
    text, out = tmp_path / "mono.txt", tmp_path / "made.tsv"
    text.write_text("".join(f"{' '.join(words)}\n" for words in product(WORDS, repeat=2)))
    asked = ["augment", str(folder), str(text), "--out", str(out)]
    written = []
    for more in ([], [], ["--temperature", "3"], ["--temperature", "3"]):
        assert main([*asked, *more]) == 0
        written.append(out.read_text())
    assert written[0] == written[1] != written[2] == written[3]
    known = folder.parent / "pairs.tsv"
    learned = ["train", str(known), "--also", f"{out}=0.5", "--tag-also", "<bt>", "--reverse"]
    learned += ["--out", str(tmp_path / "m"), "--steps", "2", "--hidden", "8"]
    assert main([*learned, "--validation", "50"]) == 0


def test_unsure_and_unfinished_outputs_are_left_out(folder: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "mono.txt", tmp_path / "made.tsv"
    lines = [" ".join(words) for words in product(WORDS, repeat=2)]
    text.write_text("".join(f"{line}\n" for line in lines))
    model = dragoman.load(folder)
    assert model.confidence is not None
    answers = model.translate(lines)
    sure = sorted(map(model.confidence.of, answers))[len(lines) // 2]
    asked = ["augment", str(folder), str(text), "--out", str(out)]
    assert main([*asked, "--min-confidence", str(sure)]) == 0
    kept = [one.source for one in answers if model.confidence.of(one) >= sure]
    assert [line.split("\t")[1] for line in out.read_text().splitlines()] == kept
    assert 0 < len(kept) < len(lines)
    lines = [" ".join(words) for n in (3, 4) for words in product([*WORDS][:3], repeat=n)]
    text.write_text("".join(f"{line}\n" for line in lines))
    short = model.translate(lines, temperature=3.0, max_ratio=0, max_added=4)
    ended = [one.source for one in short if one.hypotheses[0].complete and one.text]
    asked += ["--temperature", "3", "--max-ratio", "0", "--max-added", "4"]
    assert main(asked) == 0
    assert [line.split("\t")[1] for line in out.read_text().splitlines()] == ended
    assert 0 < len(ended) < len(lines)


def test_noise_leaves_words_out_and_moves_them_a_little() -> None:
    chance, words = random.Random(5), [f"w{n}" for n in range(30)]
    noisy = [_with_noise(" ".join(words), chance).split() for _ in range(400)]
    assert 0.08 < 1 - sum(map(len, noisy)) / (400 * 30) < 0.12
    moved = 0
    for text in noisy:
        assert len({*text}) == len(text) and {*text} <= {*words}
        before = sorted(text, key=words.index)
        moved = max(moved, *(abs(text.index(word) - before.index(word)) for word in text))
    assert moved == 3
    assert {_with_noise("alone", chance) for _ in range(99)} == {"alone"}


def test_noise_is_in_the_source_that_the_model_made(folder: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "mono.txt", tmp_path / "made.tsv"
    text.write_text("un deux trois quatre\n" * 40)
    asked = ["augment", str(folder), str(text), "--out", str(out), "--noise"]
    assert main(asked) == 0
    pairs = [line.split("\t") for line in out.read_text().splitlines()]
    assert {target for _, target in pairs} == {"un deux trois quatre"}
    assert len({source for source, _ in pairs}) > 5
    assert main([*asked, "--forward"]) == 0
    pairs = [line.split("\t") for line in out.read_text().splitlines()]
    assert len({target for _, target in pairs}) == 1 < len({source for source, _ in pairs})
    assert {*" ".join(source for source, _ in pairs).split()} == {*WORDS} - {"cinq"}


def _size(path: Path) -> int:
    return path.stat().st_size


def test_features_stay_with_their_line(tmp_path: Path) -> None:
    ends = {"PL": "s", "PST": "d"}
    words = ["".join(letters) for letters in product("bcdfg", "aeiou")]
    rows = [f"{word}\t{tag}\t{word}{end}\n" for word in words for tag, end in ends.items()]
    (tmp_path / "p.tsv").write_text("".join(rows))
    columns = ["--columns", "1", "3", "--features-column", "2"]
    small = ["--hidden", "16", "--embedding", "8", "--refit", "False"]
    asked = ["train", str(tmp_path / "p.tsv"), *columns, *small, "--learning-rate", "0.02"]
    assert main([*asked, "--out", str(tmp_path / "m"), "--steps", "60"]) == 0
    (tmp_path / "mono").write_text("ba\tPL\nce\tPST\n")
    out = tmp_path / "made.tsv"
    made = ["augment", str(tmp_path / "m"), str(tmp_path / "mono"), "--out", str(out), "--forward"]
    assert main(made) == 0
    answers = dragoman.load(tmp_path / "m").translate(["ba\tPL", "ce\tPST"])
    assert out.read_text() == "".join(f"{one.source}\t{one.text}\n" for one in answers)
    asked += ["--also", str(out), "--out", str(tmp_path / "n"), "--steps", "2"]
    assert main(asked) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_an_interrupted_command_keeps_what_it_has_done(
    folder: Path, tmp_path: Path, dragoman_command: list[str]
) -> None:
    out = tmp_path / "made.tsv"
    command = [*dragoman_command, "augment", str(folder), "-", "--out", str(out)]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdin is not None and program.stderr is not None
    deadline = time.monotonic() + 60
    program.stdin.write(b"un deux trois\n" * 2048)  # a whole block; it is written at the latest now
    program.stdin.flush()
    while not any(map(_size, tmp_path.glob("made.tsv.*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    program.send_signal(signal.SIGTERM)
    said = program.stderr.read().decode()
    assert program.wait() == 128 + signal.SIGTERM
    written = out.read_text().splitlines()
    done = len(written)  # it may have been stopped between a pair and its count
    assert any(f"of the first {n:,} lines: {out}" in said for n in (done - 1, done))
    assert len(written) > 100 and {line.split("\t")[1] for line in written} == {"un deux trois"}


def test_what_contradicts_itself_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, out = tmp_path / "mono.txt", tmp_path / "made.tsv"
    text.write_text("un\n")
    asked = ["augment", str(folder), str(text), "--out", str(out)]
    assert main([*asked[:2], str(folder), *asked[2:4], str(text)]) == 2
    both = tmp_path / "both"
    for name in ("seed-1", "seed-2"):
        (both / name).parent.mkdir(exist_ok=True)
        (both / name).symlink_to(folder, target_is_directory=True)
    asked[1] = str(both)
    capsys.readouterr()
    assert main([*asked, "--min-confidence", "0.5"]) == 2
    assert (
        "--min-confidence: an ensemble, or a model of few held-out pairs, has no"
        in capsys.readouterr().err
    )
    text.write_text("\n \n")
    assert main(["augment", str(folder), str(text), "--out", str(out)]) == 2
    assert f"{text}: no pair could be made of these lines" in capsys.readouterr().err
    assert not out.exists()
