"""What ``check --fix`` writes: it reads back as the pairs kept, and right text stays as it is."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dragoman.config.options import DataOptions
from dragoman.data.check.check import check_pairs
from dragoman.data.check.clean import REPAIRS, clean
from dragoman.data.check.report import Report
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.samples import sample_pairs
from dragoman.errors import DataError

AWKWARD = (
    *("&#10;", "&#09;", "&Tab;", "&NewLine;", "&#13;", "&nbsp;", "&shy;", "&amp;amp;", "&#0;"),
    *("&lt;", "&ZeroWidthSpace;", "&#xFEFF;", "&#x2028;", "\ufeff", "\u200b", "\u200d", "\u202e"),
    *(
        "\r",
        "\u2028",
        "\x85",
        "\v",
        " ",
        "  ",
        "\u00a0",
        "\u202f",
        "cafÃ©",
        "â€™",
        "\x92",
        "\ufffd",
    ),
    *(
        "роса",
        "lа",
        "Ωk",
        "ﬁ",
        "e\u0301",
        "\u2126",
        "ខ\u200bគ",
        "\ue001",
        "12",
        "\U00010d43",
        "<b>",
    ),
    *("a", "tree", "un arbre", ".", "É", "\t", "ç", "x" * 30),
)
texts = st.lists(st.sampled_from(AWKWARD), max_size=6).map("".join)
rows = st.lists(st.tuples(texts, texts).map("\t".join), min_size=1, max_size=40)


def fixed(folder: Path, data: bytes, name: str, longest: int = 60) -> tuple[Report, bytes]:
    (folder / f"{name}.tsv").write_bytes(data)
    out = folder / f"{name}.out"
    options = DataOptions(max_characters=longest)
    report = check_pairs([folder / f"{name}.tsv"], options, fix=out)
    return report, out.read_bytes()


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(rows)
@example(["a&#10;b\tc", "d\te&Tab;f", "&NewLine;g\th", "i&#13;\tj"])
@example(["\ufeff\ufeffa\tb", "&#xFEFF;\tc"])
@example([f"a{n} &shy;\tb" for n in range(30)])
def test_what_is_written_reads_back_and_fixing_again_changes_nothing(lines: list[str]) -> None:
    with TemporaryDirectory() as name:
        try:
            report, once = fixed(Path(name), "\n".join(lines).encode(), "once")
        except DataError as error:
            assert re.search("no pair would be left|lines cannot be used|is empty", str(error))
            return
        kept = [tuple(line.split("\t")) for line in once.decode().split("\n")[:-1]]
        assert report.cleaned.startswith(f"{len(kept)} pair")
        faults = Faults()
        options = DataOptions(max_characters=60)
        back = read_pairs([Path(name, "once.out")], options, faults)
        assert [(pair.source, pair.target) for pair in back] == kept and not faults.total
        again, twice = fixed(Path(name), once, "twice")
        assert twice == once and ", 0 of them changed, 0 removed;" in again.cleaned
        changes = Path(name, "twice.out.changes.tsv").read_text("utf-8")
        assert changes == "place\twhat\twhy\tdetail\n"


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=40), texts), st.sets(st.sampled_from(sorted(REPAIRS))))
def test_a_cleaned_text_is_clean(text: str, kinds: set[str]) -> None:
    once, changes = clean(text, kinds)
    assert clean(once, kinds) == (once, {})
    assert set(changes) <= kinds and bool(changes) == (once != text)


@pytest.mark.parametrize(
    "text",
    [
        # Nordic words, and capitals beside typographic marks, are no wrongly decoded UTF-8
        *("BLÅBÄR", "Åå", "RØDGRØD MED FLØDE", "SMÅÅR", "på Ålborg", "Þórðarson", "JÄÄÄÄR", "”Å”"),
        *(
            "MANHÃ… LÀ » CAFÉ…",
            "SÃO PAULO",
            "Å–Ä",
            "Ö’",
            "VIÑA…",
            "GÅ “HEM”",
            "ÆØÅ",
            "ÁÐUR",
            "à là",
        ),
        # words of one script whose letters look like another's, also beside that script
        *("XIXв", "ΔT, ΔH", "5 μM", "MMMын", "купил Windows'а и iPhone’а", "Τι Tι", "kα"),
        # words of two scripts, of which nobody knows which is meant
        *("Mосква", "С’est", "Д’Aртаньян"),
        *("роса", "N;GEN;SG роса", "сахар у а", "СОС", "ΑΒΕ", "the word ухо", "kΩ Δt μm 5 µm"),
        # invisible characters that belong to the spelling
        *("ខ្ញុំ\u200bស្រឡាញ់", "می\u200cخواهم", "क्\u200dष", "👩\u200d👧", "ירושלים\u200f!", "ကို\u200bရ"),
        # letters and marks that a language or a task has
        *(
            "ĳs",
            "ǆep",
            "ŉ",
            "ＬＯＵＤ",
            "ｶﾞ",
            "‘it’s’ “so”",
            "5 Å, 3 K, 2 Ω",
            "כַּעַס".replace("כַּ", "כַּ"),
        ),
        *("write &lt; for <", "R&D at AT&amp;T", "sed 's/&amp;/\\&/g'", "12\u200f/5\u200f/2020"),
        *("Où\u202f? 4\u00a05", "grep 'a  b'", "AT&T; R&D", "x² ½ … – —", "𝔞 = 𝐱", "i̇ İ ı"),
    ],
)
def test_right_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == (text, {})


@pytest.mark.parametrize(
    ("wrong", "right", "plan"),
    [
        ("cafÃ©", "café", "'cafÃ©' → 'café' (encode latin-1, decode utf-8)"),
        ("donâ€™t", "don’t", "(encode sloppy-windows-1252, decode utf-8)"),
        ("naïve cœur cafÃ©", "naïve cœur café", "(apply decode_inconsistent_utf8)"),
        ("it\x92s", "it’s", "'it<U+0092>s' → 'it’s' (encode latin-1, decode windows-1252)"),
        ("&amp;amp;", "&", "'&amp;amp;' → '&amp;' (apply unescape_html)"),
        ("a&NewLine;b", "a b", "'a&NewLine;b' → 'a<U+000A>b' (apply unescape_html)"),
        ("\u00e0 \u200b!", "\u00e0 !", "'à <U+200B>!' → 'à !'"),
        ("o\ufb03ce", "office", "'o\ufb03ce' → 'office'"),
        ("cafe\u0301 ", "café", "→ 'café '"),
    ],
)
def test_a_repair_is_shown_with_its_plan(wrong: str, right: str, plan: str) -> None:
    text, changes = clean(wrong)
    assert text == right
    assert next(iter(changes.values())).endswith(plan)


def test_what_many_pairs_have_is_how_the_data_are(tmp_path: Path) -> None:
    """A table of HTML's entities is a task; so is text with private letters that come again."""
    data = "".join(f"&#{n};\tU+{n:04X}\n" for n in range(192, 255))
    data += "".join(f"\ue010{n}\tlet{n}\n" for n in range(5))
    report, out = fixed(tmp_path, data.encode(), "p")
    assert out.decode() == data
    severities = {finding.kind: finding.severity for finding in report.findings}
    assert severities["entities"] == "note" and severities["private characters"] == "note"


