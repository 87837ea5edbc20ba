"""Forty faults planted in clean pairs: each is found at its line, and ``--fix`` deals with it."""

from __future__ import annotations

import csv
import random
import re
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import pytest

from dragoman.cli.check import Check
from dragoman.cli.parse import parse
from dragoman.config.options import DataOptions
from dragoman.data.check.check import check_pairs
from dragoman.data.check.report import Report
from dragoman.data.samples import sample_pairs
from dragoman.errors import OptionError
from tiny import shared_data

PAIRS = 1500


@dataclass(frozen=True)
class Fault:
    """``old`` in a line becomes ``new``; an ``old`` of None stands for the whole line."""

    kind: str
    old: bytes | None
    new: bytes
    fixed: str = "changed"
    """What ``--fix`` does: "changed", "removed", or "" for nothing."""


def utf8(kind: str, new: str, fixed: str = "changed", old: bytes | None = None) -> Fault:
    return Fault(kind, old, new.encode(), fixed)


FAULTS = {
    # Lines that are no pairs.
    11: Fault("columns", b"\t", b" ", "removed"),
    52: Fault("empty", None, b"", "removed"),
    93: Fault("empty", None, b"une maison\t  ", "removed"),
    134: utf8("empty", "\u200b\u00a0\tthe house", "removed"),
    175: Fault("control characters", b"\t", b"\x07\t", "removed"),
    216: Fault("control characters", b"\t", b"\t\0", "removed"),
    257: Fault("encoding", b"\t", b" caf\xe9\t", "removed"),
    298: Fault("encoding", b"\t", b"\t\xff\xfe ", "removed"),
    339: Fault("too long", b"\t", b" " + b"x" * 2100 + b"\t", "removed"),
    # Text that was decoded or written wrongly.
    380: utf8("broken encoding", " cafÃ©\t", old=b"\t"),
    401: utf8("broken encoding", "\tdonâ€™t ", old=b"\t"),
    422: utf8("lost characters", "\t\ufffd ", "removed", old=b"\t"),
    443: utf8("broken encoding", " it\x92s\t", old=b"\t"),
    464: utf8("private characters", " \uf0b7\t", "", old=b"\t"),
    485: utf8("invisible characters", " zero\u200bwidth\t", old=b"\t"),
    506: utf8("invisible characters", "\tsoft\u00adhyphen ", old=b"\t"),
    527: utf8("byte order marks", "\t\ufeffmark ", old=b"\t"),
    548: utf8("invisible characters", " \u202eright to left\u202c\t", old=b"\t"),
    569: utf8("invisible characters", "\tno\u200cjoin ", old=b"\t"),
    590: utf8("mixed scripts", " l\u0430\t", "", old=b"\t"),
    611: utf8("mixed scripts", "\tth\u0435 ", "", old=b"\t"),
    632: utf8("mixed scripts", " \u039darbonne\t", "", old=b"\t"),
    653: utf8("ligatures", "\tof\ufb01ce ", old=b"\t"),
    674: utf8("mixed scripts", " Bo\u0436our\t", "", old=b"\t"),
    695: utf8("decomposed letters", " e\u0301te\u0301\t", old=b"\t"),
    716: Fault("line ends inside", b"\t", b"\tone\rtwo "),
    737: utf8("line ends inside", " un\u2028deux\t", old=b"\t"),
    758: utf8("unusual spaces", " \u00e0\u202f?\t", "", old=b"\t"),
    779: Fault("loose spaces", b"\t", b"  \t"),
    800: Fault("entities", b"\t", b"\tsalt &amp; pepper "),
    821: Fault("markup", b"\t", b" <b>gras</b>\t", ""),
    842: Fault("addresses", b"\t", b"\tsee https://example.org/page ", ""),
    # Pairs that are none.
    863: Fault("wordless", None, b"je suis ici .\t...", "removed"),
    884: Fault(
        "untranslated",
        None,
        b"the whole sentence is here .\tthe whole sentence is here .",
        "removed",
    ),
    905: Fault("length ratio", None, b"oui .\tand so on" + b" and so on" * 15, "removed"),
    926: utf8("different digits", " 1987\t", "", old=b"\t"),
    # 947 repeats 946, 968 is exchanged, 1000 to 1039 are shifted, 1100 is of the test: see below.
}


