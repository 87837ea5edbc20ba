"""What this machine can do now: the rate of its matrix products, and who else is at work."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import torch
from torch.nn import functional as F

Shape = tuple[int, int, int]
"""Rows, inner width, columns of a product."""

BUSY = 0.25
"""Cores that others may use while figures count."""


def precisions(device: str) -> tuple[str, ...]:
    """The number formats in which the hardware multiplies fast, the best last."""
    from dragoman.training.plan import best_precision

    return ("fp32", "bf16") if device != "cpu" or best_precision() == "bf16" else ("fp32",)


def product_rate(precision: str, shapes: Iterable[Shape], device: str) -> float:
    """The best rate of a product in GFLOP/s, over shapes, libraries and repetitions."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    best = 0.0
    for rows, inner, columns in shapes:
        x = torch.randn(rows, inner, device=device, dtype=dtype)
        weight = torch.randn(columns, inner, device=device, dtype=dtype)
        for through_onednn in (False, True)[: 2 if device == "cpu" else 1]:
            for _ in range(10):
                began = time.perf_counter()
                if through_onednn:  # not what F.linear takes in fp32
                    torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
                else:
                    F.linear(x, weight)
                if device != "cpu":
                    torch.cuda.synchronize()
                seconds = time.perf_counter() - began
                best = max(best, 2 * rows * inner * columns / seconds / 1e9)
    return best


def busy() -> float:
    """How many cores are at work, over a second in which this process is not."""
    return psutil.cpu_percent(interval=1.0) / 100 * (os.cpu_count() or 1)


def quiet() -> bool:
    """Whether the figures of this moment may count; said when not."""
    if (load := busy()) > BUSY:
        print(f"{load:.1f} cores are busy with other work: no time to measure", file=sys.stderr)
    return load <= BUSY


def description(threads: int, device: str) -> dict[str, object]:
    """What must be known of a machine to read its figures."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device != "cpu" else "cpu",
        "torch": torch.__version__,
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }
