"""Describes and measures the machine, and sets it up: threads, order of additions, freed memory."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch

from dragoman import __version__
from dragoman.config.options import TrainingOptions
from dragoman.runtime.network import cores


def environment() -> dict[str, str]:
    """Versions and hardware that a run's numbers and speed depend on, for its record."""
    found = {
        "dragoman": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": platform.platform(terse=True),
        "processor": platform.processor() or platform.machine(),
        "cores": str(cores()),
    }
    with suppress(OSError, IndexError):
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
        found["processor"] = text.partition("model name")[2].splitlines()[0].lstrip("\t :")
    if torch.cuda.is_available():
        found["device"] = torch.cuda.get_device_name()
    return found


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step; other C libraries are left as they are.

    Otherwise the system maps every large tensor anew, page by page, in each step, which costs
    about 5 % of a step's time.
    """
    with suppress(OSError, AttributeError, TypeError):  # TypeError: Windows
        set_option = ctypes.CDLL(None).mallopt
        set_option(-3, 32 << 20)  # M_MMAP_THRESHOLD, the most it takes
        set_option(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


@contextmanager
def torch_settings(options: TrainingOptions) -> Iterator[None]:
    """Context manager: torch has the number of threads that ``options`` say, uses, if they ask for
    it, only operations that add in a fixed order, and multiplies fp32 fast.

    On AMD's processors torch's choice for fp32, MKL, leaves half of AVX-512 unused. oneDNN uses it,
    and torch goes there where fp32 may be rounded to bf16. Without AMX oneDNN does not round, which
    one product shows (docs/log.md).
    """
    threads, fixed = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    precision = torch.get_float32_matmul_precision()
    torch.set_num_threads(int(options.threads))
    if "AMD" in environment()["processor"] and not torch.cuda.is_available():
        torch.set_float32_matmul_precision("medium")
        x = torch.linspace(0, 1, 2**16).view(256, 256)
        if not torch.allclose((x @ x).double(), x.double() @ x.double(), rtol=1e-5):
            torch.set_float32_matmul_precision(precision)
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA is first used
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(fixed)
        torch.set_float32_matmul_precision(precision)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python failed for want of memory, on a processor or a GPU."""
    said = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return said or isinstance(error, (torch.OutOfMemoryError, MemoryError))


class Usage:
    """Measures memory and utilisation of this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # measures from here on

    def measure(self) -> dict[str, float]:
        """``memory_mb`` (10^6 bytes, now) and ``utilisation`` (share of the cores' time that was
        used since the last call).

        With a GPU also ``device_memory_mb``, the most so far, and ``device_utilisation``, the share
        of the last second or so in which it computed, if nvidia-ml-py is installed.
        """
        found = {
            "memory_mb": round(self._process.memory_info().rss / 1e6, 1),
            "utilisation": round(self._process.cpu_percent() / 100 / cores(), 4),
        }
        if torch.cuda.is_available():
            found["device_memory_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
            with suppress(ModuleNotFoundError, RuntimeError):
                found["device_utilisation"] = torch.cuda.utilization() / 100
        return found
