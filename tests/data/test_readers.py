"""Every format, every ending, every fault and every refusal of ``dragoman.data.readers``."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.config.options import Config, DataOptions
from dragoman.config.rules import check_options
from dragoman.data.lines import blocks, fingerprint, read_lines
from dragoman.data.pairs import Faults, Pair
from dragoman.data.readers import read_pairs
from dragoman.data.streams import STDIN
from dragoman.errors import DataError, OptionError


def refuse(text: str) -> None:
    """For lines that nothing is to be said of."""
    raise AssertionError(text)


LENIENT, STRICT = DataOptions(tolerance=1.0), DataOptions(tolerance=0.0)


def write(folder: Path, content: bytes | str, name: str = "pairs.tsv") -> Path:
    """A file of ``content``, text as UTF-8."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(*files: Path, options: DataOptions = LENIENT) -> list[tuple[str, str, int]]:
    """The pairs as plain tuples."""
    return [(p.source, p.target, p.line) for p in read_pairs(files, options, Faults())]


def faults_of(*files: Path, options: DataOptions = LENIENT) -> list[str]:
    """The remembered faults without their folder; every line must be a pair or a fault."""
    faults = Faults()
    usable = len(list(read_pairs(files, options, faults)))
    assert usable + faults.total == faults.lines
    found = [fault for kind in faults.counts for fault in faults.first[kind]]
    return [f"{str(fault).rsplit('/', 1)[-1]} [{fault.kind}]" for fault in found]


def lines_of(file: Path, warn: Callable[[str], None]) -> list[str]:
    """Every line of ``file``, read in blocks of two."""
    blocks = list(read_lines(file, warn, 2))
    assert all(1 <= len(block) <= 2 for block in blocks)
    return [line for block in blocks for line in block]


def refused(text: str, *files: Path, options: DataOptions = LENIENT) -> None:
    """Reading the pairs must end in a DataError of one line that holds ``text``."""
    with pytest.raises(DataError, match=re.escape(text)) as caught:
        list(read_pairs(files, options, Faults()))
    assert "\n" not in str(caught.value)


def test_a_block_of_long_lines_has_fewer(tmp_path: Path) -> None:
    """What is read at a time has so many characters, however they are spread over lines."""
    lines = ["x" * 1000] * 30 + ["x"] * 30 + ["x" * 100_000] * 2
    path = write(tmp_path, "\n".join(lines))
    found = list(read_lines(path, refuse, 20))
    assert [line for block in found for line in block] == lines
    assert list(map(len, found)) == [3] * 10 + [20, 11, 1]
    assert list(map(len, blocks(lines, 20, len))) == [3] * 10 + [20, 11, 1]
    assert list(map(len, blocks(lines, 20))) == [20, 20, 20, 2]


def test_columns(tmp_path: Path) -> None:
    """The first two by default; any two, in any order, when asked for; quotes mean nothing."""
    path = write(tmp_path, "Go.\tVa !\nHi.\tSalut !\n")
    pairs = list(read_pairs([path], DataOptions(), faults := Faults()))
    assert pairs == [Pair("Go.", "Va !", 1), Pair("Hi.", "Salut !", 2)]
    assert (faults.lines, faults.total) == (2, 0)
    path = write(tmp_path, 'x|||"a"|||b|||more|||still\n')
    options = DataOptions(columns=(3, 2), separator="|||")
    assert read(path, options=options) == [("b", '"a"', 1)]
    assert read(path, options=replace(options, reverse=True)) == [('"a"', "b", 1)]


def test_columns_that_are_not_read_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "a\tb\tc\nd\te\tf\n")
    for columns, said in (((1, 2), ["column 3 is not read"]), ((1, 3), []), ((2, 1), [])):
        faults = Faults()
        list(read_pairs([path], replace(STRICT, columns=columns), faults))
        assert [line.partition(":")[0] for line in faults.notes[1:]] == said
    faults = Faults()
    list(read_pairs([write(tmp_path, "a\tb\tc\td\te\n")], STRICT, faults))
    assert faults.notes[1].startswith("columns 3 to 5 are not read")


