"""Files of pairs in every format and packing."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

Rows = Sequence[tuple[str, str]]


def write(folder: Path, content: bytes | str, name: str) -> Path:
    """A file of ``content``, text as UTF-8."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def tmx(rows: Rows) -> str:
    """A translation memory, its languages in turns in either order."""
    units = []
    for number, (source, target) in enumerate(rows):
        variants = [
            f'<tuv xml:lang="{code}"><seg>{escape(text)}</seg></tuv>'
            for code, text in (("en", source), ("fr-FR", target))
        ]
        units.append(f"<tu>{''.join(variants[:: 1 if number % 2 == 0 else -1])}</tu>\n")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'
    return f'{head}<tmx version="1.4"><header srclang="en"/><body>\n{"".join(units)}</body></tmx>\n'


def xliff(rows: Rows) -> str:
    units = "".join(
        f'<trans-unit id="{number}"><source>{escape(source)}</source>'
        f"<target>{escape(target)}</target></trans-unit>\n"
        for number, (source, target) in enumerate(rows)
    )
    return (
        '<xliff version="1.2"><file source-language="en" target-language="fr"><body>\n'
        f"{units}</body></file></xliff>"
    )


def po(rows: Rows) -> str:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    return head + "".join(f"msgid {quoted(a)}\nmsgstr {quoted(b)}\n\n" for a, b in rows)


def delimited(rows: Rows, head: Sequence[str] = (), delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([head, *rows] if head else rows)
    return out.getvalue()


def anki(rows: Rows) -> str:
    html = [(f"n{i}", escape(a), escape(b), "tag") for i, (a, b) in enumerate(rows)]
    head = "#separator:tab\n#html:true\n#guid column:1\n#tags column:4\n"
    return head + delimited(html, delimiter="\t")


def table(rows: Rows) -> pa.Table:
    return pa.table({"source": [a for a, _ in rows], "target": [b for _, b in rows]})


def nested_table(rows: Rows) -> pa.Table:
    return pa.table({"id": [str(i) for i, _ in enumerate(rows)], "translation": nested(rows)})


def nested(rows: Rows) -> list[dict[str, str]]:
    return [{"en": a, "fr": b} for a, b in rows]


def parquet(content: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(content, out, **options)
    return out.getvalue()


def feather(content: pa.Table, compression: str) -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(content, out, compression=compression, chunksize=700)
    return out.getvalue()


def arrow_stream(content: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, content.schema) as writer:
        writer.write_table(content, max_chunksize=700)
    return out.getvalue()


def json_lines(values: Sequence[object]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


FORMATS: dict[str, tuple[str, Callable[[Rows], str | bytes]]] = {
    "TSV": ("p.tsv", lambda rows: "".join(f"{a}\t{b}\n" for a, b in rows)),
    "CSV": ("p.csv", delimited),
    "CSV with a header": ("p.csv", lambda rows: delimited(rows, ("English", "French"))),
    "CSV with semicolons": ("p.csv", lambda rows: delimited(rows, ("en", "fr"), ";")),
    "JSON lines": (
        "p.jsonl",
        lambda rows: json_lines([{"source": a, "target": b, "id": 1} for a, b in rows]),
    ),
    "nested JSON": (
        "p.txt",
        lambda rows: json_lines([{"id": "1", "translation": each} for each in nested(rows)]),
    ),
    "JSON array": ("p.json", lambda rows: json.dumps(nested(rows))),
    "JSON array over lines": ("p", lambda rows: json.dumps(nested(rows), indent=1)),
    "Parquet": ("p.parquet", lambda rows: parquet(table(rows))),
    "nested Parquet": ("p.parquet", lambda rows: parquet(nested_table(rows), compression="zstd")),
    "Feather": ("p.feather", lambda rows: feather(table(rows), "lz4")),
    "Arrow stream": ("p.arrow", lambda rows: arrow_stream(nested_table(rows))),
    "TMX": ("p.tmx", tmx),
    "XLIFF": ("p.xlf", xliff),
    "PO": ("p.po", po),
    "Anki": ("p.txt", anki),
    "UTF-16": ("p.txt", lambda rows: "".join(f"{a}\t{b}\r\n" for a, b in rows).encode("utf-16")),
    "carriage returns": ("p.tsv", lambda rows: "".join(f"{a}\t{b}\r" for a, b in rows)),
}


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_about.txt", "notes")
        archive.writestr("folder/member", content)
    return out.getvalue()


def zstandard(content: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return out.getvalue().to_pybytes()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
    ".zip": zipped,
}


def packed_files(folder: Path, rows: Rows, name: str, packing: str) -> Iterator[Path]:
    """The file of ``rows`` in a format, or two aligned ones, packed."""
    if name == "two files":
        contents = {f"p.{i}": "".join(f"{row[i]}\n" for row in rows) for i in range(2)}
    else:
        file, content = FORMATS[name]
        contents = {file: content(rows)}  # type: ignore[dict-item]
    for file, content in contents.items():
        raw = content if isinstance(content, bytes) else content.encode()
        yield write(folder, PACKINGS[packing](raw), file + packing)


WORDS = 'the old house on hill is « grand » and small; café, naïve, Straße, мир, 東京, 5" disk'


def drawn_pairs(count: int) -> list[tuple[str, str]]:
    """Pairs with all that formats give a meaning to: quotes, commas, ampersands, backslashes."""
    rng = random.Random(5)
    odd = ['"', '""', "'", ",", ";", "&", "&amp;", "<b>", "\\", "\\n", "|", "#", "{x}", "[y]", "%"]
    found = []
    for number in range(count):
        sides = [
            " ".join(
                rng.choices(WORDS.split(), k=rng.randint(2, 9))
                + rng.choices(odd, k=rng.randint(0, 2))
            )
            for _ in range(2)
        ]
        rng.shuffle(sides)
        found.append((f"{sides[0]} {number}", sides[1]))
    return found
