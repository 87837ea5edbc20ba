"""What MkDocs asks while it builds the site: code, tables, outputs and pictures for the pages."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parents[2] / "src")]

from mkdocs.structure.files import File, Files  # noqa: E402

from tools.book.notebook import RECORDS, parts, recorded, slug  # noqa: E402

DRAFT = "DRAGOMAN_DOCS_DRAFT"
"""Environment variable: pages that were not run are shown without outputs and pictures."""
_IMAGE = re.compile(r"!\[[^\]]*\]\(made/([\w.-]+)\)\n?")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, with the code that it names and what its blocks printed.

    Raises:
        LookupError: the page was not run, so that an output is missing.
    """
    path = Path(page.file.abs_src_path)
    printed, shown = recorded(path), []
    for number, part in enumerate(parts(path)):
        if not part.body.startswith("%pip "):  # what a hosted notebook installs first
            shown.append(part.markdown())
        if part.prints:
            if number not in printed and not os.environ.get(DRAFT):
                raise LookupError(f"{path}: run it first: python -m tools.book run {path}")
            text = printed[number].out.rstrip("\n") if number in printed else ""
            shown.append(f"```text\n{text}\n```\n" if text else "")
    text = "\n".join(shown)
    return _IMAGE.sub("", text) if os.environ.get(DRAFT) else text


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures that pages made, each in the folder ``made`` beside its page."""
    for one in list(files.documentation_pages()):
        folder = RECORDS / slug(Path(one.abs_src_path))
        for name in _IMAGE.findall(Path(one.abs_src_path).read_text("utf-8")):
            if (folder / name).exists():
                uri = (Path(one.src_uri).parent / "made" / name).as_posix()
                made = File.generated(config, uri, abs_src_path=str(folder / name))
                files.append(made)
    return files