def test_two_files_of_pairs_are_not_two_aligned_files(tmp_path: Path) -> None:
    files = [write(tmp_path, "a\tb\nc\td\n", name) for name in ("train.tsv", "dev.tsv")]
    with pytest.raises(DataError, match="both look like files of pairs.*--validation-pairs .*dev"):
        list(read_pairs(files, STRICT, Faults()))
    assert len(list(read_pairs(files, replace(STRICT, format="aligned"), Faults()))) == 2
    files[1].write_text("x\ny\tz\n")  # one line of it is no pair
    assert len(list(read_pairs(files, STRICT, Faults()))) == 2


def test_json_lines(tmp_path: Path) -> None:
    """Two fields of many; a line end inside a value becomes a space."""
    path = write(tmp_path, '{"en": "a\\r\\nb", "id": 7, "fr": "c"}\n', "pairs.NDJSON")
    assert read(path, options=DataOptions(fields=("en", "fr"))) == [("a b", "c", 1)]


def test_aligned_files(tmp_path: Path) -> None:
    """Line n with line n; the blank line that an editor left is no line; a tab is a space."""
    english, french = write(tmp_path, "a\nb\n", "x.en"), write(tmp_path, "c\td\ne\n\n", "x.fr")
    assert read(english, french) == [("a", "c d", 1), ("b", "e", 2)]
    reverse = DataOptions(reverse=True)
    assert read(english, french, options=reverse) == [("c d", "a", 1), ("e", "b", 2)]


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        (b"a\tb\r\nc\td\r\n", [("a", "b", 1), ("c", "d", 2)]),
        (b"a\tb\nc\td", [("a", "b", 1), ("c", "d", 2)]),
        (b"\xef\xbb\xbfa\tb\n", [("a", "b", 1)]),
        (b"a\tb\n\n", [("a", "b", 1)]),
        (b" a \tb  c\n", [(" a ", "b  c", 1)]),
        ("a\u2028b\x85c\vd\fe\rf\u2029g\th\n".encode(), [("a b c d e f g", "h", 1)]),
        ("a\u00a0\u202f\u200b\tc\u00ad\n".encode(), [("a\u00a0\u202f\u200b", "c\u00ad", 1)]),
        (b"ARROW1\t0\n", [("ARROW1", "0", 1)]),
        (b"PAR1\tpar one\n", [("PAR1", "par one", 1)]),
    ],
)
def test_line_ends(tmp_path: Path, content: bytes, pairs: list[tuple[str, str, int]]) -> None:
    """``\\n`` and ``\\r\\n`` end a line and nothing else does."""
    assert read(write(tmp_path, content), options=STRICT) == pairs


