"""Runs ``dragoman`` commands as forks of one process, which has imported PyTorch already.

A page of documentation has many short commands, and importing PyTorch takes longer than most of
them. :func:`server` starts a process that imports everything once. The program ``dragoman`` that it
writes sends its arguments, folder, environment and open files there; a fork of the server runs the
command with them and answers with the exit code. Linux and macOS only.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from dragoman.cli import VERBS

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = [
    *(f"dragoman.cli.{verb}" for verb in (*VERBS, "parse")),
    *("dragoman.learn", "dragoman.training.run", "dragoman.inspection.explain"),
    *("dragoman.runs.report", "dragoman.evaluation.evaluate", "dragoman.export.bundle"),
    *("dragoman.serving.app", "dragoman.runtime.network", "dragoman.data.check.check"),
    *("ftfy", "onnxruntime", "sacrebleu", "torch._dynamo", "typeguard", "rich._emoji_codes"),
]
"""What most commands import sooner or later."""
_CLIENT = """#!{python} -IS
import array, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    files = array.array("i", [0, 1, 2])
    server.sendmsg([len(asked).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    server.sendall(asked)
    answers = server.makefile("r")
    number = int(answers.readline())
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda sent, _: os.kill(number, sent))
    sys.exit(int(answers.readline() or 1))
"""


@contextmanager
def server(folder: Path) -> Iterator[Path]:
    """Context manager; yields the folder of the program ``dragoman``, for the search path.

    Args:
        folder: where the program and the socket are written.
    """
    address, program = folder / "socket", folder / "bin" / "dragoman"
    program.parent.mkdir(parents=True)
    program.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    more = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tools.book.forks", str(address)]
    with subprocess.Popen(command, env=os.environ | more) as process:
        try:
            while not address.exists():
                if process.poll() is not None:
                    raise RuntimeError("the process that runs commands has ended")
                time.sleep(0.05)
            yield program.parent
        finally:
            process.terminate()


def serve(address: str) -> None:
    """Listen at a socket for commands, each of which a fork runs; never returns."""
    for name in PRELOADED:
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets forks that have ended
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        while True:
            client, _ = listening.accept()
            if os.fork():
                client.close()
                continue
            listening.close()
            os._exit(_run(client))


def _run(client: socket.socket) -> int:
    """Run the command of a client and tell it the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, (files,), _, _ = client.recvmsg(8, socket.CMSG_LEN(3 * 4))
    streams = array.array("i", files[2])
    with client.makefile("rb") as given:
        arguments, folder, variables = json.loads(given.read(int.from_bytes(size, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.update(variables)
    sys.argv = ["dragoman", *arguments]
    client.sendall(f"{os.getpid()}\n".encode())
    from dragoman.cli import main

    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    client.sendall(f"{code}\n".encode())
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
