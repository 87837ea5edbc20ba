"""Throw damaged files and command lines at everything that reads them.

    python -m benchmarks.fuzz --inputs 50000

Each input must be taken, or refused by one of Dragoman's own errors in one line, within five
seconds. A case is made from a seed alone, so that ``--only readers --first 4711 --inputs 1`` shows
one again.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, cast, get_args

import torch

from dragoman.api import load
from dragoman.cli import VERBS, main
from dragoman.config.options import Config, DataOptions, Format, ModelOptions, SideOptions
from dragoman.config.rules import check_options
from dragoman.config.toml import from_toml, to_toml
from dragoman.data.check.check import check_pairs
from dragoman.data.lines import LINE_END
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs
from dragoman.data.setup import save_setup
from dragoman.data.tokenizer import Tokenizer
from dragoman.data.vectors import read_vectors
from dragoman.data.vocabulary import load_tokenizer, train_tokenizer
from dragoman.errors import DragomanError
from dragoman.layout import CARD
from dragoman.model.build import build_model
from dragoman.model.folder import save_weights
from dragoman.runs.history import History
from dragoman.runs.report import write_documents
from dragoman.training.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from dragoman.training.state import TrainingState
from tests import made_files

SECONDS, ASLEEP = 5, 60
"""Longer is a hang: seconds of work, and of waiting on a machine that may be busy."""
GROWTH = 400
"""Megabytes that the process may grow by after its first inputs."""
TEXTS = (
    "un chat\tone cat",
    "où ?\twhere?",
    "\t",
    "",
    " ",
    "\r",
    "\0",
    "\x07",
    "\ufeffa\tb",
    "x" * 3000,
    "a\u2028b\tc",
    "\u200b\tx",
    "e\u0301\té",
    "Ã©\tâ€™",
    "a\tb\tc",
    "1 2\t2 1",
    "𝔞\tﬁ",
    '{"source": "a", "target": "b"}',
    '{"source": 1}',
    "[" * 3000,
    "9" * 5000,
    '"\\ud800"',
    '{"source": "\\ud800", "target": "\\u0000"}',
    "NaN",
    "<b>&amp;</b>\t[[x]]",
)
COLUMNS = ("un chat\tone cat", "où ?\twhere?", "Il pleut.\tIt rains.", "A, b\tC; d")
OBJECTS = tuple(json.dumps({"source": a, "target": a[::-1], "n": 1}) for a in ("un chat", "où ?"))
ROWS = [("un chat", "one cat"), ("où ?", 'where, "so"?'), ("a\u200bb", "<b>&"), ("{0}", "1\n2")]
FORMATS: tuple[Callable[[Any], bytes | str], ...] = (
    *(made_files.tmx, made_files.xliff, made_files.po, made_files.anki, made_files.delimited),
    lambda rows: made_files.json_lines(made_files.nested(rows)),
    lambda rows: json.dumps(made_files.nested(rows)),
    lambda rows: made_files.parquet(made_files.table(rows)),
    lambda rows: made_files.parquet(made_files.nested_table(rows)),
    lambda rows: made_files.feather(made_files.table(rows), "zstd"),
    lambda rows: made_files.arrow_stream(made_files.table(rows)),
)
"""What makes a file of pairs in each format."""
PACKINGS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
PACKINGS[".zst"] = made_files.zstandard
RAW = (b"\xff", b"\xfe\xff", b"\x1f\x8b\x08", b"PK\x03\x04", b"\xc3", b"\n", b"\r\n", b"\0" * 9)


@dataclass(frozen=True)
class Place:
    """Where the targets work: a folder of their own, and a whole model in it."""

    folder: Path
    model: Path


def damaged(rng: Random, content: bytes) -> bytes:
    """``content`` with a few bytes changed, cut, doubled, or put in from elsewhere."""
    data = bytearray(content)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        at = rng.randint(0, len(data))
        end = min(len(data), at + rng.choice((1, 2, 8, 64, 1000)))
        match rng.randrange(6):
            case 0:
                data[at:end] = rng.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end]
            case 3:
                data[at:at] = rng.choice(RAW)
            case 4:
                data[at:at] = rng.choice(TEXTS).encode()
            case _ if rng.random() < 0.2:
                del data[at:]
    return bytes(data)


def lines_of(rng: Random) -> bytes:
    """A file of lines: most of one kind, the others odd."""
    ends = ("\n",) * 9 + ("\r\n", "\r", "")
    texts = (*TEXTS, *rng.choice((TEXTS, COLUMNS, COLUMNS, OBJECTS)) * rng.choice((1, 40)))
    lines = (rng.choice(texts) + rng.choice(ends) for _ in range(rng.randint(0, 12)))
    return damaged(rng, "".join(lines).encode())


def file_of(rng: Random) -> bytes:
    """A file of pairs in one of the formats, or of lines."""
    rows = [rng.choice(ROWS) for _ in range(rng.randint(1, 6))]
    make = rng.choice((*FORMATS, *[None] * len(FORMATS)))
    if make is None:
        return lines_of(rng)
    made = make(rows)
    return damaged(rng, made if isinstance(made, bytes) else made.encode())


def packed(rng: Random, path: Path, content: bytes) -> Path:
    """Write ``content`` plain or packed, perhaps damaged once more."""
    kind = rng.choice(("", "", "", "", *PACKINGS, ".zip"))
    if kind in PACKINGS:
        content = damaged(rng, PACKINGS[kind](content))
    elif kind == ".zip":
        made, way = io.BytesIO(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(made, "w", way) as archive:
            names = ("a.tsv", "d/c.tsv", "é", "._x", "../b")
            for name in rng.sample(names, rng.choice((0, 1, 1, 1, 2))):
                archive.writestr(name, content)
        content = damaged(rng, made.getvalue())
    path = path.with_name(path.name + kind)
    path.write_bytes(content)
    return path


def reading(rng: Random) -> DataOptions:
    """Some way to read pairs, most often one that fits."""
    options = replace(
        DataOptions(),
        reverse=rng.random() < 0.2,
        max_characters=rng.choice((5, 40, 2000)),
        tolerance=rng.choice((0.0, 0.5, 0.99, 0.99, 0.99)),
        format=rng.choice(("auto",) * 20 + get_args(Format)),
    )
    if rng.random() < 0.2:
        options = replace(options, columns=rng.choice(((2, 1), (1, 3), (1, 1), (0, 1))))
    if rng.random() < 0.2:
        options = replace(options, separator=rng.choice((" ", "|", "")))
    check_options(Config(data=options))
    return options


def readers(rng: Random, place: Place) -> None:
    """Files of pairs."""
    options, names = reading(rng), ("p.tsv", "q.tsv")[: rng.choice((1, 1, 2))]
    files = [packed(rng, place.folder / name, file_of(rng)) for name in names]
    for pair in read_pairs(files, options, Faults()):
        for text in (pair.source, pair.target):
            assert text.strip() and not LINE_END.search(text)
            assert len(text) <= options.max_characters


def checker(rng: Random, place: Place) -> None:
    """The same, checked and cleaned."""
    files = [packed(rng, place.folder / "p.tsv", file_of(rng))]
    json.dumps(check_pairs(files, reading(rng), fix=place.folder / "out.tsv").lines())


def vectors(rng: Random, place: Place) -> None:
    """Word vectors."""
    rows = [f"{rng.choice(('a', 'b', 'un', '▁a', '. .'))} {'0.5 ' * 3}".strip() for _ in range(5)]
    path = packed(rng, place.folder / "v.txt", damaged(rng, "\n".join(rows).encode()))
    read_vectors(path, tokenizers()["word"], 3)


def tokenizer_options(level: str) -> SideOptions:
    """The options of such a small tokenizer."""
    return SideOptions(level=cast(Any, level), vocabulary=60)


@cache
def tokenizers() -> dict[str, Tokenizer]:
    """One of each level."""
    texts = ["un chat noir, deux chats", "trois chats ; où ?"] * 5
    return {
        level: train_tokenizer(texts, tokenizer_options(level))
        for level in ("word", "char", "bpe", "unigram")
    }


def node(rng: Random) -> Any:
    """Any JSON value."""
    return rng.choice(
        (
            None,
            True,
            0,
            -1,
            2**70,
            1.5,
            "",
            "x",
            "(a+)+$",
            "\n",
            [],
            [[]],
            {},
            {"type": "NFC"},
            {"type": "Split"},
            [1, 2],
        )
    )


def shaken(rng: Random, tree: Any) -> Any:
    """A JSON tree with a few of its nodes replaced or dropped."""
    if rng.random() < 0.03:
        return node(rng)
    if isinstance(tree, dict):
        kept = {k: shaken(rng, v) for k, v in tree.items() if rng.random() > 0.02}
        return kept | ({"more": node(rng)} if rng.random() < 0.02 else {})
    return [shaken(rng, v) for v in tree] if isinstance(tree, list) else tree


def tokenizer(rng: Random, place: Place) -> None:
    """A tokenizer's file, and what it does to text."""
    level = rng.choice(("word", "char", "bpe", "unigram"))
    text = tokenizers()[level].json
    if rng.random() < 0.6:
        text = json.dumps(shaken(rng, json.loads(text)))
    raw = text.encode() if rng.random() < 0.5 else damaged(rng, text.encode())
    path = place.folder / "t.json"
    path.write_bytes(raw)
    loaded = load_tokenizer(path, tokenizer_options(level))
    (ids,) = loaded.encode([rng.choice(TEXTS)])
    assert all(0 <= i < len(loaded) for i in ids)
    loaded.decode(ids)