def planted() -> bytes:
    rows = [f"{p.source}\t{p.target}".encode() for p in sample_pairs("phrases", count=PAIRS)]
    for line, fault in FAULTS.items():
        old = rows[line - 1]
        rows[line - 1] = fault.new if fault.old is None else old.replace(fault.old, fault.new)
    rows[946] = rows[945]
    rows[967] = b"\t".join(reversed(rows[967].split(b"\t")))
    targets = [row.split(b"\t")[1] for row in rows[999:1039]]
    for at, target in enumerate([targets[-1], *targets[:-1]], 999):
        rows[at] = rows[at].split(b"\t")[0] + b"\t" + target
    return b"\n".join(rows) + b"\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "p.tsv").write_bytes(planted())
    source, _ = planted().split(b"\n")[1099].split(b"\t")
    (folder / "test.tsv").write_bytes(b"x\ty\n" + source.upper() + b"\tanything\n")
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return check_pairs(
        [folder / "p.tsv"],
        DataOptions(),
        against=[folder / "test.tsv"],
        fix=folder / "clean.tsv",
        shown=1000,
    )


def lines_of(report: Report, kind: str) -> list[int]:
    found = [f for f in (*report.left_out, *report.findings) if f.kind == kind]
    return [int(place.split(":")[1]) for finding in found for place in finding.places]


EVERY = {line: fault.kind for line, fault in FAULTS.items()} | {
    947: "duplicates",
    968: "swapped sides",
    1000: "shifted lines",
    1100: "test sources",
}


def test_there_are_forty() -> None:
    assert len(EVERY) == 40


@pytest.mark.parametrize(("line", "kind"), EVERY.items())
def test_each_fault_is_found_at_its_line(report: Report, line: int, kind: str) -> None:
    assert line in lines_of(report, kind)


def test_nothing_else_is_found(report: Report) -> None:
    """But for what a planted fault brings with it: a space, a digit, an apostrophe."""
    found = {f.kind for f in (*report.left_out, *report.findings)}
    assert found == set(EVERY.values())
    for kind in found:
        wanted = {line for line, name in EVERY.items() if name == kind}
        assert set(lines_of(report, kind)) == wanted, kind


