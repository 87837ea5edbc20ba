"""``dragoman serve``"""

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import tyro

from dragoman.api import Model, load
from dragoman.cli.aids import AidOptions
from dragoman.cli.parse import Given
from dragoman.config.options import ServingOptions
from dragoman.config.values import Range
from dragoman.data.streams import STDIN
from dragoman.errors import DragomanError, OptionError, did_you_mean
from dragoman.layout import CARD
from dragoman.search.aids import Aids
from dragoman.serving.languages import LANGUAGE, Models, Served, language_codes

_FAILED = 3
"""Exit code of a worker that could not start: uvicorn then starts no other."""


@dataclass(frozen=True)
class Serve:
    """Answer translation requests over HTTP, as LibreTranslate does, and show a page to try it."""

    paths: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Model folders or bundles, one for each direction of translation."""
    languages: tuple[str, ...] = ()
    """The languages of each model in their order, such as fr:en. Without
    it, the name of a folder says them (fra-eng), and where a model writes
    several languages, its tags name those. To give the languages of such a
    model here, name the model once for each that it writes."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 is every one of this machine."""
    port: Annotated[int, Range(0, below=65536)] = 5000
    """Port to listen at; 0: any that is free."""
    workers: Annotated[int, Range(1, below=1025)] = 1
    """Number of processes that share the port; each loads every model."""
    device: str = "cpu"
    """Where the models run: cpu, cuda, cuda:1 or mps."""
    memory: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file of sources and their answers, with a tab between. A line that
    stands there is answered from it; the models answer the others. Given
    once for all models; or once for each in their order, - for one without."""
    terms: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A file of source terms, a tab, and the forms of each with commas between.
    Where a line has the term, its output has one of the forms. Given as
    often as --memory."""
    keep: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """What stays as it is, at its place: usual (URLs, e-mail addresses, fields
    such as {0} and %s, tags such as <b>), numbers, or a regular expression."""
    serving: ServingOptions = field(default_factory=ServingOptions)
    """API keys, other origins, the log, and the limits of requests."""


def main(asked: Serve, given: Given) -> int:
    """Run the verb."""
    if not asked.paths:
        raise OptionError("no model is named", cure="dragoman serve DIR")
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from dragoman.serving.gate import Protocol

    names = [path.resolve().name for path in asked.paths]
    for option, files in (("--memory", asked.memory), ("--terms", asked.terms)):
        if len(files) not in (0, 1, len(names)):
            cause, cure = f"{len(files)} given for {len(names)} models", "one for each, - for none"
            raise OptionError(cause, place=option, cure=cure)
    codes = list(language_codes(asked.languages, names))
    listening = _listen(asked.host, asked.port)
    host, port, *_ = listening.getsockname()
    address = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    config = uvicorn.Config(
        partial(_worker if asked.workers > 1 else _app, asked, codes, address),
        factory=True,
        http=Protocol,
        ws="none",
        log_config=None,
        log_level="warning",
        server_header=False,
        workers=asked.workers,
        limit_concurrency=4 * asked.serving.max_requests,
        timeout_worker_healthcheck=60,  # a busy machine takes long to start one
        timeout_graceful_shutdown=round(asked.serving.max_seconds) + 1,
    )
    with suppress(KeyboardInterrupt):  # the signal that ended the server, once more
        if asked.workers == 1:
            uvicorn.Server(config).run([listening])
        else:
            with TemporaryDirectory(prefix="dragoman-") as folder:
                # What workers unpack is removed here: uvicorn ends them by a signal.
                os.environ["TMPDIR"] = folder
                group = Multiprocess(config, [listening])
                group.run()
            return 2 if any(one.exitcode == _FAILED for one in group.processes) else 0
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        OptionError: the host is none of this machine's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        cause = f"cannot listen at {host}, port {port}: {error.strerror or error}"
        raise OptionError(cause, place="--port", cure="another --port or --host") from error


def _worker(asked: Serve, codes: list[tuple[str, str]], address: str) -> Any:
    """The application of one of several processes; what is wrong with a model ends it."""
    try:
        return _app(asked, codes, address)
    except DragomanError as error:
        print(f"dragoman serve: {error}", file=sys.stderr)
        raise SystemExit(_FAILED) from None


def _app(asked: Serve, codes: list[tuple[str, str]], address: str) -> Any:
    """The application (ASGI) with its models loaded."""
    from dragoman.serving.app import build_app

    loaded = {path: load(path, device=asked.device) for path in dict.fromkeys(asked.paths)}
    models = list[Served]()
    for number, (path, pair) in enumerate(zip(asked.paths, codes, strict=True)):
        models += _served(asked, number, loaded[path], *pair)
    app = build_app(Models(models), asked.serving)
    pairs = ", ".join(f"{one.source} to {one.target}" for one in models)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    # In one piece and at once: workers share the output.
    print(f"dragoman serve: {address} translates {pairs} (Ctrl-C stops)\n", end="", flush=True)
    return app


def _served(asked: Serve, number: int, model: Model, source: str, target: str) -> Iterator[Served]:
    """Yield the model of this number once for each language that it writes."""
    path, card, tags = asked.paths[number], model.folder.path / CARD, model.folder.source.tags
    known = tags.of_column(tags.columns) if tags.columns else set()
    writes = len(known) > 1 and all(map(LANGUAGE.fullmatch, known))  # its tags are languages
    if writes and asked.languages and target not in known:
        cause, cure = f"{path} does not write {target}", did_you_mean(target, known)
        raise OptionError(cause, place="--languages", cure=cure)
    memory, terms = _file(asked.memory, number), _file(asked.terms, number)
    given = AidOptions(memory=memory, terms=terms, keep=asked.keep)
    facts: dict[str, Any] = {"name": path.resolve().name, "confidence": model.confidence}
    facts["card"] = card.read_text("utf-8", errors="replace") if card.is_file() else ""
    for code in sorted(known - {source}) if writes and not asked.languages else [target]:
        try:
            aids = replace(given, target_tag=code if code in known else "").read(model, {})
            translator, search = model.translator({}, aids)
        except OptionError as error:
            raise OptionError(str(error), place=path) from None
        yield Served(source, code, translator, search, partial(_explained, model, aids), **facts)


def _explained(model: Model, aids: Aids, line: str) -> str:
    return model.explain(line, aids=aids).to_json(arrays=False)


def _file(files: tuple[Path, ...], number: int) -> Path | None:
    """The file of a model: the only one, which is for all, or its own; None where that is ``-``."""
    file = files[number % len(files)] if files else None
    return None if file == STDIN else file