def toml(rng: Random, place: Place) -> None:
    """A file of options."""
    lines = to_toml(Config()).split("\n")
    for i in range(len(lines)):
        if " = " in lines[i] and rng.random() < 0.02:
            value = json.dumps(node(rng)).replace(":", "=")
            lines[i] = f"{lines[i].partition(' = ')[0]} = {value}"
    if rng.random() < 0.2:
        rng.shuffle(lines)
        lines = lines[: rng.randint(1, 20)]
    content = "\n".join(lines).encode()
    path = place.folder / "r.toml"
    path.write_bytes(damaged(rng, content) if rng.random() < 0.5 else content)
    check_options(from_toml(path))


@contextlib.contextmanager
def spoiled(rng: Random, file: Path) -> Iterator[None]:
    """One file of a whole folder, damaged for the time of the block."""
    good = file.read_bytes()
    if rng.random() < 0.5:
        file.write_bytes(damaged(rng, good))
    elif file.suffix == ".safetensors":
        end = 8 + int.from_bytes(good[:8], "little")
        header = json.dumps(shaken(rng, json.loads(good[8:end]))).encode()
        file.write_bytes(len(header).to_bytes(8, "little") + header + good[end:])
    elif file.suffix in (".json", ".jsonl"):
        rows = good.decode().split("\n") if file.suffix == ".jsonl" else [good.decode()]
        rows = [json.dumps(shaken(rng, json.loads(row))) for row in rows if row]
        file.write_text("\n".join(rows), encoding="utf-8")
    try:
        yield
    finally:
        file.write_bytes(good)


