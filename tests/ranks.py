"""Two processes that train one model, started without a launcher.

They find each other by the variables that torchrun sets; torchrun would import PyTorch once more.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence


def two_ranks(command: Sequence[str], seconds: float = 300) -> str:
    """Run a command as both processes of one training, which must end well; what they said."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank},
            text=True,
        )
        for rank in ("0", "1")
    ]
    deadline = time.monotonic() + seconds
    try:  # one that fails leaves the other waiting, as torchrun knows too
        while not any(rank.poll() for rank in ranks) and time.monotonic() < deadline:
            if all(rank.poll() == 0 for rank in ranks):
                break
            time.sleep(0.02)
    finally:
        codes = [rank.poll() for rank in ranks]
        for rank in ranks:
            rank.kill()
        said = "".join(rank.communicate()[0] for rank in ranks)
    assert codes == [0, 0], said
    return said
