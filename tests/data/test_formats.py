"""Every format of pairs: what it reads, how it is recognised, what it says, what it refuses."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import tarfile
import threading
import zipfile
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import Config, DataOptions, SideOptions
from dragoman.data.pairs import Faults
from dragoman.data.prepare import prepare
from dragoman.data.readers import read_pairs
from dragoman.data.streams import STDIN
from dragoman.errors import DataError, OptionError
from made_files import FORMATS, PACKINGS, drawn_pairs, packed_files, parquet, table, write

STRICT, LENIENT = DataOptions(tolerance=0.0), DataOptions(tolerance=1.0)


def read(
    *files: Path, options: DataOptions = STRICT
) -> tuple[list[tuple[str, str, int]], list[str], list[str]]:
    """The pairs with their lines, the notes, and the remembered faults without their folder."""
    faults = Faults()
    pairs = [(p.source, p.target, p.line) for p in read_pairs(files, options, faults)]
    said = [str(fault).rsplit("/", 1)[-1] for each in faults.first.values() for fault in each]
    return pairs, faults.notes, said


def refused(said: str, *files: Path, options: DataOptions = LENIENT) -> None:
    """Reading the pairs must end in a DataError of one line that holds ``said``."""
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        list(read_pairs(files, options, Faults()))
    assert "\n" not in str(caught.value)


def corpus(files: list[Path], folder: Path) -> str:
    """A digest of what is learned from files, but for the line numbers, which are the file's."""
    sides = dict.fromkeys(("source", "target"), SideOptions(level="word", max_tokens=100))
    prepare(files, folder, Config(**sides), lambda text: None)  # type: ignore[arg-type]
    digest = hashlib.sha256()
    for part in ("train.arrow", "validation.arrow"):
        table = pa.ipc.open_file(folder / "corpus" / part).read_all()
        digest.update(repr(table.drop_columns("line").to_pydict()).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The corpus of the plainest file."""
    folder = tmp_path_factory.mktemp("plain")
    return corpus(list(packed_files(folder, drawn_pairs(5000), "TSV", "")), folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "prepared"), list(zip([*FORMATS, "two files"], cycle(PACKINGS), strict=False))
)
def test_every_format_and_packing_gives_the_same_pairs_and_corpus(
    name: str, prepared: str, tmp_path: Path, expected: str
) -> None:
    """Every packing is read; one of each format is prepared, in turns, and every packing thrice."""
    rows = drawn_pairs(5000)
    for packing in PACKINGS:
        folder = tmp_path / f"packed{packing}"
        folder.mkdir()
        files = list(packed_files(folder, rows, name, packing))
        assert [row[:2] for row in read(*files)[0]] == rows
        if packing == prepared:
            assert corpus(files, folder) == expected, packing


# -- columns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said", "pairs"),
    [
        ("p.tsv", "Go.\tVa !\n", "TSV", [("Go.", "Va !", 1)]),
        ("p.tsv", "English\tFrench\nGo.\tVa !\n", "TSV, header", [("Go.", "Va !", 2)]),
        # Plain text begins and ends with quotes, too: these are no signs of CSV.
        ("p.tsv", '"Go!" he said.\t"Va !" dit-il.\n"Yes."\t"Oui."\n', "TSV", None),
        ("p.tsv", '"Go!"\t"Va !"\nYes.\tOui.\n', "TSV", [('"Go!"', '"Va !"', 1)]),
        ("p.tsv", 'the sign ""\tle signe ""\n', "TSV", [('the sign ""', 'le signe ""', 1)]),
        ("p.tsv", '"Say ""go"""\tb\nc\td\n', "CSV, tab, quoted", [('Say "go"', "b", 1)]),
        ("p.tsv", '"a"\t"b"\n"c"\t"d"\n', "CSV, tab, quoted", [("a", "b", 1), ("c", "d", 2)]),
        ("p.tsv", '"a\tb"\tc\nd\te\n', "CSV, tab, quoted", [("a b", "c", 1)]),
        ("p.csv", 'a,"b, c"\r\n"d\ne",f\r\ng,h', "CSV, comma, quoted", None),
        ("p.csv", "en;fr\nYes, I do;Oui, bien sûr\n", "CSV, semicolon, header", None),
        ("p.csv", "Yes, I do\tOui, bien sûr\n", "CSV, tab", [("Yes, I do", "Oui, bien sûr", 1)]),
        ("p.csv", "a|b, c\nd|e, f\n", "CSV, pipe", [("a", "b, c", 1)]),
        ("p.csv", "a\rb,c\nd,e\n", "CSV, comma", [("a b", "c", 1)]),
        ("p.csv", '"a", "b, c"\n', "CSV, comma, quoted", [("a", "b, c", 1)]),
        (
            "p.txt",
            '"Yes, I do","Oui"\n"No","Non"\n',
            "CSV, comma, quoted",
            [("Yes, I do", "Oui", 1)],
        ),
    ],
)
def test_columns_are_recognised(
    tmp_path: Path, name: str, content: str, said: str, pairs: list[tuple[str, str, int]] | None
) -> None:
    found, (note, *_), _ = read(write(tmp_path, content, name))
    assert note == f"reads as: {said}"
    assert pairs is None or found[: len(pairs)] == pairs


