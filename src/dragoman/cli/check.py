"""``dragoman check``"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.options import parse
from dragoman.config import Config, DataOptions
from dragoman.data.check import check_pairs
from dragoman.limits import check_options


@dataclass(frozen=True)
class Check:
    """Say what is in a file of pairs and what is wrong with it, with file and line."""

    pairs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One file of pairs (TSV or JSON lines; .gz, .zip; - for standard input), or two aligned."""
    json: bool = False
    """Print JSON instead of text."""
    data: DataOptions = field(default_factory=DataOptions)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Check, arguments, verb="check")
    check_options(Config(data=asked.data))
    report = check_pairs(asked.pairs, asked.data)
    if asked.json:
        print(json.dumps(asdict(report), ensure_ascii=False, indent=1))
    else:
        print("\n".join(report.lines()))
    return 0
