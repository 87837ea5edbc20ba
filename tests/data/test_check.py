"""Reports of ``dragoman.data.check``: worked by hand on small files and counted on a large one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dragoman.config.options import DataOptions
from dragoman.data.check.check import check_pairs
from dragoman.data.check.report import Finding, Report, Side, Units, to_json
from dragoman.data.invisible import sentence_key
from dragoman.errors import DataError, OptionError
from tiny import shared_data


def check(folder: Path, text: str, options: DataOptions | None = None, **more: Any) -> Report:
    """The report on a file of ``text``, with places as if it lay in the current folder."""
    path = folder / "p.tsv"
    path.write_bytes(text.encode())
    report = check_pairs([path], options or DataOptions(), **more)

    def bare(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        places = (tuple(p.replace(str(path), "p.tsv") for p in f.places) for f in findings)
        return tuple(replace(f, places=p) for f, p in zip(findings, places, strict=True))

    findings, left_out = bare(report.findings), bare(report.left_out)
    return replace(report, files=("p.tsv",), findings=findings, left_out=left_out)


def found(report: Report, kind: str) -> Finding:
    """The finding of one kind, which must be there."""
    return next(finding for finding in report.findings if finding.kind == kind)


def test_a_report_worked_by_hand(tmp_path: Path) -> None:
    """Every number of a file of five pairs and one fault."""
    report = check(tmp_path, "Go.\tVa !\nGo!\tMarche !\nHi.\tSalut\nHi.\tSalut\nTom\tTom\nx\n")
    places = ("p.tsv:6: 1 column, 2 expected",)
    meaning = "left out; training would stop"
    assert report == Report(
        files=("p.tsv",),
        total_lines=6,
        pairs=5,
        left_out=(Finding("columns", "problem", 1, meaning, places, "line"),),
        source=Side(4, Units(5, 4, 1, 1, 1), Units(15, 8, 3, 3, 3), "char"),
        target=Side(4, Units(7, 5, 1, 2, 2), Units(25, 16, 5, 8, 8), "char"),
        findings=(
            Finding("duplicates", "warning", 1, "repeat an earlier pair", ("p.tsv:4: as line 3",)),
            Finding(
                *("untranslated", "note", 1, "source and target are the same"), ("p.tsv:5: Tom",)
            ),
        ),
        notes=("reads as: TSV",),
    )


def test_the_lines_begin_with_the_size_and_end_with_what_to_expect(tmp_path: Path) -> None:
    """One plain line a fact, what is left out before what is odd."""
    lines = check(tmp_path, "Go.\tVa !\nGo.\tVa !\n\ta\n" + "aaa bb\tccc\n" * 98).lines()
    assert lines == [
        "p.tsv: 101 lines, 100 usable pairs",
        "reads as: TSV",
        "warning: empty: 1 line: left out (p.tsv:3: the source is empty)",
        "source: 2 distinct texts; 198 tokens, 3 distinct (a line: median 2, 95 % 2, longest 2); "
        "594 characters, 6 distinct (a line: median 6, 95 % 6, longest 6)",
        "target: 2 distinct texts; 102 tokens, 3 distinct (a line: median 1, 95 % 1, longest 2); "
        "302 characters, 5 distinct (a line: median 3, 95 % 3, longest 4)",
        "warning: duplicates: 98 pairs: repeat an earlier pair (p.tsv:2: as line 1; "
        "p.tsv:5: as line 4; p.tsv:6: as line 4)",
        "learnable: 100 pairs, too few to do more than repeat them; "
        "suggests word for the source, char for the target",
    ]


def test_the_report_is_json(tmp_path: Path) -> None:
    """Plain numbers and strings only; none of NumPy's."""
    report = check(tmp_path, "a b\tc\na b\tc\nA, b\td\n" + "x1\t" + "y" * 90 + "\n" + "e\te\n" * 40)
    back = json.loads(json.dumps(report, default=to_json))
    assert back["source"]["tokens"]["percentile_95"] == 2
    assert {finding["kind"] for finding in back["findings"]} >= {"duplicates", "length ratio"}