def test_a_record_has_the_line_where_it_begins(tmp_path: Path) -> None:
    content = 'en,fr\n"a\nb","c"\n\nd,e\nf\n"g ""h""",i\n'
    pairs, _, faults = read(write(tmp_path, content, "p.csv"), options=LENIENT)
    assert pairs == [("a b", "c", 2), ("d", "e", 5), ('g "h"', "i", 7)]
    assert faults == ["p.csv:4: the line is blank", "p.csv:6: 1 column, 2 expected"]


def test_the_options_of_columns_go_before_what_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, 'id,de,en\n1,"a, b",c\n', "p.csv")
    by_name = replace(STRICT, columns=("en", "de"))
    assert read(path, options=by_name)[0] == [("c", "a, b", 2)]
    _, notes, _ = read(path, options=replace(STRICT, header=False))
    assert notes[0] == "reads as: CSV, comma, quoted"
    assert notes[1] == (
        "column 3 is not read: source and target are columns 1 and 2 (--columns to choose)"
    )
    plain = replace(LENIENT, format="tsv", separator=",", columns=(2, 3), header=False)
    assert read(path, options=plain)[0] == [("de", "en", 1), ('"a', ' b"', 2)]
    pairs, notes, _ = read(path, options=replace(STRICT, header=True, columns=(2, 3)))
    assert pairs == [("a, b", "c", 2)] and notes == ["reads as: CSV, comma, quoted, header"]
    path = write(tmp_path, "de\ten\tnote\na\tb\tc\n", "p.tsv")
    assert read(path)[1][1].startswith("column 3 is not read ('note'): source and target are")
    assert read(path, options=replace(STRICT, columns=(1, "note")))[0] == [("a", "c", 2)]
    wrong = replace(STRICT, columns=("de", "nota"))
    said = "data.columns: no columns are named 'nota', 1 is expected .did you mean 'note'"
    with pytest.raises(OptionError, match=said):
        list(read_pairs([path], wrong, Faults()))
    twice = write(tmp_path, "text,id,text\na,1,b\n", "twice.csv")
    said = "2 columns are named 'text', 1 is expected .give its number"
    with pytest.raises(OptionError, match=said):
        list(read_pairs([twice], replace(STRICT, columns=("text", "id")), Faults()))
    assert read(twice, options=replace(STRICT, columns=(3, "id")))[0] == [("b", "1", 2)]


@pytest.mark.parametrize(
    ("name", "content", "options", "unused"),
    [
        ("p.jsonl", '{"en": "a", "fr": "b"}', {"columns": ("fr", "en")}, "columns"),
        ("p.json", '[{"en": "a", "fr": "b"}]', {"columns": (2, 1)}, "columns"),
        ("p.csv", "a,b", {"fields": ("fr", "en")}, "fields"),
        ("p.tsv", "a\tb", {"languages": ("fr", "en")}, "languages"),
        ("p.jsonl", '{"en": "a", "fr": "b"}', {"fields": ("en", "fr")}, ""),
    ],
)
def test_an_option_of_another_format_is_told(
    tmp_path: Path, name: str, content: str, options: dict[str, tuple[str, str]], unused: str
) -> None:
    """Without a word, the pairs would be read in another order than was asked for."""
    pairs, notes, _ = read(write(tmp_path, content, name), options=replace(STRICT, **options))  # type: ignore[arg-type]
    assert pairs == [("a", "b", 1)]
    assert any(f"--data.{unused} is not used: the format " in note for note in notes) == bool(
        unused
    )


