"""Files of the kinds that people report trouble with, read by the verbs that read pairs."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from dragoman.cli import main
from made_files import PACKINGS

pytestmark = pytest.mark.slow

TINY = ["--steps", "2", "--hidden", "16", "--embedding", "8", "--validation-sample", "4"]
VERBS = ("eat", "see", "buy", "sell", "draw", "wash", "hide", "lose")
THINGS = ("apples", "bread", "three cups", "a map", "shoes")
PAIRS = [(f"They {a} {b}.", f"Sie {a}en {b}, ja.") for a in VERBS for b in THINGS]


def run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """Run a verb; what it said on both streams."""
    done = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert done == code, out + err
    return out + err


def tsv(pairs: list[tuple[str, str]]) -> str:
    return "".join(f"{source}\t{target}\n" for source, target in pairs)


def test_entities_that_are_line_ends_or_tabs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What --fix writes has two columns a line and as many lines as it tells."""
    odd = ["a&#10;b", "c&#9;d", "e&Tab;f", "g&NewLine;h", "i&#13;&#10;j", "k&nbsp;l", "m&amp;#10;n"]
    pairs = [(f"{text} {n}", f"{n} {text}") for n, text in enumerate(odd)]
    (tmp_path / "p.tsv").write_text(tsv(pairs))
    said = run(capsys, "check", tmp_path / "p.tsv", "--fix", tmp_path / "clean.tsv")
    lines = (tmp_path / "clean.tsv").read_bytes().decode().split("\n")[:-1]
    kept = re.search(r"cleaned: (\d+) pairs", said)
    assert kept and len(lines) == int(kept[1]) == len(pairs)
    assert all(line.count("\t") == 1 and "\r" not in line for line in lines)
    run(capsys, "check", tmp_path / "clean.tsv", "--fix", tmp_path / "again.tsv")
    assert (tmp_path / "again.tsv").read_bytes() == (tmp_path / "clean.tsv").read_bytes()


def test_the_list_of_changes_is_no_file_that_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, there = tmp_path / "p.tsv", tmp_path / "clean.tsv.changes.tsv"
    for file in (pairs, there):
        file.write_text(tsv(PAIRS))
    for given in ([there], [pairs, "--against", there]):
        said = run(capsys, "check", *given, "--fix", tmp_path / "clean.tsv", code=2)
        assert f"--fix: {there} is read (another file)" in said
        assert there.read_text() == tsv(PAIRS) and not (tmp_path / "clean.tsv").exists()


def test_a_spreadsheet_and_flash_cards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f'"{a}, {n}","{b} ""{n}"""' for n, (a, b) in enumerate(PAIRS)]
    (tmp_path / "p.csv").write_text("\r\n".join(["English,German", *rows]) + "\r\n")
    said = run(capsys, "check", tmp_path / "p.csv", "--separator", ",", "--fix", tmp_path / "c.tsv")
    assert "p.csv: 40 lines, 40 usable pairs\nreads as: CSV, comma, quoted, header\n" in said
    assert (
        (tmp_path / "c.tsv")
        .read_text()
        .startswith('They eat apples., 0\tSie eaten apples, ja. "0"\n')
    )
    cards = "#separator:tab\n#html:true\n" + "".join(
        f'{a}[sound:{n}.mp3]\t"<b>{b}</b><br>""{n}"""\ttag\n' for n, (a, b) in enumerate(PAIRS)
    )
    (tmp_path / "cards.txt").write_text(cards)
    said = run(capsys, "check", tmp_path / "cards.txt", "--fix", tmp_path / "a.tsv")
    assert "reads as: Anki export, tab, HTML\n" in said and "40 usable pairs" in said
    assert (
        (tmp_path / "a.tsv").read_text().startswith('They eat apples.\tSie eaten apples, ja. "0"\n')
    )


def test_lines_that_end_in_carriage_returns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.tsv").write_bytes(tsv(PAIRS).replace("\n", "\r").encode())
    said = run(capsys, "check", tmp_path / "p.tsv")
    assert "40 lines, 40 usable pairs" in said
    assert f"{tmp_path / 'p.tsv'}: lines end in carriage returns\n" in said
    said = run(capsys, "train", tmp_path / "p.tsv", "--out", tmp_path / "m", *TINY)
    assert "36 pairs to learn from, 4 held out" in said
    for side in range(2):
        lines = "".join(f"{pair[side]}\r" for pair in PAIRS)
        (tmp_path / f"p.{side}").write_bytes(lines.encode())
    assert "40 usable pairs" in run(capsys, "check", tmp_path / "p.0", tmp_path / "p.1")
    assert run(capsys, "translate", tmp_path / "m", "--input", tmp_path / "p.0").count("\n") >= 40


