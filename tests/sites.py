"""Static sites of models of a few units, what Node says of them, and a server of plain files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from dragoman.config.options import Config, ModelOptions, SearchOptions, SideOptions
from dragoman.data.setup import save_setup
from dragoman.data.tokenizer import EOS
from dragoman.data.vocabulary import train_tokenizer
from dragoman.evaluation.confidence import Confidence
from dragoman.export.web import RUNTIME, VERSION, export_site
from dragoman.model.build import build_model
from dragoman.model.folder import save_weights

WORDS = [f"w{i}" for i in range(90)]
PAIRS = [(" ".join(WORDS[i : i + 5]), " ".join(WORDS[i + 2 : i + 6])) for i in range(0, 60, 7)]
SURE = Confidence("exact match", 0.5, 1.5, 0.25)


def npm_package(cache: Path, name: str = RUNTIME, version: str = VERSION) -> Path:
    """The file of a package of npm, fetched once; skips the test where npm cannot."""
    file = f"{name}-{version}.tgz"
    kept = cache / file
    if not kept.exists():
        if shutil.which("npm") is None:
            pytest.skip("needs npm, which is not installed")
        aside = cache / str(os.getpid())
        aside.mkdir()
        command = ["npm", "pack", f"{name}@{version}"]
        done = subprocess.run(command, cwd=aside, capture_output=True, timeout=300, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot fetch {name} {version}")
        os.replace(aside / file, kept)
        aside.rmdir()
    return kept


def save_folder(
    path: Path,
    model: dict[str, Any],
    search: dict[str, Any],
    side: dict[str, Any],
    tags: Sequence[str] = (),
) -> Path:
    """A model folder of a few units, untrained.

    Args:
        path: where.
        model, search, side: options that differ from those of a tiny model of words.
        tags: tokens of tags that the vocabulary has besides.
    """
    level: dict[str, Any] = {"level": "word", "vocabulary": 600, "max_tokens": 12}
    options = replace(SideOptions(), **level | side)
    tokens = train_tokenizer(
        [*WORDS, " , ".join(WORDS[:9]), "Über w1 .", " ".join(WORDS)], options, tags=tags
    )
    base = {"embedding": 20, "hidden": 32, "dropout": 0.0}
    chosen = replace(ModelOptions(), **base | model)
    torch.manual_seed(5)
    sizes = {"source_vocabulary": len(tokens), "target_vocabulary": len(tokens)}
    made = build_model(chosen, **sizes)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1.8)  # an untrained model says the same of everything
        made.output.bias[EOS] += 2
    path.mkdir(parents=True)
    config = Config(
        source=options, target=options, model=chosen, search=replace(SearchOptions(), **search)
    )
    save_setup(path, config, tokens, tokens)
    save_weights(path, made, tokens, tokens)
    SURE.save(path)
    (path / "README.md").write_text("# Tiny\n\nA **card**.\n", "utf-8")
    return path


def made_site(
    home: Path,
    package: Path,
    model: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
    side: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """A site in ``home`` of a folder of :func:`save_folder`; ``options`` are of export_site."""
    folder = save_folder(home / "xx-yy", model or {}, search or {}, side or {})
    export_site(folder, home / "site", PAIRS, runtime=package, languages=("xx", "yy"), **options)
    return home / "site"


def in_node(site: Path | None, tmp_path: Path, **asked: Any) -> Any:
    """What ``export/run_page.mjs`` answers with the modules of a site, or as they lie here."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node, which is not installed")
    page = tmp_path / "page"
    if site is not None:
        shutil.copytree(site / "page", page, dirs_exist_ok=True)
        asked["site"] = str(site)
    else:
        with resources.as_file(resources.files("dragoman") / "export/site") as folder:
            shutil.copytree(folder, page, dirs_exist_ok=True)
    (page / "package.json").write_text('{"type": "module"}')  # browsers know it from the page
    runner = Path(__file__).parent / "export" / "run_page.mjs"
    text = json.dumps(asked | {"page": str(page)})
    done = subprocess.run(
        [node, str(runner)], input=text, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def files_served(folder: Path) -> Iterator[str]:
    """A server of plain files, as any host of static sites is one; yields its address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)