@pytest.mark.parametrize(
    ("kind", "pair", "detail"),
    [
        ("broken encoding", "caf\u00c3\u00a9\tb", "source has 'cafÃ©' → 'café' (encode latin-1"),
        ("broken encoding", "a\tit\x92s", "target has 'it<U+0092>s' → 'it’s' (encode latin-1"),
        ("broken encoding", "naïve cœur cafÃ©\tb", "source has 'naïve cœur cafÃ©' → 'naïve cœur"),
        ("broken encoding", "donâ€™t\tb", "source has 'donâ€™t' → 'don’t' (encode sloppy-windo"),
        ("lost characters", "a\tb\ufffd", "target has U+FFFD in b\ufffd"),
        ("lost characters", "a\tb\x81", "target has U+0081 in b<U+0081>"),
        ("private characters", "a\tb\ue000\ue000\ue000", "target has U+E000 in b<U+E000><U+E000>"),
        ("invisible characters", "co\u00adop\tb", "source has 'co<U+00AD>op' → 'coop'"),
        ("invisible characters", "a\tb\u200bc", "target has 'b<U+200B>c' → 'bc'"),
        ("invisible characters", "a\u202eb\tb", "source has 'a<U+202E>b' → 'ab'"),
        ("byte order marks", "a\tb\ufeff", "target has 'b<U+FEFF>' → 'b'"),
        ("mixed scripts", "t\u043em\tb", "source has 't\u043em'"),
        ("mixed scripts", "a\t\u0421\u2019est", "target has '\u0421\u2019est'"),
        ("mixed scripts", "l\u2019\u0430\tb", "source has 'l\u2019\u0430'"),
        ("mixed scripts", "a\tM\u043e\u0441\u043a\u0432\u0430", "target has 'Mосква'"),
        ("mixed scripts", "\u039darbonne\tb", "source has '\u039darbonne'"),
        ("ligatures", "\ufb01n\tb", "source has '\ufb01n' → 'fin'"),
        ("mixed scripts", "a\tab\u0436", "target has 'ab\u0436'"),
        ("mixed scripts", "a\tf\u03b1\u03b2", "target has 'fαβ'"),
        ("mixed scripts", "\u0441o\tb", "source has 'сo'"),
        ("decomposed letters", "cafe\u0301\tb", "source has 'cafe\u0301' → 'café'"),
        ("line ends inside", "a\rb\tb", "source has 'a<U+000D>b' → 'a b'"),
        ("line ends inside", "a\tb\u2028c", "target has 'b<U+2028>c' → 'b c'"),
        ("entities", "R&amp;D\tb", "source has 'R&amp;D' → 'R&D' (apply unescape_html)"),
        ("markup", "a\tit is <b>bold</b>", "target has 'it is <b>bold</b>'"),
        ("markup", "see [[Paris]]\tb", "source has 'see [[Paris]]'"),
        ("addresses", "a\tsee https://a.org/b", "target has 'see https://a.org/b'"),
        ("addresses", "to tom@example.com\tb", "source has 'to tom@example.com'"),
        ("wordless", "Hello.\t...", "Hello. against ..."),
        ("untranslated", "New York\tNew York", "New York"),
        ("unusual spaces", "a\tOù\u202f?", "target has U+202F in Où<U+202F>?"),
        ("unusual spaces", "4\u00a05\t4 5", "source has U+00A0 in 4<U+00A0>5"),
        ("unusual spaces", "4\u20095\t4 5", "source has U+2009 in 4<U+2009>5"),
        ("loose spaces", "a \tb", "source has 'a ' → 'a'"),
        ("loose spaces", "a\t b", "target has ' b' → 'b'"),
        ("loose spaces", "a\tone two three four ", "target has '… two three four ' → '… two three"),
        ("different digits", "at 10:30\tà 10h31", "10 30 against 10 31"),
        ("different digits", "3 cats\ttrois chats", "3 against none"),
    ],
)
def test_oddities_of_a_pair(tmp_path: Path, kind: str, pair: str, detail: str) -> None:
    """Each is found in its own pair, and not in clean ones beside it."""
    finding = found(check(tmp_path, f"clean\tpropre\n{pair}\ntidy\tnet\n"), kind)
    (place,) = finding.places
    assert finding.count == 1 and place.startswith(f"p.tsv:2: {detail}")


