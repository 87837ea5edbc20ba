"""The processes that train one model together, built on Accelerate and torch.distributed.

Every process holds the whole model and learns from its own share of the batches. The main process
(rank 0) prepares the data, validates, and reads and writes the files of the run; the others wait
for it.
"""

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Thread
from typing import Any, TypeVar, cast

import numpy as np
import torch
from accelerate import Accelerator, utils
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from dragoman.errors import FolderError, OptionError, UsageError

Value = TypeVar("Value")

TIMEOUT = timedelta(hours=24)
"""How long a process waits for another, which may prepare a large corpus meanwhile."""
JOIN_TIMEOUT = timedelta(minutes=10)
"""How long another process waits for the main one to answer when it starts."""
SUPPORTED = {"NO", "MULTI_CPU", "MULTI_GPU"}
"""Kinds of parallel training, as Accelerate names them."""


class Processes:
    """The processes of one training; without a launcher there is one.

    Precision and gradient accumulation are set here, and not by the user's Accelerate
    configuration: it would divide gradients, or scale those of fp16, unseen by the loop.

    Raises:
        OptionError: Accelerate is configured for another kind of parallel training, or the
            processes do not find each other.
    """

    def __init__(self) -> None:
        try:
            if os.environ.get("RANK", "0") != "0" and "MASTER_ADDR" in os.environ:
                find_main(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
            self._accelerator = Accelerator(
                cpu=not torch.accelerator.is_available(),  # else several processes are not joined
                mixed_precision="no",  # the step chooses its own precision
                gradient_accumulation_plugin=utils.GradientAccumulationPlugin(num_steps=1),
                dynamo_backend="no",
                kwargs_handlers=[
                    utils.InitProcessGroupKwargs(timeout=TIMEOUT),
                    utils.DistributedDataParallelKwargs(gradient_as_bucket_view=True),  # no copies
                ],
            )
        except (RuntimeError, ValueError, KeyError) as error:
            cause = f"the processes are not joined: {str(error).splitlines()[0]}"
            cure = "they need a free MASTER_PORT and, to train on GPUs, a PyTorch with NCCL"
            raise OptionError(cause, cure=cure) from error
        kind = self._accelerator.distributed_type
        if kind.value not in SUPPORTED:
            cure = "use torchrun, or choose plain data parallelism in accelerate config"
            raise OptionError(f"Accelerate is configured for {kind.value}: unsupported", cure=cure)
        self.rank = int(self._accelerator.process_index)
        self.count = int(self._accelerator.num_processes)
        self.device: torch.device = self._accelerator.device
        self.is_main = self.rank == 0
        """Whether this process prepares, validates and writes."""
        self.signal = 0
        """Number of the first signal that asked this process to stop; 0: none. A training and its
        refit share it: a signal that comes between the two ends both."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose backward pass averages gradients over the processes."""
        return cast(nn.Module, self._accelerator.prepare(model))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context manager; at its end every process waits until all have come there.

        Raises:
            UsageError: one of them raised it in the block; all then raise that of the lowest rank.
            FolderError: one of them met an OSError in the block, such as a full disk.
        """
        failed: UsageError | None = None
        try:
            yield
        except UsageError as error:
            failed = error
        except OSError as error:  # such as a full disk
            failed = FolderError(str(error.strerror or error), place=str(error.filename or ""))
        for one in filter(None, utils.gather_object([failed])):
            raise one

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Check that every process has the same ``facts``.

        Raises:
            OptionError: one fact differs; every process raises this.
        """
        first, *others = utils.gather_object([facts])
        for rank, other in enumerate(others, 1):
            if wrong := [name for name in first if other.get(name) != first[name]]:
                cause = f"process {rank} has another {' and '.join(wrong)} than process 0"
                raise OptionError(cause, cure="start all with the same options, pairs and versions")

    def close(self) -> None:
        """Wait for the other processes; their connections are closed when the program ends.

        Until then they stay open, so that another training can follow in the same processes.
        """
        if self.count > 1:
            self._accelerator.wait_for_everyone()
            atexit.register(self._accelerator.end_training)

    def sum(self, number: Tensor) -> Tensor:
        """The sum of every process's ``number``."""
        return number if self.count == 1 else cast(Tensor, self._accelerator.reduce(number))

    def largest(self, *numbers: float) -> list[float]:
        """The largest of every process's numbers, each for itself."""
        if self.count == 1:
            return list(numbers)
        values = torch.tensor([numbers], dtype=torch.float64, device=self.device)
        return cast(list[float], self._accelerator.gather(values).amax(0).tolist())

    def from_main(self, value: Value) -> Value:
        """The main process's ``value`` in every process, tensors on the CPU; for rare exchanges."""
        return cast(Value, utils.broadcast_object_list([utils.send_to_device(value, "cpu")])[0])

    def seed_step(self, seed: int, step: int) -> None:
        """Give the random numbers of one step (dropout, sampling) their own seed in this process.

        The main process draws on from where it stands: its random state is in the checkpoints.
        """
        if self.rank > 0:
            mixed = np.random.SeedSequence((seed, self.rank, step)).generate_state(1, np.uint64)
            torch.manual_seed(int(mixed[0]))


def find_main(host: str, port: int) -> None:
    """Wait until the main process answers at its address.

    A thread of its own asks, for torch would wait for ever where another program listens there.

    Raises:
        RuntimeError: it does not answer within :data:`JOIN_TIMEOUT`.
    """

    def ask() -> None:
        with suppress(RuntimeError):
            answered.append(TCPStore(host, port, is_master=False, timeout=JOIN_TIMEOUT))

    answered = list[TCPStore]()
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(JOIN_TIMEOUT.total_seconds())
    if not answered:
        raise RuntimeError(f"process 0 does not answer at {host}:{port}")
