"""The server under load: many clients, too many clients, a stop, and a worker that is killed.

    python -m benchmarks.serve DIR LINES --languages de:en --seconds 60

Server and clients share this machine, on the loopback. The rate of the machine is what 64 clients
get that ask one after another; then the same clients ask half as often, at fixed times, and a
request's time counts from the moment it was due. Every phase is bounded by ``--seconds``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import psutil

CLIENTS = 64
NGINX = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"


@dataclass
class Load:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    """Of each answered request."""
    statuses: Counter[str] = field(default_factory=Counter)

    def line(self, name: str, took: float) -> str:
        """The figures in one line."""
        ordered = sorted(self.seconds)
        shares = (
            {f"p{p}": ordered[len(ordered) * p // 100] for p in (50, 95, 99)} if ordered else {}
        )
        times = ", ".join(f"{p} {1000 * value:.0f} ms" for p, value in shares.items())
        return f"{name}: {len(ordered) / took:.0f} answers/s, {times}, {dict(self.statuses)}"


class Client:
    """One connection to the server, opened again when it was closed."""

    def __init__(self, port: int, bodies: Iterator[bytes], load: Load) -> None:
        self.port, self.bodies, self.load = port, bodies, load
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, due: float | None = None) -> None:
        """Send one line and note the status, or ``closed`` where there was no answer."""
        body, began = next(self.bodies), due or time.perf_counter()
        try:
            if self.streams is None:
                self.streams = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self.streams
            head = f"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = answer.split(b" ", 2)[1].decode()
            length = int(answer.split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if b"connection: close" in answer:
                self.close()
        except (OSError, asyncio.IncompleteReadError):
            status = "closed"
            self.close()
        self.load.statuses[status] += 1
        if status == "200":
            self.load.seconds.append(time.perf_counter() - began)

    def close(self) -> None:
        """Close the connection."""
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


async def closed_loop(clients: list[Client], until: Callable[[], bool]) -> None:
    """Every client asks, waits for the answer, and asks again."""

    async def run(client: Client) -> None:
        while not until():
            failed = client.load.statuses["closed"]
            await client.ask()
            if client.load.statuses["closed"] > failed:
                await asyncio.sleep(0.01)

    await asyncio.gather(*map(run, clients))


async def open_loop(clients: list[Client], rate: float, seconds: float) -> None:
    """All clients together ask so many times a second, for so long as this is due.

    A client that waits for an answer asks late; its time counts from when it was due.
    """

    async def run(number: int, client: Client) -> None:
        gap = len(clients) / rate
        due = begin + gap * number / len(clients)
        while due < begin + seconds and time.perf_counter() < begin + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await client.ask(due)
            due += gap

    begin = time.perf_counter()
    await asyncio.gather(*(run(number, client) for number, client in enumerate(clients)))


@contextmanager
def server(asked: argparse.Namespace, workers: int = 1) -> Iterator[tuple[psutil.Popen, int, Path]]:
    """``dragoman serve`` as a process, with its port and its log."""
    command = [sys.executable, "-m", "dragoman", "serve", str(asked.model), "--port", "0"]
    command += ["--workers", str(workers)]
    command += ["--languages", asked.languages] if asked.languages else []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as error:
            running = psutil.Popen(command, stdout=subprocess.PIPE, stderr=error, text=True)
        try:
            for _ in range(workers):
                said = running.stdout.readline()
                if not said:
                    raise SystemExit(log.read_text("utf-8"))
            yield running, int(said.split()[2].rstrip("/").rsplit(":", 1)[1]), log
        finally:
            if running.is_running():
                running.kill()
            running.wait()


@contextmanager
def nginx(port: int) -> Iterator[int]:
    """nginx with the sample of ``deploy/`` before a server; without its limit of requests."""
    with tempfile.TemporaryDirectory() as folder:
        sample = NGINX.read_text("utf-8").replace("127.0.0.1:5000", f"127.0.0.1:{port}")
        lines = [line for line in sample.split("\n") if "limit_req zone" not in line]
        front = port + 1 if port < 65535 else port - 1
        text = "\n".join(lines).replace("listen 8080", f"listen 127.0.0.1:{front}")
        Path(folder, "site.conf").write_text(text, "utf-8")
        Path(folder, "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
            f"http {{ access_log off; include {folder}/site.conf; }}\n"
        )
        running = subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-p", folder])
        try:
            time.sleep(1)
            yield front
        finally:
            running.terminate()
            running.wait()


def memory(process: psutil.Process) -> float:
    """Resident MB of a process and its children."""
    every = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in every) / 1e6


@asynccontextmanager
async def timed(name: str, load: Load, process: psutil.Process) -> AsyncIterator[None]:
    """Print what clients saw in the block, and the server's memory after it."""
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    print(f"{load.line(name, took)}, {memory(process):.0f} MB", flush=True)