def test_the_cleaned_file_and_the_list_of_changes(folder: Path, report: Report) -> None:
    with (folder / "clean.tsv.changes.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert rows[0] == ["place", "what", "why", "detail"]
    done = {(int(place.rpartition(":")[2]), why): what for place, what, why, _ in rows[1:]}
    for line, fault in FAULTS.items():
        assert done.get((line, fault.kind), "") == fault.fixed, (line, fault)
    assert done[947, "duplicates"] == done[1100, "test sources"] == "removed"
    assert done[968, "swapped sides"] == "changed"
    shifted = {line for line, why in done if why == "shifted lines"}
    assert shifted >= set(range(1003, 1037)) and shifted <= set(range(997, 1043))
    assert all(done[line, "shifted lines"] == "changed" for line in range(1003, 1037))
    removed = {line for (line, _), what in done.items() if what == "removed"}
    clean = (folder / "clean.tsv").read_text("utf-8").splitlines()
    assert len(clean) == PAIRS - len(removed)
    assert report.cleaned.startswith(f"{len(clean):,} pairs in ")
    right = [f"{p.source}\t{p.target}" for p in sample_pairs("phrases", count=PAIRS)]
    assert set(clean) >= set(right[1002:1036])  # shifted targets stand where they belong
    assert len(set(clean) - set(right)) <= sum(
        fault.fixed != "removed" for fault in FAULTS.values()
    )


def test_a_cleaned_file_has_nothing_left_to_fix(folder: Path, report: Report) -> None:
    again = check_pairs([folder / "clean.tsv"], DataOptions(), fix=folder / "again.tsv")
    assert report.cleaned and ", 0 of them changed" in again.cleaned
    assert {f.kind for f in again.findings if f.severity != "note"} == {"mixed scripts", "markup"}
    assert (folder / "again.tsv").read_bytes() == (folder / "clean.tsv").read_bytes()


def test_a_clean_file_stays_as_it_is(tmp_path: Path) -> None:
    pairs = sample_pairs("phrases", count=500)
    text = "".join(f"{p.source}\t{p.target}\n" for p in pairs)
    (tmp_path / "p.tsv").write_text(text, encoding="utf-8", newline="\n")
    check_pairs([tmp_path / "p.tsv"], DataOptions(), fix=tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text("utf-8") == text
    assert (tmp_path / "out.tsv.changes.tsv").read_text("utf-8") == "place\twhat\twhy\tdetail\n"


def test_the_pairs_themselves_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "p.tsv"
    path.write_text("a\tb\n")
    (tmp_path / "link.tsv").symlink_to(path)
    for name, text in (
        ("p.tsv", "would overwrite .*p.tsv, which is read"),
        ("link.tsv", "would overwrite .*p.tsv, which is read"),
        ("no/p.tsv", "no such folder"),
        ("", "is a folder"),
    ):
        with pytest.raises(OptionError, match=text):
            parse(Check, [str(path), "--fix", str(tmp_path / name)])
    assert path.read_text() == "a\tb\n"


def test_lines_that_are_all_shifted(tmp_path: Path) -> None:
    """A line that is missing at the head of one of two aligned files."""
    pairs = sample_pairs("phrases", count=PAIRS)
    (tmp_path / "a").write_text("".join(f"{p.source}\n" for p in pairs[:-1]), encoding="utf-8")
    (tmp_path / "b").write_text("".join(f"{p.target}\n" for p in pairs[1:]), encoding="utf-8")
    report = check_pairs([tmp_path / "a", tmp_path / "b"], DataOptions())
    (finding,) = (f for f in report.findings if f.kind == "shifted lines")
    assert finding.count > PAIRS - 10
    assert "1 line further up" in finding.places[0]


def test_one_shift_is_one_run(tmp_path: Path) -> None:
    """A line that is missing in the middle of one of two aligned files."""
    pairs = sample_pairs("phrases", count=3001)
    targets = [p.target for p in pairs]
    del targets[2000]
    (tmp_path / "a").write_text("".join(f"{p.source}\n" for p in pairs[:-1]), encoding="utf-8")
    (tmp_path / "b").write_text("".join(f"{text}\n" for text in targets), encoding="utf-8")
    report = check_pairs([tmp_path / "a", tmp_path / "b"], DataOptions())
    (finding,) = (f for f in report.findings if f.kind == "shifted lines")
    (place,) = finding.places
    assert abs(finding.count - 1000) < 5 and place.endswith("1 line further up")


@pytest.mark.slow
@pytest.mark.parametrize(("lost", "side"), [(1, "a"), (2, "b"), (3, "a"), (3, "b"), (5, "b")])
def test_whole_files_that_are_shifted(tmp_path: Path, lost: int, side: str) -> None:
    """Lines that are missing at the head, however few pairs are right as they stand."""
    pairs = sample_pairs("phrases", count=1200)
    texts = {"a": [p.source for p in pairs], "b": [p.target for p in pairs]}
    del texts[side][:lost]
    rows = list(zip(texts["a"], texts["b"], strict=False))
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    report = check_pairs([tmp_path / "p.tsv"], DataOptions(), fix=tmp_path / "out.tsv")
    (finding,) = (f for f in report.findings if f.kind == "shifted lines")
    (place,) = finding.places
    far = f"{lost} line{'s' * (lost > 1)} further {'down' if side == 'a' else 'up'}"
    assert place.endswith(far) and finding.count > 1180
    kept = {tuple(s.split("\t")) for s in (tmp_path / "out.tsv").read_text("utf-8").splitlines()}
    assert kept <= {(p.source, p.target) for p in pairs} and len(kept) > 1175


@pytest.mark.slow
@pytest.mark.parametrize("change", ["lost", "added", "lost and added", "all"])
def test_shifted_targets_are_put_where_they_belong(tmp_path: Path, change: str) -> None:
    """No pair is made that was none before; but for a few at a change, all come back."""
    pairs = sample_pairs("phrases", count=3000)
    sources, targets = [p.source for p in pairs], [p.target for p in pairs]
    if "lost" in change:
        del targets[1000]
    if "added" in change:
        targets.insert(2000, "Oh, and one more.")
    if change == "all":
        del targets[:2]
    rows = list(zip(sources, targets, strict=False))
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    told: list[Report] = []
    report = check_pairs(
        [tmp_path / "p.tsv"], DataOptions(), fix=tmp_path / "out.tsv", tell=told.append
    )
    (finding,) = (f for f in report.findings if f.kind == "shifted lines")
    assert len(finding.places) == 1
    right = {(p.source, p.target) for p in pairs}
    text = (tmp_path / "out.tsv").read_text("utf-8")
    kept = [tuple(line.split("\t")) for line in text.splitlines()]
    assert set(kept) <= right and len(kept) > 2980
    sentence = r"--fix makes ([\d,]+) changes: shifted lines \(\S+: takes the target of line .*"
    (moved,) = filter(None, (re.fullmatch(sentence, change) for change in told[0].changes))
    assert int(moved[1].replace(",", "")) > 900
    assert told[0].cleaned == "" and told[0].changes == report.changes


@pytest.mark.slow
def test_lines_that_are_alike_are_not_shifted() -> None:
    """Forms of one noun follow each other: the right one is much like those around it.

    A noun alone tells nothing of the case and number in its line.
    """
    for name, columns in product(("deu.dev", "ita.dev"), ((2, 3), (1, 2))):
        file = shared_data(f"inflection2023/{name}.gz")
        kinds = {f.kind for f in check_pairs([file], DataOptions(columns=columns)).findings}
        assert not kinds & {"swapped sides", "shifted lines"}


def test_sources_that_tell_little_of_their_targets_are_not_shifted(tmp_path: Path) -> None:
    """All forms of a word follow each other: it is seen with the tags of the lines around it."""
    draw = random.Random(3)
    words = sorted("".join(draw.choices("abdeiklmnorstu", k=7)) for _ in range(150))
    tags = list(product(("SG", "PL"), ("NOM", "ACC", "DAT", "GEN", "INS")))
    rows = [(word, f"{case}({number})") for word in words for number, case in tags]
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    report = check_pairs([tmp_path / "p.tsv"], DataOptions())
    assert not {"swapped sides", "shifted lines"} & {f.kind for f in report.findings}


def test_one_language_on_both_sides_is_neither_swapped_nor_shifted(tmp_path: Path) -> None:
    said = [p.target for p in sample_pairs("phrases", count=600)]
    text = "".join(f"{a}\t{b}\n" for a, b in pairwise(said))
    (tmp_path / "p.tsv").write_text(text, encoding="utf-8")
    kinds = {f.kind for f in check_pairs([tmp_path / "p.tsv"], DataOptions()).findings}
    assert not kinds & {"swapped sides", "shifted lines"}


def test_sides_are_exchanged_where_the_words_are_few(tmp_path: Path) -> None:
    """A few exchanged pairs put every word of a small vocabulary on both sides."""
    verbs = ("walk", "run", "look", "jump")
    said = [" and ".join(words) for words in product(verbs, repeat=5)]
    rows = [(text, text.replace(" and ", " ").upper().replace(" ", " I_")) for text in said]
    for at in (100, 500, 900):
        rows[at] = rows[at][1], rows[at][0]
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    report = check_pairs([tmp_path / "p.tsv"], DataOptions())
    assert lines_of(report, "swapped sides") == [101, 501, 901]
