"""The commands of :mod:`tools.book`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.book.forks import server
from tools.book.include import ROOT
from tools.book.manual import completion, man
from tools.book.notebook import PageError, code_of, notebook, record
from tools.book.parts import parts_of
from tools.book.pictures import draw


def pages() -> list[Path]:
    """The pages with blocks that are run: README and those of ``docs/``."""
    every = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        page
        for page in every
        if page.name != "log.md"
        and any(
            code_of(part, small=False) and not part.not_run
            for part in parts_of(page.read_text("utf-8"))
        )
    ]


def chapters() -> list[Path]:
    """The chapters of Learn."""
    return sorted((ROOT / "docs" / "learn").glob("[0-9]-*.md"))


def write_notebooks(folder: Path) -> list[Path]:
    """Write each chapter as a notebook; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in chapters():
        file = folder / f"{page.stem}.ipynb"
        text = json.dumps(notebook(page), ensure_ascii=False, indent=1)
        file.write_text(f"{text}\n", encoding="utf-8")
        written.append(file)
    return written


def _run(asked: list[str]) -> int:
    failed = 0
    with TemporaryDirectory() as place, server(Path(place)) as programs:
        for page in [Path(one).resolve() for one in asked] or pages():
            began = time.monotonic()
            with TemporaryDirectory() as work:
                try:
                    blocks = len(record(page, Path(work), programs))
                except PageError as error:
                    print(error, file=sys.stderr)
                    failed += 1
                    continue
            seconds = time.monotonic() - began
            print(f"{page.relative_to(ROOT)}: {blocks} blocks, {seconds:.0f} s", flush=True)
    return int(failed > 0)


def main(arguments: list[str]) -> int:
    """Run a command; returns its exit code."""
    match arguments:
        case ["run", *asked]:
            return _run(asked)
        case ["notebooks", folder]:
            print(*write_notebooks(Path(folder)), sep="\n")
        case ["man", file]:
            Path(file).write_text(man(), encoding="utf-8")
        case ["picture", demo, file]:
            draw(Path(demo), Path(file))
        case ["completion", ("bash" | "zsh" | "fish") as shell]:
            print(completion(shell), end="")
        case _:
            print(sys.modules["tools.book"].__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