async def steady(asked: argparse.Namespace, bodies: Iterator[bytes]) -> None:
    """Half the machine's rate, ten times the rate, and what comes after it."""
    with server(asked) as (process, port, _):

        def clients(load: Load, count: int = CLIENTS) -> list[Client]:
            return [Client(port, bodies, load) for _ in range(count)]

        warm, full = Load(), Load()
        await open_loop(clients(warm), 50, 3)
        end = time.perf_counter() + asked.seconds / 4
        async with timed("as fast as they are answered", full, process):
            await closed_loop(clients(full), lambda: time.perf_counter() > end)
        rate = len(full.seconds) / (asked.seconds / 4)
        half = Load()
        async with timed(f"half of it, {rate / 2:.0f}/s for {asked.seconds} s", half, process):
            await open_loop(clients(half), rate / 2, asked.seconds)
        much = Load()
        async with timed(f"ten times, {10 * rate:.0f}/s", much, process):
            await open_loop(clients(much, 900), 10 * rate, asked.seconds / 4)
        began, after = time.perf_counter(), Load()
        one = Client(port, bodies, after)
        while after.statuses["200"] < 1 and time.perf_counter() < began + 30:
            await one.ask()
        print(f"recovered after {time.perf_counter() - began:.2f} s", flush=True)


async def stopped(asked: argparse.Namespace, bodies: Iterator[bytes]) -> None:
    """SIGTERM while 64 clients ask: as many 200 in the server's log as clients have read."""
    with server(asked) as (process, port, log):
        load, ended = Load(), asyncio.Event()
        clients = [Client(port, bodies, load) for _ in range(CLIENTS)]
        asking = asyncio.ensure_future(closed_loop(clients, ended.is_set))
        await asyncio.sleep(asked.seconds / 10)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 60)
        ended.set()
        await asking
        accepted = Counter(
            line.split()[4] for line in log.read_text("utf-8").splitlines() if "/translate" in line
        )
        print(f"SIGTERM: exit {code}, accepted {dict(accepted)}, clients {dict(load.statuses)}")
        if accepted["200"] != load.statuses["200"] or accepted.keys() - {"200", "429"}:
            raise SystemExit("an accepted request was lost")


async def killed(asked: argparse.Namespace, bodies: Iterator[bytes]) -> None:
    """Two workers behind nginx, of which one is killed: every request is answered."""
    with server(asked, workers=2) as (process, port, _), nginx(port) as front:
        load, end = Load(), time.perf_counter() + asked.seconds / 4
        clients = [Client(front, bodies, load) for _ in range(16)]
        asking = asyncio.ensure_future(closed_loop(clients, lambda: time.perf_counter() > end))
        await asyncio.sleep(asked.seconds / 12)
        workers = [c for c in process.children() if "resource_tracker" not in " ".join(c.cmdline())]
        os.kill(max(worker.pid for worker in workers), signal.SIGKILL)
        async with timed("one of two workers killed behind nginx", load, process):
            await asking
        if load.statuses.keys() - {"200"}:
            raise SystemExit("a request failed")


PHASES: dict[str, Callable[[argparse.Namespace, Iterator[bytes]], Awaitable[None]]] = {
    "steady": steady,
    "stopped": stopped,
    "killed": killed,
}


def main() -> None:
    """Run the phases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a model folder or a bundle")
    parser.add_argument("lines", type=Path, help="a text with sentences for it, one a line")
    parser.add_argument("--languages", default="", help="such as de:en")
    parser.add_argument("--tokens", type=int, default=20, help="words of each sentence")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--phases", nargs="*", choices=PHASES, default=list(PHASES))
    asked = parser.parse_args()
    words = asked.lines.read_text("utf-8").split()
    starts = range(0, min(len(words), 20_000) - asked.tokens, asked.tokens)
    lines = [" ".join(words[start : start + asked.tokens]) for start in starts]
    source, _, target = (asked.languages or ":".join(asked.model.name.split("-")[:2])).partition(
        ":"
    )
    fields = ({"q": line, "source": source, "target": target} for line in lines)
    bodies = cycle([json.dumps(one).encode() for one in fields])
    for name in asked.phases:
        asyncio.run(PHASES[name](asked, bodies))


if __name__ == "__main__":
    main()