def test_names_of_columns_are_told_from_text(tmp_path: Path) -> None:
    for line, header in (
        ("source\ttarget", True),
        ("sentence_en\tsentence_fr", True),
        ("Question\tAnswer", True),
        ("word\tphones", True),
        ("no\tno", False),
        ("it\tes", False),
        ("Go.\tVa !", False),
        ("English, please.\tEn français.", False),
    ):
        (note, *_) = read(write(tmp_path, f"{line}\na\tb\n", "p.tsv"))[1]
        assert note == f"reads as: TSV{', header' if header else ''}", line


@pytest.mark.parametrize("separator", ["||", '"'])
def test_what_cannot_separate_csv(tmp_path: Path, separator: str) -> None:
    options = replace(LENIENT, separator=separator)
    said = "cannot separate columns of CSV, only one character can (try --data.format tsv)"
    with pytest.raises(OptionError, match=re.escape(said)):
        list(read_pairs([write(tmp_path, "a,b\n", "p.csv")], options, Faults()))


def test_quotes_that_are_not_closed(tmp_path: Path) -> None:
    """A record that is quoted wrongly is a fault; a quote that takes the rest ends the reading."""
    content = 'a,b\n"c" d,e\nf,"g\nh" i,j\nk,l\n'
    pairs, _, faults = read(write(tmp_path, content, "p.csv"), options=LENIENT)
    assert pairs == [("a", "b", 1), ("k", "l", 5)]
    assert faults == [
        "p.csv:2: a quoted field does not end where its quote does",
        "p.csv:3: a quoted field does not end where its quote does",
    ]
    for rest in ("", "c,d\n" * 100_000):
        path = write(tmp_path, f'a,b\n"c,d\n{rest}', "p.csv")
        refused("p.csv:2: the quote that opens here is not closed (close the quote, or dou", path)
    unreadable = write(tmp_path, b'a,b\n"c\xe9\n",d\ne,f\n', "p.csv")
    refused("p.csv:2: byte 3 (0xE9) is not UTF-8", unreadable)


cells = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=9)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t"),
)
def test_csv_reads_back_what_python_writes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    """Whatever the fields hold, also quotes, separators and line ends."""
    path = tmp_path_factory.mktemp("csv") / "p.csv"
    full = [(f"x{a}", f"y{b}\nz") for a, b in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(full)
    options = replace(STRICT, separator=delimiter, header=False)
    found = [row[:2] for row in read(path, options=options)[0]]
    assert found == [(a, b.replace("\n", " ")) for a, b in full]


# -- Anki ------------------------------------------------------------------------------------------


def test_notes_of_anki(tmp_path: Path) -> None:
    content = (
        "#separator:Semicolon\n#html:true\n#guid column:1\n#deck column:2\n#tags column:5\n"
        'g1;d;"<div>der &amp; die</div>";"a <b>bold</b>&nbsp;word[sound:x.mp3]";t\n'
        'g2;d;"Zeile eins<br>Zeile ""zwei""<br>";"&lt;b&gt;";t\n'
        "g3;d;[sound:only.mp3];x;t\n"
    )
    pairs, notes, faults = read(write(tmp_path, content, "deck.txt"), options=LENIENT)
    assert notes == ["reads as: Anki export, semicolon, HTML"]
    assert pairs == [("der & die", "a bold\u00a0word", 6), ('Zeile eins Zeile "zwei"', "<b>", 7)]
    assert faults == ["deck.txt:8: the source is empty"]
    content = "#separator:tab\n#html:false\n#columns:Front\tBack\tHint\n<a>\tb\n"
    path = write(tmp_path, content, "deck.txt")
    pairs, notes, _ = read(path)
    assert pairs == [("<a>", "b", 4)] and notes[0] == "reads as: Anki export, tab, header"
    options = replace(LENIENT, columns=("Back", "Hint"))
    refused("deck.txt:4: 2 columns, 3 expected", path, options=options)


@pytest.mark.parametrize("separator", ["", '"'])
def test_a_head_line_without_a_usable_separator_leaves_the_tab(
    tmp_path: Path, separator: str
) -> None:
    path = write(tmp_path, f'#separator:{separator}\na\t"b ""c"""\n', "deck.txt")
    pairs, notes, _ = read(path)
    assert pairs == [("a", 'b "c"', 2)] and notes == ["reads as: Anki export, tab"]


def test_csv_with_spaces_keeps_its_empty_fields(tmp_path: Path) -> None:
    path = write(tmp_path, 'a  "b c"\nd  e\n', "p.csv")
    options = replace(LENIENT, separator=" ", columns=(1, 3))
    assert read(path, options=options)[0] == [("a", "b c", 1), ("d", "e", 2)]


# -- JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "fields"),
    [
        ({"source": "a", "target": "b", "x": "c"}, ("source", "target")),
        ({"id": 7, "en": "a", "fr": "b"}, ("en", "fr")),
        ({"id": "7", "translation": {"en": "a", "fr": "b"}}, ("translation.en", "translation.fr")),
        ({"x": {"en": "a", "fr": "b"}, "y": {"en": "a", "fr": "b"}}, ("source", "target")),
        ({"a": "1", "b": "2", "c": "3"}, ("source", "target")),
    ],
)
def test_the_only_two_texts_are_the_fields(
    tmp_path: Path, first: dict[str, object], fields: tuple[str, str]
) -> None:
    for name, content in (("p.jsonl", json.dumps(first)), ("p.json", json.dumps([first]))):
        faults = Faults()
        try:
            list(read_pairs([write(tmp_path, f"{content}\n", name)], LENIENT, faults))
        except DataError as error:
            assert fields == ("source", "target") and "field 'source' is missing" in str(error)
        assert faults.notes[0].endswith(f", fields {fields[0]} and {fields[1]}")


