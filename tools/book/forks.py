"""Runs ``dragoman`` and ``python`` commands as forks of one process that has imported PyTorch.

Pages of documentation and tests have many short commands, and importing PyTorch takes longer than
most of them. :func:`server` starts a process that imports everything once. The programs
``dragoman`` and ``forked-python`` that it writes send their arguments, folder, environment and open
files there; a fork of the server runs the command with them and answers with the exit code. Linux
and macOS only.
"""

from __future__ import annotations

import array
import atexit
import ctypes
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    *("ipykernel.kernelapp", "torch.distributed.run"),
]
"""What most commands import sooner or later."""
_CLIENT = """#!{python} -IS
import array, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ), os.getpid()]).encode()
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
    """Context manager; yields the folder of the programs, for the search path.

    Args:
        folder: where the programs and the socket are written.
    """
    address, programs = folder / "socket", folder / "bin"
    programs.mkdir(parents=True)
    for name in ("dragoman", "forked-python"):
        program = programs / name
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
            yield programs
        finally:
            process.terminate()


def serve(address: str) -> None:
    """Listen at a socket for commands, each of which a fork runs; never returns."""
    for name in PRELOADED:
        with suppress(ModuleNotFoundError):  # of an extra that is not installed
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
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs begin without one
    size, (files,), _, _ = client.recvmsg(8, socket.CMSG_LEN(3 * 4))
    streams = array.array("i", files[2])
    with client.makefile("rb") as given:
        asked, folder, variables, number = json.loads(given.read(int.from_bytes(size, "big")))
    program, *arguments = asked
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    _enter_network(number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    client.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=_end_with, args=(client,), daemon=True).start()
    try:
        code = _python(arguments) if Path(program).name == "forked-python" else _dragoman(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    client.sendall(f"{code}\n".encode())
    return code


def _enter_network(number: int) -> None:
    """Enter the network namespace of the process ``number``, where it has another one."""
    theirs, ours = (Path(f"/proc/{one}/ns/net") for one in (number, "self"))
    if sys.platform == "linux" and theirs.readlink() != ours.readlink():
        with theirs.open("rb") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0):
                raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


def _end_with(client: socket.socket) -> None:
    """Kill this process when its client was killed."""
    client.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def _dragoman(arguments: list[str]) -> int:
    """Run a command of ``dragoman``; its exit code."""
    from dragoman.cli import main

    sys.argv = ["dragoman", *arguments]
    return main()


def _python(arguments: list[str]) -> int:
    """Do what ``python`` does with ``-c CODE``, ``-m MODULE`` or a file; its exit code."""
    arguments = arguments[arguments[0] == "-u" :]
    first, *rest = arguments
    sys.path.insert(0, str(Path(first).parent) if first[:1] != "-" else "")
    sys.argv = arguments if first[:1] != "-" else [first, *rest[1:]]
    if first == "-c":
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(first, run_name="__main__")
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