# Text that reading must not change: no separator, no line end, nothing that counts as a fault.
words = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=20
).filter(lambda text: any(char.isalnum() for char in text) and text[0] != "\ufeff")


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(words, words), min_size=1, max_size=8))
def test_every_format_gives_the_same_pairs(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Writing and reading back changes nothing, whatever the packing."""
    folder = tmp_path_factory.mktemp("round")
    tsv = "".join(f"{a}\t{b}\n" for a, b in rows).encode()
    lines = "".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in rows).encode()
    with zipfile.ZipFile(folder / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_about.txt", "notes")
        archive.writestr("fra-eng/fra.txt", tsv)
    sides = [write(folder, "".join(row[i] + "\r\n" for row in rows), f"p.{i}") for i in range(2)]
    expected = [(a, b, line) for line, (a, b) in enumerate(rows, 1)]
    assert read(write(folder, tsv), options=STRICT) == expected
    assert read(write(folder, gzip.compress(tsv, mtime=0), "p.tsv.gz"), options=STRICT) == expected
    assert read(folder / "p.zip", options=STRICT) == expected
    assert read(write(folder, lines, "p.jsonl"), options=STRICT) == expected
    assert (
        read(write(folder, gzip.compress(lines, mtime=0), "p.jsonl.gz"), options=STRICT) == expected
    )
    assert read(*sides, options=STRICT) == expected
    assert lines_of(sides[0], refuse) == [a for a, _ in rows]


@pytest.mark.parametrize("wrap", [io.BytesIO, lambda data: io.BufferedReader(io.BytesIO(data))])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, wrap: type[io.BytesIO]) -> None:
    """``-`` is read, named ``stdin`` in faults, and left open."""

    class Stdin:
        buffer = wrap(b"a\tb\nc\n")

    monkeypatch.setattr("sys.stdin", Stdin)
    assert faults_of(STDIN) == ["stdin:2: 1 column, 2 expected [columns]"]
    assert not Stdin.buffer.closed
    Stdin.buffer = wrap("é\n\nb\u2028c\n".encode())
    assert lines_of(STDIN, refuse) == ["é", "", "b c"]


# -- what is left out ------------------------------------------------------------------------------

TSV_FAULTS = [
    ("a", "1 column, 2 expected [columns]"),
    ("", "the line is blank [empty]"),
    ("\t b", "the source is empty [empty]"),
    ("a\t\u200b\ufeff \u00ad", "the target is empty [empty]"),
    ("\u202a\u2069\u061c\u180e\ta", "the source is empty [empty]"),
    ("abcdefghijk\tb", "the source has 11 characters, 10 are read at most [too long]"),
    ("a\tb\0c", "the target has U+0000 at character 2 [control characters]"),
    ("\x1b[1m\tb", "the source has U+001B at character 1 [control characters]"),
    ("a\t\x7f", "the target has U+007F at character 1 [control characters]"),
]


@pytest.mark.parametrize(("line", "fault"), TSV_FAULTS)
def test_faults_of_columns(tmp_path: Path, line: str, fault: str) -> None:
    """The faulty line is counted with its cause, the lines around it are read."""
    path = write(tmp_path, f"good\tgood\n{line}\n0123456789\tb\n")
    options = DataOptions(tolerance=1.0, max_characters=10)
    assert faults_of(path, options=options) == [f"pairs.tsv:2: {fault}"]
    assert [line for *_, line in read(path, options=options)] == [1, 3]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "Expecting property name enclosed in double quotes at character 2 [not JSON]"),
        ("[" * 100_000, "not JSON that can be read: nested too deep, or a huge number [not JSON]"),
        ("9" * 5000, "not JSON that can be read: nested too deep, or a huge number [not JSON]"),
        ("[1]", "a JSON list, an object expected [not JSON]"),
        ("{}", "field 'source' is missing, a string expected (has ) [fields]"),
        (
            '{"source": "a", "tgt": "b"}',
            "field 'target' is missing, a string expected (has 'source', 'tgt') [fields]",
        ),
        (
            '{"source": 1, "target": "b"}',
            "field 'source' is of type int, a string expected (has 'source', 'target') [fields]",
        ),
        (
            '{"source": "\\ud800", "target": "b"}',
            "the source has U+D800 at character 1 [control characters]",
        ),
        ('{"source": "a", "target": " "}', "the target is empty [empty]"),
    ],
)
def test_faults_of_json_lines(tmp_path: Path, line: str, fault: str) -> None:
    """Every way in which a JSON line can fail to be a pair."""
    path = write(tmp_path, f'{line}\n{{"source": "a", "target": "b"}}\n', "p.jsonl")
    (found,) = faults_of(path)
    assert found.startswith("p.jsonl:1: ") and found.endswith(fault)


def test_faults_of_aligned_files_name_their_file(tmp_path: Path) -> None:
    """Of two files, the one to repair."""
    files = [write(tmp_path, "a\n\nc\n", "x.en"), write(tmp_path, "\0\nb\nc\n", "x.fr")]
    assert faults_of(*files) == [
        "x.fr:1: the target has U+0000 at character 1 [control characters]",
        "x.en:2: the source is empty [empty]",
    ]


def test_a_huge_line_is_counted_but_never_held(tmp_path: Path) -> None:
    """Reading 15 MB in one line takes less than 1 MB; lines for translation are kept, though."""
    path = write(tmp_path, b"a\tb\n" + b"x" * 15_000_000 + b"\tb\nc\td")
    tracemalloc.start()
    assert faults_of(path) == ["pairs.tsv:2: 15,000,003 bytes in one line [too long]"]
    assert [line for *_, line in read(path)] == [1, 3]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert [len(line) for line in lines_of(path, refuse)] == [3, 15_000_002, 3]


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("p.tsv", b"a\tb\n"),
        ("p.csv", b"a,b\n"),
        ("p.jsonl", b'{"source": "a", "target": "b"}\n{"source": "'),
        ("p.po", b'msgid "a"\nmsgstr "b"\n'),
    ],
)
def test_a_line_that_is_far_too_long_for_text_is_refused(
    tmp_path: Path, name: str, head: bytes
) -> None:
    """However few lines are wrong: most of such a file would be left out."""
    path = write(tmp_path, head * 1000 + b"x" * 20_000_000 + b"\n", name)
    said = "bytes without a line end, unlike text (delete this line, or name the format: --data.f"
    place = f"{path}:{1000 * head.count(10) + 1}: more than 16,777,216 "
    tracemalloc.start()
    refused(place + said, path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_lines_keep_everything_in_its_place(tmp_path: Path) -> None:
    """Line n in is text n out, blank or odd."""
    path = write(tmp_path, "\ufeffa\r\n\n \n\ta\0\u2028b\rc\r\n\n", "lines.txt")
    assert lines_of(path, refuse) == ["a", "", " ", " a\0 b c", ""]
    assert lines_of(write(tmp_path, "", "none.txt"), refuse) == []


def test_tolerance_is_a_share_of_all_lines(tmp_path: Path) -> None:
    """Exactly the tolerated share is still tolerated."""
    path = write(tmp_path, "a\n" + "a\tb\n" * 19)
    assert len(read(path, options=DataOptions(tolerance=0.05))) == 19
    text = (
        f"{path}: 1 of 20 lines cannot be used: 1 line left out, columns: {path}:1: 1 column, "
        "2 expected (is the separator a tab? try --data.separator; or raise --data.tolerance)"
    )
    refused(text, path, options=DataOptions(tolerance=0.049))


def test_too_many_faults_stop_early(tmp_path: Path) -> None:
    """A wrong file is refused after 1,000 lines, not after all."""
    path, faults = write(tmp_path, "a\n" * 1000 + "a\tb\n" * 100_000), Faults()
    with pytest.raises(DataError, match="1,000 of 1,000 lines cannot be used"):
        next(read_pairs([path], DataOptions(), faults))
    assert faults.lines == 1000
    assert len(read(path)) == 100_000


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("p.tsv", "a,b\n", "(is the separator a tab? try --data.separator)"),
        ("p.tsv", "\tb\n", "(fill these lines or delete them)"),
        ("p.tsv", "a\t\x01\n", "(delete these characters from the file)"),
        ("p.tsv", f"a\t{'b' * 2001}\n", "(try --data.max_characters)"),
        ("p.jsonl", "a\tb\n", "(is there one JSON object a line? try --data.format tsv)"),
        ("p.jsonl", "{}\n", "(are the fields source and target? try --data.fields)"),
    ],
)
def test_no_usable_pair(tmp_path: Path, name: str, content: str, text: str) -> None:
    """Even at full tolerance; the cure fits the kind of fault."""
    path = write(tmp_path, content, name)
    refused(f"{path}: 1 of 1 lines cannot be used: ", path)
    refused(text, path)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"caf\xe9\tb", ":2: byte 4 (0xE9) is not UTF-8 (convert it: iconv -f cp1252"),
        (b"it\x92s\tb", ":2: byte 3 (0x92) is not UTF-8 (convert it: iconv -f cp1252"),
        ("да, нет\tb".encode("cp1251"), "is not UTF-8 (convert it: iconv -f cp1252"),
        ("é".encode() + b" \xff\tb", ":2: byte 4 (0xFF) is not UTF-8 (convert it: iconv -f cp1252"),
    ],
)
def test_a_wrong_byte_is_named_exactly(tmp_path: Path, line: bytes, text: str) -> None:
    """File, line, byte, and the likely encoding."""
    path = write(tmp_path, b"a\tb\n" + line + b"\n")
    refused(f"{path}{text}" if text[0] == ":" else text, path)
    warned: list[str] = []
    (answered,) = lines_of(path, warned.append)[1:]
    assert "\ufffd" in answered and len(warned) == 1 and text in warned[0]
    # A byte order mark is dropped, but its three bytes count.
    refused(":1: byte 5 (0xE9)", write(tmp_path, b"\xef\xbb\xbfa\xe9\tb\n"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            gzip.compress(b"a\tb\n", mtime=0)[:-3],
            "damaged, cut short, or not packed by gzip, zip ... at all: Compressed file",
        ),
        (
            b"PK\x03\x04\x14\0",
            "damaged, cut short, or not packed by gzip, zip ... at all: File is not a zip file",
        ),
        (b"PAR1\x15\0\xff\xff", "a damaged Parquet table: "),
        (b"\xfe\xff\0a", "1 of 1 lines cannot be used: 1 line left out, columns: "),
        ("été\td\n".encode("utf-16-le"), "binary data or UTF-16, not UTF-8 text (export it"),
        ("abcd\td\n".encode("utf-16-be"), "binary data or UTF-16, not UTF-8 text (export it"),
        (b"\x7fELF\0\0\xff\xfe\x80", "binary data or UTF-16, not UTF-8 text (export it"),
        (b"", "is empty (one pair a line is expected)"),
        (b"\n", "is empty (one pair a line is expected)"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, text: str) -> None:
    """The likely kind of the file and what to do with it."""
    path = write(tmp_path, content)
    refused(text if text[0] == "(" else f"{path}: {text}", path)


def test_damaged_packings(tmp_path: Path) -> None:
    """Cut short, wrong checksum, not packed by gzip, zip ... at all."""
    lines = "".join(f"{n}\t{n * n}\n" for n in range(5000)).encode()
    for content in (
        gzip.compress(lines, mtime=0)[:-500],
        gzip.compress(lines)[:-8] + bytes(8),
        lines,
    ):
        path = write(tmp_path, content, "p.tsv.gz")
        refused(f"{path}: damaged, cut short, or not packed by gzip, zip ... at all: ", path)
        with pytest.raises(DataError, match="fetch it again, or correct the ending of its name"):
            lines_of(path, refuse)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("p.tsv", lines)
    whole = (tmp_path / "p.zip").read_bytes()
    for content in (whole[:-100], whole.replace(b"4999\t", b"4998\t")):
        path = write(tmp_path, content, "p.zip")
        refused("damaged, cut short, or not packed by gzip, zip ... at all", path)
    at = whole.index(b"PK\1\2")  # the table of contents: version at 6, flags at 8, name at 46
    for spots in ({at + 6: 99}, {at + 9: 8, at + 46: 0xF4}, {at + 46: 0}):
        odd = bytearray(whole)
        for spot, byte in spots.items():
            odd[spot] = byte
        refused(
            "damaged, cut short, or not packed by gzip, zip ... at all",
            write(tmp_path, bytes(odd), "p.zip"),
        )


def test_zip_members(tmp_path: Path) -> None:
    """Exactly one, packed in any way that the standard library unpacks."""
    path = tmp_path / "p.zip"
    zipfile.ZipFile(path, "w").close()
    refused(f"{path}: 0 files inside, 1 expected: none (unpack it", path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.tsv", "a\tb\n")
        archive.writestr("b/c.tsv", "a\tb\n")
    refused("2 files inside, 1 expected: a.tsv, b/c.tsv (unpack it", path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.tsv", "a\tb\n")
    assert read(path) == [("a", "b", 1)]


def test_missing_files_are_refused_at_the_call(tmp_path: Path) -> None:
    """Before anything is read or trained; a directory likewise."""
    missing = tmp_path / "none.tsv"
    for path, text in (
        (missing, f"{missing}: no such file or directory (looked in {tmp_path})"),
        (tmp_path, f"{tmp_path}: is a directory (name a file inside it)"),
    ):
        with pytest.raises(DataError, match=re.escape(text)):
            read_pairs([path], LENIENT, Faults())
        with pytest.raises(DataError, match=re.escape(text)):
            lines_of(path, refuse)
    with pytest.raises(DataError, match="no such file or directory"):
        fingerprint([missing])


def test_a_file_that_must_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's reason is passed on."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = write(tmp_path, "a\tb\n")
    monkeypatch.setattr(Path, "open", refuse)
    refused(f"{path}: permission denied (looked in {tmp_path})", path)


def test_aligned_files_of_different_length(tmp_path: Path) -> None:
    """Which file is longer, from where on, by how much."""
    short, long = write(tmp_path, "a\nb\n", "x.en"), write(tmp_path, "c\nd\n\ne\n\n", "x.fr")
    text = (
        f"{long}:3: 3 lines more than {short}, which has 2 "
        "(line n of one file must belong to line n of the other)"
    )
    refused(text, short, long)
    refused(text, long, short)
    refused(f"{long}:1: 5 lines more than ", write(tmp_path, ""), long)


@pytest.mark.parametrize(
    ("files", "options", "text"),
    [
        (0, {}, "0 files of pairs given for the format auto (give one file, or two aligned"),
        (3, {}, "3 files of pairs given for the format auto (give one file, or two aligned"),
        (2, {"format": "tsv"}, "2 files of pairs given for the format tsv (give one file, or"),
        (1, {"format": "aligned"}, "1 files of pairs given for the format aligned"),
        (1, {"separator": ""}, "data.separator: '' cannot separate columns (the default is a tab)"),
        (1, {"separator": "\n"}, "data.separator: '\\n' cannot separate columns"),
    ],
)
def test_contradictions(tmp_path: Path, files: int, options: dict[str, Any], text: str) -> None:
    """Refused at the call, with the option's name."""
    path = write(tmp_path, "a\tb\n")
    with pytest.raises(OptionError, match=re.escape(text)):
        read_pairs([path] * files, DataOptions(**options), Faults())
    text = "standard input can be read only once (save one side to a file)"
    with pytest.raises(OptionError, match=re.escape(text)):
        read_pairs([STDIN, STDIN], DataOptions(), Faults())


def test_columns_are_counted_from_1() -> None:
    with pytest.raises(OptionError, match=r"data\.columns: 0 is too small, at least 1"):
        check_options(Config(data=DataOptions(columns=(0, "target"))))


def test_the_fingerprint_is_that_of_the_raw_bytes(tmp_path: Path) -> None:
    """Nothing is decoded; the order counts."""
    first, second = write(tmp_path, b"\xff\r\n", "a"), write(tmp_path, b"b" * 3_000_000, "b")
    assert fingerprint([first]) == hashlib.sha256(b"\xff\r\n").hexdigest()
    both = b"\xff\r\n" + b"b" * 3_000_000
    assert fingerprint([first, second]) == hashlib.sha256(both).hexdigest()
