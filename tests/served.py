"""Servers on the loopback with models of a few units, in a thread or as a process of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn

from dragoman.config.options import Config, ModelOptions, SearchOptions, ServingOptions, SideOptions
from dragoman.data.setup import save_setup
from dragoman.data.vocabulary import train_tokenizer
from dragoman.evaluation.confidence import Confidence
from dragoman.model.build import build_model
from dragoman.model.folder import save_weights
from dragoman.search.translator import Translator
from dragoman.serving.app import build_app
from dragoman.serving.gate import Protocol
from dragoman.serving.languages import Models, Served
from tiny_translator import TEXT, translator

SURE = Confidence("exact match", 1.0, 1.0, 0.0)
LINE = "the cat sat on a mat"


def served(
    source: str = "de",
    target: str = "en",
    *,
    model: Translator | None = None,
    confidence: Confidence | None = SURE,
    card: str = "",
) -> Served:
    return Served(
        source=source,
        target=target,
        name=f"{source}-{target}",
        translator=model or translator("word"),
        search=SearchOptions(),
        confidence=confidence,
        explain=lambda line: json.dumps({"line": line}),
        card=card,
    )


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Running:
    """A server that answers, and a plain client."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        return self.send(urllib.request.Request(self.url + path, headers=headers))

    def post(self, path: str, fields: Any = None, **headers: str) -> Answer:
        """Post JSON, or bytes as they are."""
        data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        headers.setdefault("Content-Type", "application/json")
        return self.send(urllib.request.Request(self.url + path, data, headers))

    def translate(self, q: str | Sequence[str] = LINE, **fields: Any) -> Answer:
        return self.post("/translate", {"q": q, "source": "de", "target": "en", **fields})

    def send(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                status, headers, text = reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            status, headers, text = error.code, error.headers, error.read()
        return Answer(status, {k.lower(): v for k, v in headers.items()}, text.decode())

    def raw(self, data: bytes, *, seconds: float = 30.0) -> bytes:
        """Send bytes and read until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.sendall(data)
            parts = []
            try:
                while part := connection.recv(65536):
                    parts.append(part)
            except (TimeoutError, ConnectionResetError):
                pass
            return b"".join(parts)


@contextmanager
def serving(*models: Served, **options: Any) -> Iterator[Running]:
    """A server in a thread of this process."""
    app = build_app(Models(models or [served()]), ServingOptions(**options))
    config = uvicorn.Config(app, port=0, http=Protocol, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    listening.listen(100)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield Running(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def save_tiny_folder(path: Path, *, seed: int = 4, **model: Any) -> Path:
    """A model folder of a few units, untrained: ``path`` names its languages."""
    import torch

    side = SideOptions(level="word", vocabulary=60)
    tokens = train_tokenizer(TEXT * 3, side)
    options = ModelOptions(embedding=12, hidden=16, dropout=0.0, encoder_layers=1, decoder_layers=1)
    options = replace(options, **model)
    torch.manual_seed(seed)
    sizes = {"source_vocabulary": len(tokens), "target_vocabulary": len(tokens)}
    made = build_model(options, **sizes)
    path.mkdir(parents=True)
    config = replace(Config(), source=replace(side, max_tokens=30), target=side, model=options)
    save_setup(path, config, tokens, tokens)
    save_weights(path, made, tokens, tokens)
    return path


@dataclass
class Process:
    """``dragoman serve`` as a process of its own."""

    popen: subprocess.Popen[str]
    client: Running
    log: Path

    def stop(self) -> str:
        """Send SIGTERM and wait for the end; what the server has logged."""
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(60)
        return self.log.read_text("utf-8")


@contextmanager
def process(
    folder: Path, *arguments: str, workers: int = 1, **environment: str
) -> Iterator[Process]:
    """``dragoman serve`` with these arguments and a free port, once every worker is ready."""
    command = [sys.executable, "-m", "dragoman", "serve", str(folder), *arguments, "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", **environment}
    log = folder.parent / f"{folder.name}.log"
    with log.open("w") as error:  # a pipe that is not read would hold the server up
        running = subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=error,
            text=True,
            env=environment,
        )
    try:
        assert running.stdout is not None
        for _ in range(workers):
            line = running.stdout.readline()
            assert line.startswith("dragoman serve: http://"), line + log.read_text()
        port = int(line.split()[2].rstrip("/").rsplit(":", 1)[1])
        yield Process(running, Running(port), log)
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()