@pytest.mark.parametrize(
    "pair",
    [
        "It's naïve, isn't it?\tC’est naïf, n’est-ce pas ?",
        "I paid $1,000 at 10:30.\tJ'ai payé 1 000 $ à 10h30.",
        "five \u0665\tcinq 5",
        "the word слово\tle mot слово",
        "N;GEN;SG роса\tN;GEN;SG росы",
        "5 µm\t5 µm long",
        "São Paulo, SÃO PAULO\tâge, ÂGE",
        "Où ça ?  » É… VIÑA…".replace("  ", " ") + "\tMANHÃ… LÀ » CAFÉ…",
        "a 5 kΩ resistor, Δt\tun résistor de 5 kΩ, Δt",
        "x < y and y > z & more\tx < y et y > z & plus",
        "l'a b\tm'a b",
        "self.table = [[] for _ in x]\tidentity<T>(arg: T)",
        "Trim the file x\t[[ -f x ]] && sed 's/[[:space:]]*$//' x",
        "a\u200d\t\u0645\u06cc\u200c\u062e\u0648",
    ],
)
def test_ordinary_text_is_not_odd(tmp_path: Path, pair: str) -> None:
    """Accents, joiners, separators in numbers and words of another script are no findings."""
    report = check(tmp_path, f"{pair}\n")
    assert report.findings == ()


@pytest.mark.slow
def test_only_the_first_three_places_are_kept(tmp_path: Path) -> None:
    """However many there are, the count is right."""
    text = "a \tb\n" * 1000
    finding = found(check(tmp_path, text), "loose spaces")
    assert finding.count == 1000
    assert finding.places == tuple(f"p.tsv:{n}: source has 'a ' → 'a'" for n in (1, 2, 3))
    assert len(found(check(tmp_path, text, shown=7), "loose spaces").places) == 7
    assert found(check(tmp_path, text, shown=0), "loose spaces").places == ()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("It's  STRASSE!", "it’s straße", True),
        ("co\u00adop\u200b", "Coop", True),
        ("e\u0301te\u0301", "ÉTÉ ?", True),
        ("?", "!", False),
        ("कि", "का", False),
        ("2 + 2", "2 - 2", False),
        ("dont", "don't", False),
    ],
)
def test_sentence_keys(first: str, second: str, same: bool) -> None:
    """Marks that carry meaning are kept, and a text of punctuation alone stays itself."""
    assert (sentence_key(first) == sentence_key(second)) is same


@pytest.mark.slow
def test_length_ratio(tmp_path: Path) -> None:
    """Unusual is what differs from the other pairs, here always twice as long."""
    usual = "".join(f"{'a' * n}\t{'b' * 2 * n}\n" for n in range(20, 60))
    report = check(tmp_path, usual + "c" * 40 + "\tdd\n" + "ee\t" + "f" * 90 + "\n")
    finding = found(report, "length ratio")
    places = ("p.tsv:41: 40 against 2 characters", "p.tsv:42: 2 against 90 characters")
    assert (finding.count, finding.places) == (2, places)
    kinds = {finding.kind for finding in check(tmp_path, usual).findings}
    assert "length ratio" not in kinds
    # Where ratios of 1 and 2 are usual, 5 is not yet odd, 22 is.
    mixed = "".join(f"{'a' * 40}\t{'b' * n}\n" for n in (40, 80) * 20 + (200, 900))
    assert found(check(tmp_path, mixed), "length ratio").places == (
        "p.tsv:42: 40 against 900 characters",
    )


