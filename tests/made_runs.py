"""Folders of runs that nobody trained: options, record and measurements written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from dragoman.config.options import Config
from dragoman.config.toml import flat, to_toml

HOSTILE = "</script><img src=x onerror=\"document.title='hit'\"> & ‘ا\u2028🎉 |`$\\"
"""A sentence that wants to be markup."""


def train_row(step: int, **values: Any) -> dict[str, Any]:
    """A row of kind ``train``."""
    return {
        "kind": "train",
        "step": step,
        "epoch": 0,
        "elapsed": 0.1 * step,
        "loss": 5 / step,
        "gradient_norm": 1.0,
        "gradient_norm_encoder": 0.6,
        "gradient_norm_decoder": 0.8,
        "learning_rate": 0.001,
        "tokens": 100 * step,
        "tokens_per_second": 1000.0 + step,
        "memory_mb": 400.0 + step,
        "utilisation": 0.9,
        "done": 0.5,
        "remaining": 12.0,
    } | values


def validation_row(step: int, **values: Any) -> dict[str, Any]:
    """A row of kind ``validation``, with sentences that want to be markup."""
    sample = {
        "source": HOSTILE,
        "reference": HOSTILE,
        "output": HOSTILE,
        "chrf": None,
        "source_tokens": ["▁<b>", "x"],
        "target_tokens": ["▁</script>"],
        "attention": [[70, 20, 10], [0, 0, 100]],
    }
    return {
        "kind": "validation",
        "step": step,
        "epoch": 0,
        "elapsed": 0.1 * step,
        "best": True,
        "seconds": 0.5,
        "loss": 4 / step,
        "perplexity": 50 / step,
        "token_accuracy": 0.5,
        "bleu": 30.0 + step / 7,
        "chrf": 40.0,
        "exact": 1.0,
        "signatures": {"bleu": "nrefs:1", "chrf": "nc:6"},
        "samples": [sample],
        "watched": [sample | {"reference": "", "output": f"{HOSTILE} {step}"}],
    } | values


def make_run(
    folder: Path, rows: list[dict[str, Any]], config: Config | None = None, **record: Any
) -> Path:
    """Write a run's folder: what was asked for is ``config``, sizes are as if chosen."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = config or Config()
    model = replace(asked.model, embedding=24, hidden=48, dropout=0.1)
    (folder / "config.toml").write_text(to_toml(replace(asked, model=model)), encoding="utf-8")
    facts = {"asked": flat(asked), "files": ["p.tsv"], "out": "m", "notes": [HOSTILE]} | record
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
    return folder
