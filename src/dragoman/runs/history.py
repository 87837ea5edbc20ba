"""What a run measured while it went on: its folder read back, and put into words.

``metrics.jsonl`` has one JSON object a line, each with its ``kind`` and ``step``: ``start`` and
``end`` of each command that the run took, ``train`` each report interval, ``validation``.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dragoman.config.options import Config
from dragoman.config.toml import from_toml, plain
from dragoman.errors import DragomanError, FolderError
from dragoman.files import parse_json, refuse_ways_out
from dragoman.layout import CONFIG, METRICS, RECORD
from dragoman.lock import is_locked

SCORES = {"bleu": "BLEU", "chrf": "chrF", "exact": "exact match, %"}
"""Scores of held-out translations that a validation may have, and how they are labelled."""

Row = dict[str, Any]
_COSTS = ("memory_mb", "tokens_per_second")


def read_metrics(path: Path) -> list[Row]:
    """The rows of ``metrics.jsonl``, oldest first; a line that a crash cut short is passed over."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        with suppress(ValueError):
            row = parse_json(line)
            if isinstance(row, dict) and isinstance(row.get("step"), int) and _is_sound(row):
                rows.append(row)
    return rows


def _is_sound(row: Row) -> bool:
    """Whether a row can be read as one of ours; a folder may come from anyone."""
    numbers = all(isinstance(row.get(n, 0), (int, float)) for n in ("elapsed", *_COSTS))
    scores = all(isinstance(row.get(n, 0), (int, float, type(None))) for n in (*FIGURES, "done"))
    lists = [row.get(name) or [] for name in ("samples", "watched")]
    if not all(isinstance(one, list) for one in lists):
        return False
    samples = [one for each in lists for one in each]
    texts = all(isinstance(one, dict) and {"source", "output"} <= one.keys() for one in samples)
    return "kind" in row and numbers and scores and texts


def visible(text: str) -> str:
    """``text`` for a terminal: control characters, which could command it, are spelt out."""
    return "".join(c if unicodedata.category(c) != "Cc" else f"\\x{ord(c):02x}" for c in text)


@dataclass(frozen=True, slots=True)
class History:
    """All that a run's folder tells about it."""

    folder: Path
    config: Config
    """As chosen from the data; what was asked for stands in ``record``."""
    record: Row
    """``run.json``; empty where it does not travel with the model."""
    rows: list[Row]

    @classmethod
    def of(cls, folder: Path) -> History:
        """Read a folder.

        Raises:
            FolderError: it is no model folder.
            OptionError: its options are damaged.
        """
        if not (folder / CONFIG).is_file():
            raise FolderError(f"is not a model folder: it has no {CONFIG}", place=str(folder))
        refuse_ways_out(folder)
        record = {}
        with suppress(OSError, ValueError, TypeError):
            record = dict(parse_json((folder / RECORD).read_text("utf-8")))
        return cls(folder, from_toml(folder / CONFIG), record, read_metrics(folder / METRICS))

    @property
    def name(self) -> str:
        """The folder's own name."""
        return as_text(self.folder.resolve().name)

    def kind(self, kind: str) -> list[Row]:
        """The rows of one kind."""
        return [row for row in self.rows if row["kind"] == kind]

    @property
    def last(self) -> Row:
        """The last thing that was measured; empty when nothing was."""
        return next((r for r in reversed(self.rows) if r["kind"] != "start"), {})

    @property
    def best(self) -> Row:
        """The validation whose weights the folder holds; empty when there was none."""
        return next((r for r in reversed(self.kind("validation")) if r.get("best")), {})

    @property
    def reason(self) -> str:
        """Why the last command ended; empty when it is at work, or had no time to say."""
        last = self.rows[-1] if self.rows else {}
        return str(last["reason"]) if last.get("kind") == "end" else ""

    @property
    def state(self) -> str:
        """``running``, ``finished``, or ``interrupted``: stopped, killed, or crashed."""
        if is_locked(self.folder):
            return "running"
        last = self.rows[-1] if self.rows else {}
        finished = last.get("kind") == "end" and not last.get("interrupted")
        return "finished" if finished else "interrupted"

    def facts(self) -> Row:
        """The run in a few values."""
        trained = self.kind("train")
        return {
            "folder": as_text(self.folder),
            "state": self.state,
            "step": self.last.get("step", 0),
            "seconds": self.last.get("elapsed", 0.0),
            "tokens_per_second": median([r.get("tokens_per_second", 0) for r in trained] or [0]),
            "memory_mb": max((r.get("memory_mb", 0) for r in trained), default=0),
            "metric": self.config.training.metric,
            "best_step": self.best.get("step"),
            "best": {name: self.best[name] for name in FIGURES if name in self.best},
        }

    def limits(self) -> Row:
        """The options that each command may set anew, as the last one left them."""
        return {n: v for start in self.kind("start") for n, v in start.get("limits", {}).items()}

    def options(self) -> Row:
        """Every option by dotted name, as the last command left it."""
        return plain(self.config) | self.limits()

    def asked(self) -> Row:
        """The options that the user set, by dotted name; limits as the last command gave them."""
        values = self.record.get("asked", {}) | self.limits()
        defaults = plain(Config())
        return {n: v for n, v in values.items() if n in defaults and v != defaults[n]}

    def command(self) -> str:
        """The command that makes this run again, given where the first one was given."""
        words = ["dragoman", "train", *self.record.get("files", ["PAIRS"])]
        words += ["--out", self.record.get("out", as_text(self.folder))]
        for option, value in self.asked().items():
            name = option.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{name}" if value else "--{}.no-{}".format(*name.split(".")))
            elif isinstance(value, list):
                words += [f"--{name}", *map(str, _flattened(value))]
            else:
                words.append(f"--{name}={value}")
        return shlex.join(words)


