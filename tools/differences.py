"""Compares two runs to the bit: metrics, weights, optimizer, random states, and counters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from dragoman.layout import METRICS, OPTIMIZER, STATE, WEIGHTS
from dragoman.training.checkpoint import checkpoints

CLOCKS = {"elapsed", "reserve"}
"""Counters of a checkpoint that tell of time."""
EXACT = (
    "kind",
    "step",
    "epoch",
    "loss",
    "gradient_norm",
    "learning_rate",
    "tokens",
    "chrf",
    "bleu",
    "exact",
    "best",
)
"""Fields of ``metrics.jsonl`` that must be equal; the others tell of time and memory."""


def differences(one: Path, other: Path) -> list[str]:
    """What differs between the runs in two folders: rows, tensors and counters, in words."""
    mine, yours = _measured(one), _measured(other)
    wrong = [f"{METRICS}: step {a['step']}" for a, b in zip(mine, yours, strict=False) if a != b]
    if len(mine) != len(yours):
        wrong.append(f"{METRICS}: {len(mine)} and {len(yours)} rows")
    last, its = (checkpoints(folder)[-1] for folder in (one, other))
    wrong += _unequal_tensors(one / WEIGHTS, other / WEIGHTS)
    for name in (WEIGHTS, OPTIMIZER):
        wrong += _unequal_tensors(last / name, its / name)
    a, b = (json.loads((path / STATE).read_text("utf-8")) for path in (last, its))
    return wrong + [f"{STATE}: {key}" for key in sorted(a.keys() - CLOCKS) if a[key] != b.get(key)]


def _unequal_tensors(one: Path, other: Path) -> list[str]:
    a, b = load_file(one), load_file(other)
    return [
        f"{one.parent.name}/{one.name}: {key}"
        for key in sorted(a.keys() | b.keys())
        if key not in a or key not in b or not torch.equal(a[key], b[key])
    ]


def _measured(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / METRICS).read_text("utf-8").splitlines()
    rows = (row for row in map(json.loads, lines) if row["kind"] in ("train", "validation"))
    return [{name: row.get(name) for name in EXACT} for row in rows]