def folder(rng: Random, place: Place) -> None:
    """A model folder, loaded and used."""
    names = ("config.toml", "model.safetensors", "source.json", "target.json", "confidence.json")
    with spoiled(rng, place.model / rng.choice(names)):
        load(place.model).translate(["un chat", rng.choice(TEXTS)], beam=1, max_ratio=1.0)


def checkpoint(rng: Random, place: Place) -> None:
    """A checkpoint."""
    with torch.device("cpu"):
        model, optimizer = whole_model()
    (saved,) = checkpoints(place.model)
    with spoiled(rng, rng.choice(sorted(saved.iterdir()))):
        load_checkpoint(saved, model, optimizer)


def history(rng: Random, place: Place) -> None:
    """What a run says of itself: its report and its card."""
    with spoiled(rng, place.model / rng.choice(("run.json", "metrics.jsonl", "config.toml"))):
        History.of(place.model)
        (place.model / CARD).unlink(missing_ok=True)
        with contextlib.redirect_stderr(io.StringIO()):  # a page that cannot be written is told
            write_documents(place.model)


WORDS = (
    "x",
    "-",
    "--",
    "--json",
    "--data.columns",
    "1",
    "2",
    "0",
    "-1",
    "1e9",
    "nan",
    "--help",
    "--fix",
    "--against",
    "--steps",
    "--hidden",
    "--budget",
    "--recipe",
    "--out",
    "--beam",
    "é\udcff",
    "--no-json",
    "--data.format",
    "jsonl",
    "",
    "\n",
    "--n-best",
    "list",
    "get",
    "phrases",
    "--count",
)