def test_archives_and_packed_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("README", "train.tsv", "test.tsv"):
            entry = tarfile.TarInfo(name)
            entry.size = len(tsv(PAIRS))
            archive.addfile(entry, io.BytesIO(tsv(PAIRS).encode()))
    for name in ("c.tgz", "c.tar.gz", "c.gz"):
        (tmp_path / name).write_bytes(packed.getvalue())
        for verb in (["check"], ["train", "--out", str(tmp_path / "m")]):
            said = run(capsys, verb[0], tmp_path / name, *verb[1:], code=2)
            assert f"{name}: a tar archive, no file of pairs" in said
    assert not (tmp_path / "m").exists()
    for ending, pack in PACKINGS.items():
        path = tmp_path / f"p.tsv{ending}"
        path.write_bytes(pack(tsv(PAIRS).encode()))
        assert "40 usable pairs" in run(capsys, "check", path)


def test_json_and_a_test_of_another_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [{"translation": {"en": a, "de": b}} for a, b in PAIRS]
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps(value)}\n" for value in values))
    for fields in ([], ["--fields", "translation.en", "translation.de"]):
        said = run(capsys, "check", tmp_path / "p.jsonl", *fields)
        assert "40 usable pairs\nreads as: JSON lines, fields translation.en and" in said
    (tmp_path / "p.json").write_text(json.dumps([{"en": a, "de": b} for a, b in PAIRS], indent=1))
    said = run(capsys, "check", tmp_path / "p.json", "--fields", "en", "de")
    assert "40 usable pairs\nreads as: JSON array, fields en and de\n" in said
    asked = ["--format", "jsonl", "--fields", "translation.de", "translation.en"]
    said = run(capsys, "train", tmp_path / "p.jsonl", *asked, "--out", tmp_path / "m", *TINY)
    assert "reads as: JSON lines, fields translation.de and translation.en\n" in said
    (tmp_path / "t.tsv").write_text(tsv([(b, a) for a, b in PAIRS[:8]]))
    (tmp_path / "t.csv").write_text('German,English\n"Ja, ja","Yes\nyes"\n\nNein,No\n')
    assert '"lines": 8' in run(capsys, "evaluate", tmp_path / "m", tmp_path / "t.tsv", "--json")
    # One answer a record, whatever the number of its lines.
    main(["score", str(tmp_path / "m"), str(tmp_path / "t.csv"), "--tolerance", "0.5"])
    out, err = capsys.readouterr()
    assert [bool(line) for line in out.split("\n")] == [True, False, True, False]
    assert "reads as: CSV, comma, quoted, header" in err
    assert "40 usable pairs" in run(
        capsys, "check", tmp_path / "p.json", "--against", tmp_path / "t.csv"
    )


def test_validation_pairs_of_another_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.tsv.gz").write_bytes(gzip.compress(tsv(PAIRS[:32]).encode()))
    rows = [{"source": a, "target": b} for a, b in PAIRS[32:]]
    (tmp_path / "v.json").write_text(json.dumps(rows))
    others = ["--validation-pairs", tmp_path / "v.json"]
    said = run(capsys, "train", tmp_path / "p.tsv.gz", *others, "--out", tmp_path / "m", *TINY)
    assert "32 pairs to learn from, 8 held out" in said
    assert "reads as: TSV\n" in said and "reads as: JSON array, fields source and target\n" in said


def test_a_third_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """check, train, evaluate and score tell that it is not read."""
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\tV;PL\n" for a, b in PAIRS))
    told = "column 3 is not read: source and target are columns 1 and 2 (--columns to choose)"
    assert told in run(capsys, "check", tmp_path / "p.tsv")
    assert told in run(capsys, "train", tmp_path / "p.tsv", "--out", tmp_path / "m", *TINY)
    assert told in run(capsys, "evaluate", tmp_path / "m", tmp_path / "p.tsv")
    assert told in run(capsys, "score", tmp_path / "m", tmp_path / "p.tsv")


def test_digits_that_python_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Digits that are younger than the interpreter's tables, and signs that are no int()."""
    signs = [
        chr(c) for c in (0x1E4F5, 0x11F57, 0x1E5F7, 0x10D47, 0xB2, 0x2465, 0xBC, 0x56DB, 0x665)
    ]
    (tmp_path / "p.tsv").write_text(tsv([(f"number {c} {c}", f"Zahl {c}") for c in signs]), "utf-8")
    assert "9 usable pairs" in run(capsys, "check", tmp_path / "p.tsv")
    run(capsys, "train", tmp_path / "p.tsv", "--out", tmp_path / "m", *TINY)
    assert '"lines": 9' in run(capsys, "evaluate", tmp_path / "m", tmp_path / "p.tsv", "--json")