def test_nested_fields(tmp_path: Path) -> None:
    lines = [{"a.b": "dotted", "a": {"b": "nested", "c": {"d": "deep"}}}, {"a": {"b": {}}}]
    path = write(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "p.jsonl")
    pairs, _, faults = read(path, options=replace(LENIENT, fields=("a.b", "a.c.d")))
    assert pairs == [("dotted", "deep", 1)]
    assert faults == ["p.jsonl:2: field 'a.b' is of type dict, a string expected (has 'a.b')"]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.tuples(st.text('ab[]{}," \\é東\u2028', min_size=1, max_size=5), st.just("]é\\")),
        min_size=1,
        max_size=9,
    ),
    indent=st.sampled_from([None, 1]),
    size=st.integers(1, 40),
)
def test_an_array_is_read_in_pieces(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, str]],
    indent: int | None,
    size: int,
) -> None:
    """Wherever a piece ends; the line of an item is its number."""
    values = [{"source": f"[{a}", "target": b} for a, b in texts]
    path = tmp_path_factory.mktemp("array") / "p.json"
    path.write_text(json.dumps([*values, 5], indent=indent, ensure_ascii=False), "utf-8")
    faults = Faults()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dragoman.data.formats.objects.HEAD", size)
        found = list(read_pairs([path], replace(LENIENT, max_characters=50), faults))
    assert len(found) + faults.total == len(values) + 1
    for pair in found:
        assert pair.target == texts[pair.line - 1][1]
    (last,) = faults.first["not JSON"]
    assert "a JSON int, an object expected" in str(last)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}', "1 of 1 lines cannot be used"),
        ('{\n"a": 1}', "p.json:1: no JSON array: it begins with no bracket (one object a line"),
        (
            '[{"source": "a", "target": "b"}\n',
            "p.json:2: no JSON array: it breaks off here: Expecting value",
        ),
        (
            '[\n{"source": "a", "target": }]',
            "p.json:1: no JSON array: it breaks off here: Expecting value",
        ),
        (
            '[\n{"source": "a", "target": "' + "b" * 200_000,
            "p.json:1: no JSON array: it breaks off here: Unt",
        ),
        ('[{"source": "a", "target": ' + "[" * 100_000, "p.json:1: no JSON array: nested too deep"),
        (b'[{"source": "\xe9"}]', "p.json:1: no JSON array: 'utf-8' codec can't decode byte 0xe9"),
        ("[]", "p.json: is empty"),
        (
            '[{"source": "a", "target": "b"}]\n[{"source": "c", "target": "d"}]\n',
            "p.json:2: no JSON array: something stands behind its end",
        ),
    ],
)
def test_arrays_that_are_none(tmp_path: Path, content: str | bytes, said: str) -> None:
    refused(said, write(tmp_path, content, "p.json"))


def test_the_first_object_with_both_texts_decides(tmp_path: Path) -> None:
    """One with null before it is counted as unusable, alone."""
    records = [
        {"id": "1", "translation": None},
        {"id": "2", "translation": {"en": None, "fr": "x"}},
        {"id": "3", "translation": {"en": "a", "fr": "b"}},
    ]
    path = write(tmp_path, "".join(f"{json.dumps(record)}\n" for record in records), "p.jsonl")
    pairs, notes, faults = read(path, options=LENIENT)
    assert pairs == [("a", "b", 3)] and len(faults) == 2
    assert notes == ["reads as: JSON lines, fields translation.en and translation.fr"]


