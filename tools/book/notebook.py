"""Makes Jupyter notebooks of pages, executes them, and compares what they print.

Every page is executed as its notebook, so that what is tested is what a reader opens.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tools.book.include import ROOT, expand
from tools.book.parts import Part, parts_of

RECORDS = ROOT / "build" / "book"
"""Outputs and pictures of pages that were run, a folder each."""
MOST_SECONDS = 300
_CONTROL = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")
_IMAGE = re.compile(r"\]\(made/([\w.-]+)\)")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]*\.md[^)]*\)")


@dataclass
class Printed:
    """What a block printed."""

    out: str = ""
    err: str = ""


class PageError(AssertionError):
    """A block of a page failed, or printed something else than the page says."""


def parts(page: Path) -> list[Part]:
    """The parts of a page, with the code that it names."""
    return parts_of(expand(page.read_text("utf-8")))


def notebook(page: Path, *, small: bool = False) -> dict[str, Any]:
    """The page as a notebook of format 4.5.

    Args:
        page: a page of Markdown.
        small: for a test: with the smaller budgets of the page's notes, and without the cells that
            are not run.
    """
    cells = []
    for number, part in enumerate(parts(page)):
        code = code_of(part, small=small)
        if part.kind == "output" or (small and part.not_run):
            continue
        if code:
            cells.append(_cell("code", number, code, execution_count=None, outputs=[]))
        else:
            text = _LINK.sub(r"\1", _IMAGE.sub(r"](\1)", part.markdown()))
            cells.append(_cell("markdown", number, text.strip("\n")))
    names = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": names, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(kind: str, number: int, source: str, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "id": f"part-{number}", "metadata": {}, "source": source, **more}


def code_of(part: Part, *, small: bool) -> str:
    """The cell of code that a part becomes; empty if it is none."""
    if part.kind == "file":
        folder = f"mkdir -p {Path(part.title).parent} && " if "/" in part.title else ""
        code = f"%%bash\n{folder}cat > {part.title} <<'END'\n{part.body}\nEND"
    elif part.kind == "console":
        code = f"%%bash\nset -e\n{part.commands}"
    else:
        code = part.body if part.kind == "python" else ""
    for before, after in part.small if small else ():
        if before not in code:
            raise PageError(f"{before!r} is not in the block: {code}")
        code = code.replace(before, after, 1)
    return code


def run(page: Path, work: Path, programs: Path) -> dict[int, Printed]:
    """Execute a page and compare what it prints.

    Args:
        page: a page of Markdown.
        work: an empty folder, in which it runs.
        programs: the folder of the program ``dragoman``, see :mod:`tools.book.forks`.

    Returns:
        What each block printed, by the number of its part.

    Raises:
        PageError: a block fails, or prints something else than the page says.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    whole = nbformat.from_dict(notebook(page, small=True))
    nbformat.validate(whole)
    port = str(_free_port())
    for cell in whole.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace(":5000", f":{port}").replace(
                "dragoman serve ", f"dragoman serve --port {port} "
            )
    client = NotebookClient(
        whole,
        timeout=MOST_SECONDS,
        kernel_name="python3",
        kernel_manager_class=_kernels(programs),
        resources={"metadata": {"path": work}},
        extra_arguments=["--IPKernelApp.log_level=50"],  # no note on how to connect to it
    )
    try:
        client.execute(env=_environment(programs))
    except CellExecutionError as error:
        raise PageError(f"{page.name}: {error}") from None
    printed = {}
    for cell in whole.cells:
        if cell.cell_type == "code":
            texts = {"stdout": "", "stderr": ""}
            for output in cell.outputs:
                if output.output_type == "stream":
                    texts[output.name] += output.text
            printed[int(cell.id.removeprefix("part-"))] = Printed(
                *(_CONTROL.sub("", text) for text in texts.values())
            )
    _compare(page, printed)
    return printed


def _kernels(programs: Path) -> type:
    """What starts the kernel of a notebook, as a fork that has imported PyTorch already."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class Specs(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            begin = [str(programs / "forked-python"), "-m", "ipykernel_launcher"]
            argv = [*begin, "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    class Kernels(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return Specs()

    return Kernels


def _environment(programs: Path) -> dict[str, str]:
    """The environment of a page: this code and this Python's programs first, one thread."""
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    more = {"PATH": path, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    return {**os.environ, **more, "NO_COLOR": "1"}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _compare(page: Path, printed: dict[int, Printed]) -> None:
    """Compare what was printed with what the page says; ``...`` stands for any text."""
    last = -1
    for number, part in enumerate(parts(page)):
        if part.kind == "output":
            expected, got = part.body, printed.get(last, Printed()).out
        elif number in printed:
            last = number
            expected, got = part.expected if part.kind == "console" else "", printed[number].out
        else:
            continue
        if expected and not matches(expected, got):
            raise PageError(f"{page.name}: expected\n{expected}\nprinted\n{got}")


def matches(expected: str, printed: str) -> bool:
    """Whether a text is what is expected, where ``...`` stands for any text."""
    lines = (one.rstrip() for one in expected.strip("\n").splitlines())
    pattern = re.escape("\n".join(lines)).replace(re.escape("..."), ".*")
    got = "\n".join(one.rstrip() for one in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, got, re.DOTALL) is not None


def slug(page: Path) -> str:
    """The name of the folder for a page's records."""
    try:
        return "-".join(page.resolve().relative_to(ROOT / "docs").with_suffix("").parts)
    except ValueError:
        return page.stem.lower()


def record(page: Path, work: Path, programs: Path) -> dict[int, Printed]:
    """:func:`run` a page and keep its outputs, and the pictures that it shows, for the site."""
    printed = run(page, work, programs)
    folder = RECORDS / slug(page)
    folder.mkdir(parents=True, exist_ok=True)
    rows = {number: asdict(one) for number, one in printed.items()} | {"page": _digest(page)}
    for name in _IMAGE.findall(page.read_text("utf-8")):
        shutil.copyfile(work / name, folder / name)
    (folder / "printed.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return printed


def recorded(page: Path) -> dict[int, Printed]:
    """What the blocks of a page printed when it was last run; empty if it was another page then."""
    file = RECORDS / slug(page) / "printed.json"
    rows = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if rows.pop("page", "") != _digest(page):
        return {}
    return {int(number): Printed(**one) for number, one in rows.items()}


def _digest(page: Path) -> str:
    return sha256(page.read_bytes()).hexdigest()