@contextmanager
def trusted(history: History) -> Iterator[None]:
    """Let the block read rows and record as if this program had written them.

    Raises:
        FolderError: it had not.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        said = f"{RECORD} or {METRICS} is damaged: {type(error).__name__}, {error}"
        raise FolderError(said, place=str(history.folder)) from error


def as_text(path: Path | str) -> str:
    """A path as it can be written down: it may hold bytes that are no UTF-8."""
    return str(path).encode("utf-8", "replace").decode()


def _flattened(values: list[Any]) -> Iterator[Any]:
    for value in values:
        yield from _flattened(value) if isinstance(value, list) else [value]


def find_runs(below: Path) -> Iterator[History]:
    """The runs at or below a folder, by name; what cannot be read is passed over."""
    with suppress(DragomanError, OSError):
        if (below / METRICS).is_file():
            yield History.of(below)
            return
        for folder in sorted(below.iterdir()):
            if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith("."):
                yield from find_runs(folder)


def print_runs(runs: list[History], console: Console) -> None:
    """A table: where each run stands, what it took, and the main ones of its best scores."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    names = ("loss", "bleu", "chrf", "exact")
    for name in ("step", "time", "tokens/s", "MB", *(FIGURES[name][0] for name in names)):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        facts = run.facts()
        table.add_row(
            Text(visible(facts["folder"])),
            facts["state"],
            f"{facts['step']:,}",
            clock(facts["seconds"]),
            f"{facts['tokens_per_second']:,.0f}",
            f"{facts['memory_mb']:,.0f}",
            *(figure(facts["best"], name) for name in names),
        )
    if not console.is_terminal:  # no line of a file needs to fit a screen
        console = Console(file=console.file, width=300)
    console.print(table)


def clock(seconds: float) -> str:
    """``75`` seconds as ``1:15``, an hour more as ``1:01:15``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{whole % 60:02d}"


FIGURES = {
    "loss": ("loss", "{:.3f}", 1),
    "perplexity": ("perplexity", "{:.2f}", 1),
    "token_accuracy": ("token accuracy", "{:.1f} %", 100),
    "free_accuracy": ("free-running", "{:.1f} %", 100),
    "bleu": ("BLEU", "{:.1f}", 1),
    "chrf": ("chrF", "{:.1f}", 1),
    "exact": ("exact", "{:.1f} %", 1),
}
"""Every score of a validation: its name, how it is written, and after which multiplication."""


def figure(scores: Mapping[str, Any], name: str) -> str:
    """One score as people read it, such as ``71.2 %``; empty when it was not measured."""
    _, form, factor = FIGURES[name]
    value = scores.get(name)
    return "" if value is None else written(factor * value, form)


def written(value: float, form: str = "{:.2f}") -> str:
    """A number in its form; one that would fill a line (of a run that diverges) as 8.22e+300."""
    return form.format(value) if abs(value) < 1e9 else f"{value:.3g}"


def scores_line(scores: Mapping[str, Any]) -> str:
    """Scores as people read them: ``loss 1.234, perplexity 3.4, BLEU 40.1``."""
    return ", ".join(f"{FIGURES[n][0]} {figure(scores, n)}" for n in FIGURES if figure(scores, n))


def row_lines(row: Row, best: str = "") -> Iterator[str]:
    """A row for people: how training goes on, or scores and what the model says now."""
    if row["kind"] == "train":
        yield _progress(row, best)
    elif row["kind"] == "validation":
        yield f"step {row['step']}: {scores_line(row)}{' (best)' if row.get('best') else ''}"
        for sample in (*(row.get("samples") or ()), *(row.get("watched") or ())):
            for mark, name in ((">", "source"), ("=", "reference"), ("<", "output")):
                if sample.get(name) or name != "reference":
                    yield f"  {mark} {visible(str(sample[name]))}"


def _progress(row: Row, best: str) -> str:
    """What matters most at the beginning: a terminal may be narrow."""
    done, left = row.get("done"), row.get("remaining")
    least = "at least " if row.get("open_end") else ""
    parts = (
        f"{100 * done:.0f} %" if done else "",
        f"{least}{clock(left)} left" if left is not None else "",
        f"{clock(row.get('elapsed') or 0)} gone, step {row['step']}",
        scores_line({"loss": row.get("loss")}),
        best,
        f"{row.get('tokens_per_second') or 0:,.0f} tokens/s",
        f"{row['memory_mb']:,.0f} MB" if "memory_mb" in row else "",
    )
    return ", ".join(filter(None, parts))