def test_an_array_that_is_called_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"source": "a", "target": "b"}]', "p.jsonl")
    assert read(path)[:2] == ([("a", "b", 1)], ["reads as: JSON array, fields source and target"])


# -- tables ----------------------------------------------------------------------------------------


def test_tables(tmp_path: Path) -> None:
    """Columns of any kind of text, also inside structures; rows are lines; null is empty."""
    rows = pa.table(
        {
            "n": [1, 2, 3],
            "a": pa.array(["x", None, "z"]).cast(pa.large_string()),
            "b": pa.array(["u", "v", "u"]).dictionary_encode(),
        }
    )
    path = write(tmp_path, parquet(rows), "data")
    pairs, notes, faults = read(path, options=LENIENT)
    assert notes == ["reads as: Parquet, fields a and b"]
    assert (pairs, faults) == (
        [("x", "u", 1), ("z", "u", 3)],
        ["data:2: field 'a' is of type NoneType, a string expected (has 'a', 'b')"],
    )
    same = replace(LENIENT, fields=("b", "b"), reverse=True)
    assert read(path, options=same)[0] == [("u", "u", 1), ("v", "v", 2), ("u", "u", 3)]
    said = "field 'n' is missing, a string expected (has 'a', 'b') (are the fields n and b? try"
    refused(said, path, options=replace(LENIENT, fields=("n", "b")))
    path = write(tmp_path, parquet(pa.table({c: ["t"] for c in "xyz"})), "p.parquet")
    refused("field 'source' is missing, a string expected (has 'x', 'y', 'z')", path)


@pytest.mark.parametrize("columns", [0, 1, 2])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("false", [7, 900, 2000])
def test_a_table_that_lies_about_its_number_of_rows(
    tmp_path: Path, false: int, columns: int, rows: bool
) -> None:
    """Fewer or more than there are, wherever the footer says it: they are not left out unseen."""
    options = {"use_dictionary": False, "compression": "none", "store_schema": False}
    raw = parquet(table([(f"a {n}", f"b {n}") for n in range(1000)]), **options)
    size = int.from_bytes(raw[-8:-4], "little")
    footer, true = bytearray(raw[-8 - size : -8]), bytes([2000 & 127 | 128, 2000 >> 7])
    # In their order: of the file; of values, in all and plain ones, of each column; of the group.
    places = [found.start() for found in re.finditer(re.escape(true), footer)]
    assert len(places) == 6
    changed = [places[0], *places[1 : 1 + 2 * columns], *places[5:][:rows]]
    for place in changed:
        footer[place : place + 2] = bytes([2 * false & 127 | 128, 2 * false >> 7])
    path = write(tmp_path, raw[: -8 - size] + bytes(footer) + raw[-8:], "p.parquet")
    if false < 1000 and len(changed) == 6:  # a whole table of fewer rows, as far as pyarrow tells
        assert len(read(path)[0]) == false
        return
    numbers = " and ".join(f"{number:,}" for number in sorted((1000, false)))
    refused(f"a damaged Parquet table: its numbers of rows contradict each other: {numbers}", path)


def test_a_text_of_a_table_that_is_too_long(tmp_path: Path) -> None:
    """It is a fault of every row that has it, and not held for all of them."""
    texts = pa.array(["x" * 300_000, "y"])
    indices = pa.array([0] * 500 + [1], pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, texts)
    path = write(tmp_path, parquet(pa.table({"source": column, "target": column})), "p.parquet")
    faults = Faults()
    assert [pair.line for pair in read_pairs([path], LENIENT, faults)] == [501]
    assert faults.counts["too long"] == 500