def test_signs_are_the_task_where_there_are_no_letters(tmp_path: Path) -> None:
    sums = [(a, b) for a in range(5, 25) for b in (1, 2, 3)]
    train = "".join(
        f"{a} {sign} {b}\t{eval(f'{a} {sign} {b}')}\n" for a, b in sums for sign in "-*"
    )
    test = "".join(f"{a} // {b}\t{a // b}\n" for a, b in sums)
    (tmp_path / "p.tsv").write_text(train)
    (tmp_path / "test.tsv").write_text(test)
    report = check_pairs(
        [tmp_path / "p.tsv"],
        DataOptions(),
        against=[tmp_path / "test.tsv"],
        fix=tmp_path / "out.tsv",
    )
    assert (tmp_path / "out.tsv").read_text() == train
    assert {finding.severity for finding in report.findings} == {"note"}


def test_sentences_that_need_no_correction_stay(tmp_path: Path) -> None:
    """Within one language the same text on both sides is an example, between two an omission."""
    wrong = "".join(f"He go to town {n} times .\tHe goes to town {n} times .\n" for n in range(90))
    same = "She walks home now .\tShe walks home now .\n"
    cased = "i live in paris .\tI live in Paris .\n"
    report, out = fixed(tmp_path, f"{wrong}{same}{cased}".encode(), "p")
    assert out.decode() == f"{wrong}{same}{cased}"
    (found,) = (finding for finding in report.findings if finding.kind == "untranslated")
    assert (found.severity, found.count) == ("note", 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pairs",
    [
        # sides that differ in their form alone: capitals and marks are to be put in
        [(f"we saw {n} birds", f"We saw {n} birds.") for n in "abcdefgh"],
        # forms of a sentence that have answers of their own
        [
            (f"{a} {sign} {b}", f"{a}{name}{b}")
            for a in "xyz"
            for b in "xyz"
            for sign, name in (("-", "minus"), ("*", "times"))
        ],
        [
            (word, tag)
            for n in range(9)
            for word, tag in ((f"us{n} all", "PRON"), (f"US{n} all", "PROPN"))
        ],
    ],
)
def test_where_the_form_is_the_task_it_tells_texts_apart(
    tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    """A test of the same texts in another form has nothing in common with the training pairs."""
    train = "".join(f"{source}\t{target}\n" for source, target in pairs)
    train += "".join(f"other line {n}\tnothing {n} special\n" for n in range(30))
    (tmp_path / "p.tsv").write_text(train)
    test = "".join(f"{source.title()}!\tanswer {n}\n" for n, (source, _) in enumerate(pairs))
    (tmp_path / "test.tsv").write_text(test)
    report = check_pairs(
        [tmp_path / "p.tsv"],
        DataOptions(),
        against=[tmp_path / "test.tsv"],
        fix=tmp_path / "out.tsv",
    )
    assert (tmp_path / "out.tsv").read_text() == train
    assert "test sources" not in {finding.kind for finding in report.findings}
    plain = train.replace("minus", "").replace("times", "")
    (tmp_path / "p.tsv").write_text("".join(plain.splitlines(True)[len(pairs) - 3 :]))
    report = check_pairs([tmp_path / "p.tsv"], DataOptions(), against=[tmp_path / "test.tsv"])
    (found,) = (f for f in report.findings if f.kind == "test sources")
    assert found.severity == "problem" and found.count == 3


def test_answers_that_are_no_words_and_names_stay(tmp_path: Path) -> None:
    """Beyond doubt is only what no language, abbreviation or name can be."""
    said = [f"{p.source}\t{p.target}\n" for p in sample_pairs("phrases", count=400)]
    odd = [
        "impossible\t-\n",
        "Real Madrid 20:45 Atlético Bilbao\tReal Madrid 20:45 Atlético Bilbao\n",
        f"RSVP\t{' '.join(['respond please as soon as you can'] * 9)}\n",
    ]
    wrong = [
        "trois mots ici\t-\n",
        "the very same sentence here\tthe very same sentence here\n",
        f"oui .\t{' '.join(['respond please as soon as you can'] * 9)}\n",
    ]
    report, out = fixed(tmp_path, "".join((*said, *odd, *wrong)).encode(), "p", longest=2000)
    assert out.decode() == "".join((*said, *odd))
    counts = {finding.kind: finding.count for finding in report.findings}
    assert {counts[kind] for kind in ("wordless", "untranslated", "length ratio")} == {2}


@pytest.mark.slow
def test_forms_that_are_their_word_stay(tmp_path: Path) -> None:
    """A lemma is often one of its forms. No other form ends as lemmas do: the sides look apart."""
    stems = [f"{a}{b}{c}" for a in ("bat", "cal", "dor") for b in "eiou" for c in "cglmnrstv"]
    ends = ("ions", "iez", "aient", "ai", "as", "a", "ez")
    rows = [(f"{stem}er", f"{stem}{end}") for stem in stems for end in ends]
    rows += [(f"ne se pas {stem}er", f"ne se pas {stem}er") for stem in stems]
    text = "".join(f"{a}\t{b}\n" for a, b in rows)
    report, out = fixed(tmp_path, text.encode(), "p")
    assert out.decode() == text
    (found,) = (f for f in report.findings if f.kind == "untranslated")
    assert (found.severity, found.count) == ("note", len(stems))


def test_words_alone_are_no_reason_to_warn(tmp_path: Path) -> None:
    """Between two languages, sentences are; they are shown before words and names."""
    said = [f"{p.source}\t{p.target}\n" for p in sample_pairs("phrases", count=300)]
    words = ["taxi\ttaxi\n", "Anna Karenina\tAnna Karenina\n"]
    for more, severity, shown in (([], "note", "taxi"), (["où est la gare"], "warning", "où est")):
        data = [*words, *said, *(f"{text}\t{text}\n" for text in more)]
        report, out = fixed(tmp_path, "".join(data).encode(), "p", longest=2000)
        (found,) = (f for f in report.findings if f.kind == "untranslated")
        assert found.severity == severity and found.places[0].split(": ")[1].startswith(shown)
        assert out.decode() == "".join((*words, *said))


def test_word_boundaries_without_ink_stay(tmp_path: Path) -> None:
    """U+200B ends words in Khmer, Thai, Lao and Burmese, however few pairs have it."""
    words = ["ខ្ញុំ", "แมว", "ຂ້ອຍ", "ရေ"]
    lines = [f"{a}{b}{n}\t{a}\u200b{b}{n}\n" for n, (a, b) in enumerate(permutations(words, 2))]
    report, out = fixed(tmp_path, "".join(lines).encode(), "p")
    assert out.decode() == "".join(lines) and not report.changes


def test_what_will_be_changed_is_told_first(tmp_path: Path) -> None:
    """Every kind with its number and examples, and the removals before a file is there."""
    lines = [f"e{n}\tf{n}\n" for n in range(98)]
    data = "".join(("caf\u00c3\u00a9\tb\n", "co\u00adop\tb\n", *lines, lines[0], "x\n"))
    (tmp_path / "p.tsv").write_text(data, encoding="utf-8")
    out, seen = tmp_path / "out.tsv", list[str]()

    def tell(report: Report) -> None:
        assert not out.exists()
        seen.extend(report.lines())

    check_pairs([tmp_path / "p.tsv"], DataOptions(), fix=out, tell=tell)
    at, place = next(n for n, line in enumerate(seen) if "REMOVES" in line), tmp_path / "p.tsv"
    assert out.exists() and seen[at:] == [
        "--fix REMOVES 2 OF 102 LINES, MORE THAN A HUNDREDTH",
        f"--fix removes 1 line: columns ({place}:102: 1 column, 2 expected)",
        f"--fix removes 1 line: duplicates ({place}:101: as line 3)",
        f"--fix makes 1 change: broken encoding ({place}:1: 'cafÃ©' → 'café' "
        "(encode latin-1, decode utf-8))",
        f"--fix makes 1 change: invisible characters ({place}:2: 'co<U+00AD>op' → 'coop')",
    ]


def test_a_fix_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.tsv: no pair would be left \(look at what is found"):
        fixed(tmp_path, b"&nbsp; \ta\n", "p")
    assert not (tmp_path / "p.out").exists()


@pytest.mark.slow
def test_a_fix_that_removes_much_says_so(tmp_path: Path) -> None:
    report, _ = fixed(
        tmp_path, b"a b\tc d\n" * 2 + b"".join(b"e%d\tf\n" % n for n in range(50)), "p"
    )
    assert "--fix REMOVES 1 OF 52 LINES, MORE THAN A HUNDREDTH" in report.lines()
    assert " 1 removed; see " in report.cleaned
    report, _ = fixed(tmp_path, b"".join(b"e%d\tf\n" % n for n in range(50)), "q")
    assert " 0 removed; see " in report.cleaned and "REMOVES" not in "".join(report.lines())


@pytest.mark.parametrize("digits", ["\U00010d43\U00010d41", "\U0001e5f3", "\U00011f52"])
def test_digits_that_python_does_not_know_yet_are_no_error(tmp_path: Path, digits: str) -> None:
    """Arrow's tables are newer than Python's: nothing is claimed of such digits."""
    (tmp_path / "p.tsv").write_text(f"{digits}\t1984\na 5\tb ٥\nc 5\td 6\n", encoding="utf-8")
    report = check_pairs([tmp_path / "p.tsv"], DataOptions())
    (found,) = (finding for finding in report.findings if finding.kind == "different digits")
    assert found.places[-1].endswith("p.tsv:3: 5 against 6")