@pytest.mark.parametrize(
    ("line", "source", "target"),
    [
        ("word\tW ER D", "char", "word"),
        ("这" * 25 + " " + "是" * 25 + "\tone two three", "char", "word"),
    ],
)
def test_suggested_levels(tmp_path: Path, line: str, source: str, target: str) -> None:
    """One token a line, or none that is short, means characters; few words, words."""
    report = check(tmp_path, f"{line}\n" * 30)
    assert report.source.level == source
    assert report.target.level == target
    many = "".join(f"word{n} here\tb\n" for n in range(300))
    assert check(tmp_path, many).source.level == "bpe"


def test_unusable_lines_are_reported_not_refused(tmp_path: Path) -> None:
    """A file that training would refuse is still checked; only one without any pair is not."""
    report = check(tmp_path, "a\tb\n" + "c\n" * 2000)
    assert (report.total_lines, report.pairs) == (2001, 1)
    assert [(f.kind, f.severity, f.count, f.unit) for f in report.left_out] == [
        ("columns", "problem", 2000, "line")
    ]
    mild = check(tmp_path, "a\tb\n" * 99 + "c\n").left_out
    assert [(f.severity, f.meaning) for f in mild] == [("warning", "left out")]
    with pytest.raises(DataError, match="2 of 2 lines cannot be used"):
        check(tmp_path, "a\nb\n")
    with pytest.raises(OptionError, match="0 files of pairs given"):
        check_pairs([], DataOptions())


def test_two_aligned_files(tmp_path: Path) -> None:
    """Places name the first file."""
    for name, text in (("x.en", "a\nb\u200b\n"), ("x.fr", "c\nd\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    report = check_pairs([tmp_path / "x.en", tmp_path / "x.fr"], DataOptions())
    assert report.files == (str(tmp_path / "x.en"), str(tmp_path / "x.fr"))
    (place,) = found(report, "invisible characters").places
    assert place == f"{tmp_path / 'x.en'}:2: source has 'b<U+200B>' → 'b'"


@pytest.mark.slow
def test_a_large_real_corpus() -> None:
    """The numbers of the data's own README, and others counted apart by a few plain lines."""
    report = check_pairs([shared_data("tatoeba/eng-fra.tsv.gz")], DataOptions())
    assert (report.total_lines, report.pairs, report.left_out) == (165_130, 165_130, ())
    source, target = report.source, report.target
    assert (source.distinct_texts, target.distinct_texts) == (115_398, 156_747)
    assert (source.tokens.total, target.tokens.total) == (1_015_897, 1_105_474)
    lengths = ((side.tokens.median, side.tokens.percentile_95) for side in (source, target))
    assert tuple(lengths) == ((6, 11), (6, 12))
    assert (source.tokens.longest, target.tokens.longest) == (47, 54)
    assert source.characters.total == 5_048_916
    assert {finding.kind: finding.count for finding in report.findings} == {
        "invisible characters": 4,
        "length ratio": 3,
        "mixed scripts": 2,
        "untranslated": 1,
        "unusual spaces": 10_233,
        "different digits": 562,
    }
    assert report.lines()[-1].endswith("enough for short everyday sentences; suggests bpe")


@pytest.mark.slow
def test_the_oddities_of_other_real_corpora() -> None:
    """Those that the data's README lists; and symbols do not drown in findings."""
    files = [shared_data(f"multi30k/train.{side}.gz") for side in ("en", "de")]
    test = [shared_data(f"multi30k/val.{side}.gz") for side in ("en", "de")]
    report = check_pairs(files, DataOptions(), against=test)
    counts = {finding.kind: finding.count for finding in report.findings}
    assert {k: counts[k] for k in ("line ends inside", "test sources")} == {
        "line ends inside": 1,
        "test sources": 1,
    }
    assert counts["loose spaces"] == 40
    assert counts["wordless"] == 2 and counts["entities"] == 16
    assert "swapped sides" not in counts and "shifted lines" not in counts
    for name, wanted in (("cmudict/train", {"length ratio"}), ("scan/simple_train", set())):
        report = check_pairs([shared_data(f"{name}.tsv.gz")], DataOptions())
        assert {f.kind for f in report.findings if f.severity != "note"} == wanted
