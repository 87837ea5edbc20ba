"""Shows runs and their rows in a terminal."""

import unicodedata
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dragoman.runs.history import History, Row, differences
from dragoman.runs.scores import SCORES, score_text, scores_line


def clock(seconds: float) -> str:
    """Format a time: 75 seconds as ``1:15``, an hour more as ``1:01:15``."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{whole % 60:02d}"


def visible(text: str) -> str:
    """Spell out control characters, which could command the terminal: ``\\x1b``."""
    return "".join(c if unicodedata.category(c) != "Cc" else f"\\x{ord(c):02x}" for c in text)


def row_lines(row: Row, best: str = "") -> Iterator[str]:
    """Format a row of ``metrics.jsonl`` as lines for a user.

    A training row gives one line of progress, with ``best`` (the best score so far) in it. A
    validation row gives its scores, and each sample's source, reference and output.
    """
    if row["kind"] == "train":
        done, left = row.get("done"), row.get("remaining")
        parts = (  # the most important first: a narrow terminal cuts the others off
            f"{100 * done:.0f} %" if done else "",
            f"{clock(left)} left" if left is not None else "",
            f"{clock(row.get('elapsed') or 0)} gone, step {row['step']}",
            scores_line({"loss": row.get("loss")}),
            best,
            f"{row.get('tokens_per_second') or 0:,.0f} tokens/s",
            f"{row['memory_mb']:,.0f} MB" if "memory_mb" in row else "",
        )
        yield ", ".join(filter(None, parts))
    elif row["kind"] == "validation":
        yield f"step {row['step']}: {scores_line(row)}{' (best)' if row.get('best') else ''}"
        for sample in (*(row.get("samples") or ()), *(row.get("watched") or ())):
            for mark, name in ((">", "source"), ("=", "reference"), ("<", "output")):
                if sample.get(name) or name != "reference":
                    yield f"  {mark} {visible(str(sample[name]))}"


def print_runs(runs: Sequence[History], console: Console) -> None:
    """Print a table of runs: the state of each, its costs, four of its best scores; and which
    options differ between them.

    Raises:
        FolderError: the files of a run are damaged.
    """
    names = ("loss", "bleu", "chrf", "exact")
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    for name in ("step", "time", "tokens/s", "MB", *(SCORES[name].label for name in names)):
        table.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        summary = run.summary()
        costs = (summary["tokens_per_second"], summary["memory_mb"])
        table.add_row(
            Text(visible(summary["folder"])),
            summary["state"],
            f"{summary['step']:,}",
            clock(summary["seconds"]),
            *("" if cost is None else f"{cost:,.0f}" for cost in costs),
            *(score_text(summary["best"], name) for name in names),
        )
    if not console.is_terminal:  # a line of a file may be longer than a screen
        console = Console(file=console.file, width=300)
    console.print(table)
    for name, values in differences(runs).items():
        parts = (f"{value} ({', '.join(one.name for one in of)})" for value, of in values.items())
        console.print(Text(visible(f"{name}: {'; '.join(parts)}")))
