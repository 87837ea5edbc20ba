"""Counts the code lines of ``src/``: no blank lines, comments or docstrings. Fails above a budget.

python tools/lines.py [BUDGET]
"""

from __future__ import annotations

import ast
import signal
import sys
from pathlib import Path

LARGEST = 10


def code_lines(text: str) -> int:
    """The number of lines of ``text`` (Python) that hold code."""
    strings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if isinstance(node.value.value, str):
                strings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate((line.strip() for line in text.splitlines()), 1)
    return sum(bool(line) and line[0] != "#" and at not in strings for at, line in lines)


def main(budget: int) -> int:
    """Print the total and the largest files; the exit code is 1 above ``budget``."""
    root = Path(__file__).parents[1]
    counts = {
        p.relative_to(root): code_lines(p.read_text("utf-8")) for p in root.glob("src/**/*.py")
    }
    total = sum(counts.values())
    print(
        f"{total:,} code lines in {len(counts)} files of src/; the budget is {budget:,}. Largest:"
    )
    for path in sorted(counts, key=lambda path: -counts[path])[:LARGEST]:
        print(f"{counts[path]:5}  {path}")
    return int(total > budget)


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # not on Windows
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the program without a word
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000))
