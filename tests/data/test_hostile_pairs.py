"""Files of pairs that are made to do harm: each is refused in one line, in bounded memory.

They are read in processes of their own, whose memory is measured by the system.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

READ = """
import os, resource, sys
from pathlib import Path
from dragoman.config.options import DataOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
import dragoman.data.streams as streams
from dragoman.errors import DragomanError
import pyarrow.parquet, pyarrow.compute
streams.HARMLESS = int(os.environ.get("HARMLESS", 1 << 24))  # so that small bombs suffice
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    faults = Faults()
    try:
        options = DataOptions(tolerance=0.5, format=os.environ.get("FORMAT", "auto"))
        count = sum(1 for _ in read_pairs([Path(name)], options, faults))
        print("read", count, *faults.summary())
    except DragomanError as error:
        print("refused", error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def reading(file: Path | str, limit: float = 64, feed: Iterator[bytes] | None = None) -> str:
    """What reading ``file`` ends in, one line; it must take less than ``limit`` MB more."""
    (said,) = reading_each(file, limit=limit, feed=feed)
    return said


def reading_each(
    *files: Path | str, limit: float, feed: Iterator[bytes] | None = None
) -> list[str]:
    """What reading each of ``files`` ends in, one after the other in one process."""
    process = subprocess.Popen(
        [sys.executable, "-c", READ, *map(str, files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        for piece in feed or ():
            process.stdin.write(piece)
        process.stdin.close()
    except BrokenPipeError:  # it has seen enough
        pass
    process.stdin = None
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    *said, kilobytes = out.decode().splitlines()
    assert len(said) == len(files) and not err, (said, err)
    assert int(kilobytes) < 1024 * limit, said
    return said


BLOCK = b"x" * (1 << 20)
PAIRS = b"a\tb\n" * (1 << 18)


def zipped(pieces: Iterator[bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("p", "w") as file:
        for piece in pieces:
            file.write(piece)
    return out.getvalue()


def zstandard(pieces: Iterator[bytes]) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        for piece in pieces:
            stream.write(piece)
    return out.getvalue().to_pybytes()


BOMBS: dict[str, Callable[[Iterator[bytes]], bytes]] = {
    "gz": lambda pieces: gzip.compress(b"".join(pieces)),
    "bz2": lambda pieces: bz2.compress(b"".join(pieces)),
    "xz": lambda pieces: lzma.compress(b"".join(pieces), preset=0),
    "zst": zstandard,
    "zip": zipped,
}


@pytest.mark.parametrize("packing", BOMBS)
@pytest.mark.parametrize(
    ("block", "blocks", "harmless"),
    [(BLOCK, 40, 24), (PAIRS, 4, 19)],
    ids=["one line", "many lines"],
)
def test_what_unpacks_to_far_more_than_its_size(
    tmp_path: Path,
    packing: str,
    block: bytes,
    blocks: int,
    harmless: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HARMLESS", str(1 << harmless))  # lines take longer to read than bytes
    path = tmp_path / f"p.tsv.{packing}"
    path.write_bytes(BOMBS[packing](block for _ in range(blocks)))
    assert path.stat().st_size < 2_000_000
    said = reading(path)
    assert said.startswith(f"refused {path}: unpacks to more than 200 times its size, unlike text")
    if packing != "zip":
        feed = iter([path.read_bytes()])
        assert "stdin: unpacks to more than 200 times" in reading("-", feed=feed)


def test_an_xz_file_that_wants_a_huge_dictionary(tmp_path: Path) -> None:
    """Its head asks for 1.5 GB; memory that nothing is written to is not taken."""
    raw = lzma.compress(b"a\tb\n" * 20, lzma.FORMAT_ALONE, preset=0)
    path = tmp_path / "p.tsv.xz"
    path.write_bytes(raw[:1] + (3 << 29).to_bytes(4, "little") + raw[5:])
    assert reading(path).startswith(("read 20", "refused"))


def unit(first: str) -> str:
    """A unit of a translation memory."""
    sides = (("a", first), ("b", "b"))
    found = (f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>' for code, text in sides)
    return f"<tu>{''.join(found)}</tu>"


def test_an_entity_bomb(tmp_path: Path) -> None:
    names = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    path = tmp_path / "p.tmx"
    path.write_text(
        f'<!DOCTYPE tmx [<!ENTITY e0 "x">{names}]><tmx><body><tu>&e11;</tu></body></tmx>'
    )
    assert "p.tmx:1: no XML that is read: the entity &e0; is not one of XML's own" in reading(path)


def test_an_external_entity(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    body = f"<tmx>{unit('&x;')}</tmx>"
    for head in (
        f'<!DOCTYPE tmx [<!ENTITY x SYSTEM "file://{secret}">]>',
        f'<!DOCTYPE tmx [<!ENTITY % x SYSTEM "file://{secret}"> %x;]>',
    ):
        path = tmp_path / "p.tmx"
        path.write_text(head + body)
        assert "p.tmx:1: no XML that is read: the entity &x; is not one of XML's own" in reading(
            path
        )
    dtd = tmp_path / "t.dtd"
    dtd.write_text(f'<!ENTITY x SYSTEM "file://{secret}">')
    path.write_text(f'<!DOCTYPE tmx SYSTEM "{dtd}">' + body)
    assert "the entity &x; is not one of XML's own" in reading(path)


@pytest.mark.parametrize(
    ("head", "block", "said"),
    [
        (b"<tmx><body>", b"<tu>" * 250_000, "more than 100 elements inside each other"),
        (b'<tmx><body><tu a="', BLOCK, "no unit ends for 2,097,152 bytes"),
        (b"<tmx><body><!--", BLOCK, "no unit ends for 2,097,152 bytes"),
        (b"<tmx><body><tu><tuv><seg>", BLOCK, "no unit ends for 2,097,152 bytes"),
        (b"<tmx><body><", BLOCK, "no unit ends for 2,097,152 bytes"),
        (
            b'[{"source": "',
            BLOCK,
            "stdin:1: no JSON array: it breaks off here: Unterminated string",
        ),
        (b'[{"source": ', b"[" * (1 << 20), "stdin:1: no JSON array: nested too deep"),
        (b'[{"source": ', b'{"a":' * (1 << 18), "stdin:1: no JSON array: nested too deep"),
        (b'"a","b, c"\n"c', b"d\n" * (1 << 19), "stdin:2: the quote that opens here is not closed"),
        (b'"a","b, c"\n"c', BLOCK, "stdin:2: more than 16,777,216 bytes without a line end"),
    ],
)
def test_ten_gigabytes_are_not_read(
    head: bytes, block: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program says what is wrong long before the end of what it is fed."""

    def feed() -> Iterator[bytes]:
        yield head
        for _ in range(10_000):
            yield block

    monkeypatch.setenv("FORMAT", "csv" if head[:1] == b'"' else "auto")
    assert said in reading("-", feed=feed())


@pytest.mark.parametrize(
    ("name", "head", "tail"),
    [
        ("p.jsonl", b'{"source": "a", "target": "b"}\n{"source": "', b'"}\n'),
        ("p.csv", b"a,b\nc", b",d\n"),
    ],
)
def test_one_line_of_half_a_gigabyte_is_refused(
    tmp_path: Path, name: str, head: bytes, tail: bytes
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(head)
        for _ in range(500):
            file.write(BLOCK)
        file.write(tail)
    said = "more than 16,777,216 bytes without a line end, unlike text (delete this line"
    assert reading(path).startswith(f"refused {path}:2: {said}")


# -- Parquet ---------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    """A number of Thrift's compact protocol: zigzag, seven bits a byte."""
    number, found = 2 * number, bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def test_a_table_that_lies_about_itself(tmp_path: Path) -> None:
    """Numbers of rows, sizes and places are replaced in its footer."""
    table = pa.table({"source": ["a" * 77] * 5000, "target": [str(n) for n in range(5000)]})
    paths, honest = list[Path](), io.BytesIO()
    pq.write_table(table, honest, compression="zstd")
    raw = honest.getvalue()
    size = int.from_bytes(raw[-8:-4], "little")
    footer = raw[-8 - size : -8]
    for true in (5000, *_numbers(honest)):
        for false in (0, 1, true + 1, 1 << 30, 1 << 40, (1 << 62) - 1):
            changed = footer.replace(varint(true), varint(false))
            if changed != footer:
                tail = changed + len(changed).to_bytes(4, "little") + b"PAR1"
                paths.append(tmp_path / f"{len(paths)}.parquet")
                paths[-1].write_bytes(raw[: -8 - size] + tail)
    ends = reading_each(*paths, limit=400)
    assert len(ends) > 20
    for path, end in zip(paths, ends, strict=True):
        assert end.startswith((f"refused {path}: ", "read "))
    assert sum(end.startswith("refused") for end in ends) > 10


def _numbers(file: io.BytesIO) -> list[int]:
    """Sizes and places of the first column, as its metadata tell them."""
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    return [
        column.total_compressed_size,
        column.total_uncompressed_size,
        column.data_page_offset,
        column.dictionary_page_offset,
    ]


def test_a_table_that_unpacks_to_far_more_than_its_size(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    texts = ["x" * 1_000_000 + str(n) for n in range(200)]
    pq.write_table(
        pa.table({"source": texts, "target": texts}), path, compression="zstd", use_dictionary=False
    )
    assert "unpacks to more than 200 times its size" in reading(path)


def test_a_text_that_a_million_rows_share(tmp_path: Path) -> None:
    """It is held once."""
    shared = pa.DictionaryArray.from_arrays(
        pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 2_000_000])
    )
    path = tmp_path / "p.parquet"
    pq.write_table(
        pa.table({"source": shared, "target": ["b"] * 100_000}), path, compression="zstd"
    )
    assert path.stat().st_size < 2_000_000
    assert "cannot be used" in reading(path, limit=100)
