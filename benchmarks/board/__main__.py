"""Measure rows of the board, or write its page from what was measured.

python -m benchmarks.board DATA [ROW ...] [--seeds N]   train and score what has no result yet
python -m benchmarks.board --list                       the rows, cheapest first; trains none
python -m benchmarks.board --page                       docs/results.md, from results/*.json
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.board.page import page, summary
from benchmarks.board.rows import RESULTS, ROWS, Row, RowError, read_rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.board",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="?", type=Path, help="the folder of the data")
    parser.add_argument("row", nargs="*", help="names of rows; without one, all")
    parser.add_argument("--seeds", type=int, help="trainings of each language (default: the row's)")
    parser.add_argument("--again", action="store_true", help="measure what has a result anew")
    parser.add_argument("--list", action="store_true", help="tell the rows, cheapest first")
    parser.add_argument("--page", action="store_true", help="write the page")
    parser.add_argument("--rows", type=Path, default=ROWS, help="the file of rows")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of results")
    parser.add_argument("--work", type=Path, help="the folder of models")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page")
    asked, failed = parser.parse_args(arguments), False
    try:
        rows = read_rows(asked.rows)
        if unknown := [name for name in asked.row if name not in rows]:
            raise RowError(f"no row {', '.join(unknown)}; there are {', '.join(rows)}")
        if asked.list:
            print("\n".join(summary(rows, asked.results)))
        elif asked.data:
            failed = _measure(asked, [rows[name] for name in asked.row or rows])
        if asked.page:
            asked.out.write_text(page(rows, asked.results), encoding="utf-8")
            print(f"wrote {asked.out}")
    except RowError as error:
        print(error, file=sys.stderr)
        return 2
    if not (asked.data or asked.list or asked.page):
        parser.error("name the data folder, or --list, or --page")
    return 1 if failed else 0


def _measure(asked: argparse.Namespace, rows: list[Row]) -> bool:
    """Run each row; one that fails is told and stops no other. Returns whether one failed."""
    from benchmarks.board.run import CommandError, run_row  # torch only now
    from benchmarks.program import CACHE, RunError

    failed = False
    for row in rows:
        work, seeds = asked.work or CACHE / "board", asked.seeds or row.seeds
        try:
            run_row(row, asked.data, asked.results, work, seeds, again=asked.again)
        except (CommandError, RunError) as error:
            print(f"{row.name}: {error}", file=sys.stderr)
            failed = True
    return failed


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the program without a word
    sys.exit(main())