def cli(rng: Random, place: Place) -> None:
    """A command line, in this process."""
    paths = ("p.tsv", "m", "m/config.toml", "nothing", ".", "r.toml", "out.tsv", "/dev/null")
    (place.folder / "p.tsv").write_bytes(lines_of(rng))
    verbs = [verb for verb in VERBS if verb not in ("demo", "bench")]
    verb = rng.choice([*verbs, *verbs, "", "chekc", "--version"])
    words = (WORDS, WORDS, paths)
    arguments = [rng.choice(rng.choice(words)) for _ in range(rng.randint(0, 5))]
    if verb == "train":  # never a long one
        arguments += ["--steps", "1", "--budget", "1s"] if rng.random() < 0.5 else ["--steps", "x"]
    out, err, typed = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(lines_of(rng)))
    with (
        contextlib.chdir(place.folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main([verb, *arguments])
        except SystemExit as end:  # help
            code = int(end.code or 0)
        finally:
            sys.stdin = typed
    assert code in (0, 1, 2), (code, verb, arguments)
    said = [line for line in err.getvalue().splitlines() if line.startswith("dragoman ")]
    assert code != 2 or len(said) == 1 or not verb, (verb, arguments, err.getvalue())
    shutil.rmtree(place.folder / "x", ignore_errors=True)


TARGETS: dict[str, tuple[Callable[[Random, Place], None], int]] = {
    "readers": (readers, 30),
    "toml": (toml, 20),
    "tokenizer": (tokenizer, 20),
    "folder": (folder, 10),
    "vectors": (vectors, 8),
    "checkpoint": (checkpoint, 5),
    "history": (history, 3),
    "checker": (checker, 2),
    "cli": (cli, 2),
}
"""What is fuzzed, and of a hundred inputs how many it gets."""


@cache
def whole_model() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A small model and its optimizer."""
    words = tokenizers()["word"]
    config = small_config()
    model = build_model(config.model, source_vocabulary=len(words), target_vocabulary=len(words))
    return model, torch.optim.Adam(model.parameters())


def small_config() -> Config:
    """Options of a model of a few units."""
    side = tokenizer_options("word")
    model = replace(ModelOptions(), embedding=6, hidden=8, dropout=0.0)
    return Config(source=side, target=side, model=model)


def prepare(folder: Path) -> Place:
    """Make a model folder with all that a run leaves."""
    made, (model, optimizer) = folder / "m", whole_model()
    made.mkdir()
    words = tokenizers()["word"]
    save_setup(made, small_config(), words, words)
    save_weights(made, model, words, words)  # type: ignore[arg-type]
    save_checkpoint(made, model, optimizer, TrainingState(step=3), 1)  # type: ignore[arg-type]
    numbers = {"exponent": 1.0, "slope": 1.0, "offset": 0.0, "right": "exact"}
    (made / "confidence.json").write_text(json.dumps(numbers))
    record = {"asked": {}, "data": "x", "held_out": True, "digests": {}, "facts": {}, "notes": []}
    (made / "run.json").write_text(json.dumps(record))
    rows: list[dict[str, Any]] = [
        {"kind": "start", "step": 0, "environment": {"torch": "2"}, "limits": {}},
        {"kind": "train", "step": 1, "loss": 2.0, "elapsed": 1.0},
        {
            "kind": "validation",
            "step": 1,
            "loss": 2.0,
            "chrf": 3.0,
            "best": True,
            "samples": [{"source": "a", "reference": "b", "output": "c"}],
            "watched": [],
            "worst": [],
        },
        {"kind": "end", "step": 1, "reason": "done", "interrupted": False},
    ]
    (made / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return Place(folder, made)


TIMERS = (
    (signal.ITIMER_PROF, signal.SIGPROF, SECONDS),
    (signal.ITIMER_REAL, signal.SIGALRM, ASLEEP),
)


def attempt(name: str, seed: int, place: Place) -> str:
    """One input: "taken", "refused", or what was wrong with the answer."""

    def late(*_: object) -> None:
        raise TimeoutError(f"{SECONDS} seconds were not enough")

    for timer, number, seconds in TIMERS:
        signal.signal(number, late)
        signal.setitimer(timer, seconds)
    try:
        TARGETS[name][0](Random(f"{name} {seed}"), place)
    except DragomanError as error:
        return "refused" if "\n" not in str(error) else f"not one line: {error!r}"
    except BaseException:
        return traceback.format_exc(limit=-3)
    finally:
        for timer, *_ in TIMERS:
            signal.setitimer(timer, 0)
    return "taken"


def run(inputs: int, first: int, only: str | None) -> int:
    """Fuzz; returns how many inputs were answered wrongly."""
    names = [only] if only else [name for name, (_, share) in TARGETS.items() for _ in range(share)]
    answers, began, grown = Counter[str](), time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        place = prepare(Path(folder))
        for number in range(inputs):
            seed = first + number
            name = names[seed % len(names)]
            said = attempt(name, seed, place)
            answers[f"{name} {said}" if said in ("taken", "refused") else "wrong"] += 1
            if said not in ("taken", "refused"):
                print(f"--only {name} --first {seed}: {said}", flush=True)
            if number == min(inputs, 1000) - 1:
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown) // 1024
    wrong = answers.pop("wrong", 0)
    print(", ".join(f"{count:,} {what}" for what, count in sorted(answers.items())))
    print(
        f"{inputs:,} inputs, {wrong} answered wrongly, {more} MB of growth, "
        f"{time.monotonic() - began:.0f} s"
    )
    return wrong + (more > GROWTH)


def command() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=sorted(TARGETS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("NO_COLOR", "1")
    return 1 if run(asked.inputs, asked.first, asked.only) else 0


if __name__ == "__main__":
    sys.exit(command())
