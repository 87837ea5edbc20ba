"""Two hosts that are network namespaces of this machine, with torchrun on each.

A pair of virtual Ethernet devices joins them; their disk is shared. Needs Linux, root and the
program ``ip``. On each host a shell starts ``torchrun`` again until it succeeds, as systemd or
Kubernetes do.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

PORT = 29511
"""Of the first host, where both meet."""
RENDEZVOUS = "keep_alive_interval=1,keep_alive_max_attempt=3,read_timeout=10"
"""Seconds between signs of life of torchrun, how many may be missing, seconds for an answer."""
AGAIN = 'until "$@"; do sleep 1; done'
"""The shell that starts a command until it succeeds."""


def ip(*command: str) -> str:
    """What the program ``ip`` prints.

    Raises:
        subprocess.CalledProcessError: it fails; its ``stderr`` says why.
    """
    done = subprocess.run(["ip", *command], check=True, capture_output=True, text=True)
    return done.stdout


def torchrun(*options: str) -> list[str]:
    """The command ``torchrun`` of this Python, with one program: dragoman.

    The variable PYTHON_EXEC names another Python for both, as it does for torchrun's processes.
    """
    python = os.environ.get("PYTHON_EXEC", sys.executable)
    return [python, "-m", "torch.distributed.run", *options, "-m", "dragoman"]


@dataclass
class Hosts:
    """Two network namespaces with a cable between them.

    Args:
        name: begins the names of namespaces and devices, at most 14 letters.
        folder: where the hosts write their logs.
    """

    name: str
    folder: Path
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    """The shell of each host that was started."""

    addresses = ("10.77.0.1", "10.77.0.2")

    def __post_init__(self) -> None:
        self.names = [f"{self.name}{letter}" for letter in "ab"]
        self.logs = [self.folder / f"host{number}.log" for number in (0, 1)]

    def build(self) -> None:
        """Make the namespaces and the cable."""
        for host in self.names:
            ip("netns", "add", host)
            ip("-n", host, "link", "set", "lo", "up")
        a, b = self.names
        ip(*f"link add {a} netns {a} type veth peer name {b} netns {b}".split())
        for host, address in zip(self.names, self.addresses, strict=True):
            ip("-n", host, "addr", "add", f"{address}/24", "dev", host)
            ip("-n", host, "link", "set", host, "up")

    def cable(self, host: int, *, plugged: bool) -> None:
        """Plug the cable of a host in, or take it out."""
        name = self.names[host]
        ip("-n", name, "link", "set", name, "up" if plugged else "down")

    def start(self, host: int, command: list[str]) -> None:
        """Start ``dragoman`` with ``command`` on a host, under a shell and torchrun."""
        launch = torchrun(
            *("--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "1000"),
            *("--rdzv-backend", "c10d", "--rdzv-id", self.name),
            *("--rdzv-endpoint", f"{self.addresses[0]}:{PORT}"),
            *("--local-addr", self.addresses[host]),
            # Both hosts have the name of this machine, by which torchrun finds its own address.
            *("--rdzv-conf", f"is_host={host == 0},{RENDEZVOUS}"),
        )
        variables = os.environ | {"GLOO_SOCKET_IFNAME": self.names[host], "OMP_NUM_THREADS": "1"}
        enter = ["ip", "netns", "exec", self.names[host], "sh", "-c", AGAIN, "sh"]
        with self.logs[host].open("ab") as log:
            self.running[host] = subprocess.Popen(
                [*enter, *launch, *command], stdout=log, stderr=log, env=variables
            )

    def kill(self, host: int) -> None:
        """Kill every process of a host, as a power cut does."""
        while found := ip("netns", "pids", self.names[host]).split():
            for pid in map(int, found):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if host in self.running:
                self.running[host].wait()
            time.sleep(0.05)

    def kill_torchrun(self, host: int) -> None:
        """Kill the program torchrun of a host, and nothing else there."""
        shell = self.running[host].pid
        for pid in map(int, ip("netns", "pids", self.names[host]).split()):
            with suppress(FileNotFoundError, ProcessLookupError):
                parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                if int(parent) == shell and name != "sleep":
                    os.kill(pid, signal.SIGKILL)

    def sent(self) -> int:
        """Bytes that the first host has sent to the second."""
        told = ip("-n", self.names[0], "-s", "-o", "link", "show", self.names[0])
        return int(re.search(r"TX:.*?\\\s+(\d+)", told)[1])  # type: ignore[index]

    def codes(self) -> list[int | None]:
        """The exit codes of both hosts' shells; None for one that has not ended."""
        return [process.poll() for process in self.running.values()]

    def close(self) -> None:
        """Kill what runs on the hosts and remove them; their cable goes with them."""
        for number, host in enumerate(self.names):
            if Path("/run/netns", host).exists():
                self.kill(number)
                subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)


@contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    """Context manager; yields two hosts whose logs are in ``folder``, and removes them."""
    two = Hosts(f"dg{os.getpid() % 100_000}", folder)
    try:
        two.build()
        yield two
    finally:
        two.close()


def unfit() -> str:
    """Why this process can make no hosts; empty when it can."""
    if sys.platform != "linux" or os.geteuid() or not shutil.which("ip"):
        return "needs Linux, root and the program ip (package iproute2)"
    with TemporaryDirectory() as folder:
        try:
            with two_hosts(Path(folder)):
                return ""
        except subprocess.CalledProcessError as error:
            return f"network namespaces cannot be made here: {error.stderr.strip()}"