@pytest.mark.parametrize("name", ["p.parquet", "p.feather", "p.arrow"])
def test_damaged_tables(tmp_path: Path, name: str) -> None:
    content = next(FORMATS[f][1](drawn_pairs(50)) for f in FORMATS if FORMATS[f][0] == name)
    for damaged in (content[: len(content) // 2], content[:100] + b"\xff" * 200 + content[300:]):
        refused("table: ", write(tmp_path, damaged, name))


# -- XML -------------------------------------------------------------------------------------------


def test_translation_memories(tmp_path: Path) -> None:
    """Languages by code; formatting goes, its text stays; codes of the original go."""
    content = """<?xml version="1.0" encoding="ISO-8859-1"?>
<tmx version="1.4"><header srclang="en"><prop type="x">seg</prop></header><body>
<tu><note>n</note><tuv xml:lang="EN-gb"><seg>one <hi>two</hi> <bpt>&lt;b&gt;</bpt>x</seg></tuv>
  <tuv xml:lang="de"><seg>
     eins
     \xe4 &amp; &#228;</seg></tuv><tuv xml:lang="fr"><seg>un</seg></tuv></tu>
<tu><tuv xml:lang="fr"><seg>deux</seg></tuv><tuv xml:lang="en"><seg>two</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg/></tuv><tuv xml:lang="fr"><seg>trois</seg></tuv></tu>
<tu/>
</body></tmx>""".encode("latin-1")
    path = write(tmp_path, content, "memory")
    chosen = replace(LENIENT, languages=("fr", "en"))
    pairs, notes, faults = read(path, options=chosen)
    assert notes == ["reads as: TMX, fr and en, of EN-gb, de, fr (--languages to choose)"]
    assert pairs == [("un", "one two x", 3), ("deux", "two", 7)]
    assert faults == [
        "memory:8: the target is empty",
        "memory:9: no text in fr and en, only in none",
    ]
    pairs, notes, faults = read(path, options=LENIENT)
    assert notes == ["reads as: TMX, EN-gb and de, of EN-gb, de, fr (--languages to choose)"]
    assert pairs == [("one two x", "eins ä & ä", 3)]
    assert faults[0] == "memory:7: no text in EN-gb and de, only in fr, en"
    for options in (LENIENT, chosen):
        again = write(tmp_path, content.decode("latin-1").encode("utf-16"), "m.tmx")
        assert read(again, options=options)[0] == read(path, options=options)[0]


def test_the_language_itself_goes_before_its_regions(tmp_path: Path) -> None:
    texts = {"es-MX": "m", "es": "e", "de": "d"}
    units = "".join(f'<tuv xml:lang="{n}"><seg>{t}</seg></tuv>' for n, t in texts.items())
    path = write(tmp_path, f"<tmx><body><tu>{units}</tu></body></tmx>", "m.xml")
    for languages, pair in ((("es", "de"), ("e", "d")), (("es-mx", "es"), ("m", "e"))):
        assert read(path, options=replace(STRICT, languages=languages))[0] == [(*pair, 1)]


def test_files_for_translators(tmp_path: Path) -> None:
    """XLIFF 1.2 and 2: other translations of a unit are not read; one without a target is told."""
    old = """<xliff version="1.2"><file source-language="en" target-language="fr"><body>
<trans-unit><source>one<x id="1"/> <g id="2">t</g></source><seg-source>no</seg-source>
<target>un <ph>{0}</ph>t</target><alt-trans><source>bad</source><target>bad</target></alt-trans>
</trans-unit>
<trans-unit><source>two</source></trans-unit></body></file></xliff>"""
    new = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en"
 trgLang="fr"><file><unit><segment><source>one <pc id="1">t</pc></source><target>un t</target>
</segment><ignorable><source> </source><target>bad</target></ignorable>
<segment><source>two</source></segment></unit></file></xliff>"""
    for content, lines in ((old, (2, 5)), (new, (2, 4))):
        path = write(tmp_path, content, "p.xlf")
        pairs, notes, faults = read(path, options=LENIENT)
        assert notes == ["reads as: XLIFF, source and target"]
        assert pairs == [("one t", "un t", lines[0])]
        assert faults == [f"p.xlf:{lines[1]}: no text in source and target, only in source"]
        turned = read(path, options=replace(LENIENT, languages=("target", "source")))[0]
        assert turned == [("un t", "one t", lines[0])]


def test_a_copy_that_waits_for_its_translation_is_no_pair(tmp_path: Path) -> None:
    """As its state says; a name may be the same in both languages."""
    old = """<xliff version="1.2"><file source-language="en" target-language="fr"><body>
<trans-unit><source>Go</source><target state="new">Go</target></trans-unit>
<trans-unit><source>Paris</source><target state="final">Paris</target></trans-unit>
<trans-unit><source>Tom</source><target>Tom</target></trans-unit>
<trans-unit><source>Hi</source><target state="needs-translation">Hi</target>
<alt-trans><target state="final">Hi</target></alt-trans></trans-unit>
<trans-unit><source>Yes</source><target state="needs-translation"></target></trans-unit>
<trans-unit><source>No</source><target state="new">Non</target></trans-unit>
</body></file></xliff>"""
    pairs, _, faults = read(write(tmp_path, old, "p.xlf"), options=LENIENT)
    assert pairs == [("Paris", "Paris", 3), ("Tom", "Tom", 4), ("No", "Non", 8)]
    assert faults == [
        "p.xlf:2: the source once more, and the state 'new'",
        "p.xlf:5: the source once more, and the state 'needs-translation'",
        "p.xlf:7: the target is empty",
    ]
    new = """<xliff version="2.0" srcLang="en" trgLang="fr"><file><unit>
<segment state="initial"><source>Go</source><target>Go</target></segment>
<segment><source>Tom</source><target>Tom</target></segment></unit></file></xliff>"""
    pairs, _, faults = read(write(tmp_path, new, "p.xlf"), options=LENIENT)
    assert pairs == [("Tom", "Tom", 3)]
    assert faults == ["p.xlf:2: the source once more, and the state 'initial'"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<tmx><body><tu></body></tmx>", "p.tmx:1: no XML that is read: mismatched tag: line 1, c"),
        ("<tmx><body>\n<tu>", "p.tmx:2: no XML that is read: no element found"),
        ('<?xml version="1.0" encoding="nosuch"?><tmx/>', "no XML that is read: unknown encoding"),
        ("<?xml version='1.0'?><feed/>", "p.tmx: XML without translation units (TMX and XLIFF can"),
        (
            '<!DOCTYPE tmx SYSTEM "t.dtd"><tmx><tu><tuv><seg>&eacute;</seg></tuv></tu></tmx>',
            "p.tmx:1: no XML that is read: the entity &eacute; is not one of XML's own",
        ),
    ],
)
def test_xml_that_is_refused(tmp_path: Path, content: str, said: str) -> None:
    refused(said, write(tmp_path, content, "p.tmx"))


# -- PO --------------------------------------------------------------------------------------------


def test_messages_of_programs(tmp_path: Path) -> None:
    content = (
        'msgid ""\nmsgstr ""\n"Language: de\\n"\n\n'
        '# a comment\n#: main.c:7\nmsgctxt "menu"\nmsgid "Save \\"as\\"\\t"\n"..."\n'
        'msgstr "Speichern"\n" unter\\n"\n'
        'msgid "one file"\nmsgid_plural "%d files"\nmsgstr[0] "eine Datei"\n'
        'msgstr[1] "%d Dateien"\n'
        'msgid "a day"\nmsgid_plural "%d days"\nmsgstr[0] "%d 日"\n\n'
        '#, c-format, fuzzy\n#| msgid "old"\nmsgid "fuzzy"\nmsgstr "unscharf"\n\n'
        'msgid "open"\nmsgstr ""\n#~ msgid "gone"\n#~ msgstr "weg"\nstray\n'
    )
    pairs, notes, faults = read(write(tmp_path, content, "de.po"), options=LENIENT)
    assert notes == ["reads as: PO"]
    assert pairs == [
        ('Save "as" ...', "Speichern unter ", 7),
        ("one file", "eine Datei", 12),
        ("%d files", "%d Dateien", 12),
        ("%d days", "%d 日", 16),
    ]
    assert faults == [
        "de.po:22: the translation is marked as fuzzy",
        "de.po:29: neither a keyword nor text in quotes",
        "de.po:25: the target is empty",
    ]
    assert read(write(tmp_path, content[30:], "messages"), options=LENIENT)[1] == ["reads as: PO"]


def test_a_fuzzy_message_that_is_gone(tmp_path: Path) -> None:
    """The mark is its own, not that of the message that follows."""
    gone = '#, fuzzy\n#~ msgid "gone"\n#~ msgstr "weg"\n\n'
    path = write(tmp_path, f'{gone}msgid "new"\nmsgstr "neu"\n', "de.po")
    assert read(path)[0] == [("new", "neu", 5)]


# -- what is no file of pairs ----------------------------------------------------------------------


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as written:
        for name in names:
            written.writestr(name, "a\tb\n")
    return out.getvalue()


def tar(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as written:
        written.addfile(tarfile.TarInfo("train.tsv"), io.BytesIO())
    return out.getvalue()


REFUSED = {
    "xlsx": (
        archive("[Content_Types].xml", "xl/workbook.xml"),
        "a spreadsheet, document or package of Anki",
    ),
    "ods": (archive("mimetype", "content.xml"), "a spreadsheet, document or package of Anki"),
    "apkg": (archive("collection.anki2", "media"), "a spreadsheet, document or package of Anki"),
    "xls": (bytes.fromhex("d0cf11e0a1b11ae1"), "an old spreadsheet or document"),
    "gnu tar": (tar(tarfile.GNU_FORMAT), "a tar archive"),
    "pax tar": (tar(tarfile.PAX_FORMAT), "a tar archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "a 7z or RAR archive"),
    "rar": (b"Rar!\x1a\x07", "a 7z or RAR archive"),
    "pdf": (b"%PDF-1.7", "a PDF document"),
    "sqlite": (b"SQLite format 3\0", "a SQLite database"),
    "page": (b"\n<!doctype HTML><html>", "a page of the web"),
    "html": (b"<html><body>", "a page of the web"),
}


@pytest.mark.parametrize("packing", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_pairs_is_named(tmp_path: Path, name: str, packing: str) -> None:
    """By its content, also when it is packed; never "convert the encoding"."""
    content, kind = REFUSED[name]
    kind = "packed twice" if packing and content[:2] == b"PK" else kind
    cure = "(unpack it, or save its pairs as CSV or text, and name that file)"
    for file in (f"pairs.tsv{packing}", "x.txt"):
        path = write(tmp_path, PACKINGS[packing](content), file)
        refused(f"{path}: {kind}, no file of pairs {cure}", path)


@pytest.mark.parametrize("packing", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("name", ["TSV", "CSV", "JSON array", "Parquet", "TMX", "Anki", "UTF-16"])
def test_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, packing: str
) -> None:
    """Whatever the format and packing; it is recognised by its first bytes alone."""
    rows = drawn_pairs(30)
    (path,) = packed_files(tmp_path, rows, name, packing)

    class Stdin:
        buffer = path.open("rb")

    monkeypatch.setattr("sys.stdin", Stdin)
    options = replace(STRICT, format="csv") if name == "CSV" else STRICT
    assert [row[:2] for row in read(STDIN, options=options)[0]] == rows
    assert not Stdin.buffer.closed


def test_the_name_inside_a_zip_archive_tells_the_format(tmp_path: Path) -> None:
    for member, name in (("d/pairs.csv", "archive.zip"), ("pairs", "p.csv.zip")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "source,target\na,b\n")
        assert read(tmp_path / name)[:2] == ([("a", "b", 2)], ["reads as: CSV, comma, header"])


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("csv", "source,target\na,b\n"),
        ("jsonl", '{"source": "a", "target": "b"}\n'),
        ("tmx", '<tmx><body><tu><tuv xml:lang="a"><seg>b</seg></tuv></tu></body></tmx>\n'),
    ],
)
def test_two_files_of_pairs_are_not_aligned(tmp_path: Path, ending: str, content: str) -> None:
    """Their lines would be learned as texts: a line of one with a line of the other."""
    files = [write(tmp_path, content, f"{name}.{ending}") for name in ("train", "dev")]
    refused("both look like files of pairs", *files)
    assert read(*files, options=replace(LENIENT, format="aligned"))[1] == [
        "reads as: two aligned files"
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_zip_archive_in_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(archive("a.tsv"),))
    thread.start()
    refused("a zip archive in a pipe (name the file)", pipe)
    thread.join()


def test_utf_16_that_is_damaged(tmp_path: Path) -> None:
    text = "a\tb\n".encode("utf-16")
    refused("truncated data", write(tmp_path, text + b"x", "p.tsv"))
    lone = text + "c\td".encode("utf-16-le") + b"\0\xd8" + "\n".encode("utf-16-le")
    refused("p.tsv:2: byte 4 (0xED) is not UTF-8", write(tmp_path, lone, "p.tsv"))


def test_two_aligned_files_of_other_encodings(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "a\nb\n".encode("utf-16"), "p.en"),
        write(tmp_path, PACKINGS[".xz"](b"c\rd\r"), "p.fr.xz"),
    ]
    pairs, notes, _ = read(*files)
    assert pairs == [("a", "c", 1), ("b", "d", 2)]
    assert notes == [
        "reads as: two aligned files",
        f"{files[0]}: UTF-16",
        f"{files[1]}: lines end in carriage returns",
    ]
