"""``dragoman check``"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.options import check_output, parse
from dragoman.config.options import Config, DataOptions
from dragoman.config.rules import check_options
from dragoman.errors import OptionError


@dataclass(frozen=True)
class Check:
    """Say what is in a file of pairs and what is wrong with it, with file and line."""

    pairs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One file of pairs (TSV or JSON lines; .gz, .zip; - for standard input), or two aligned."""
    against: tuple[Path, ...] = ()
    """The test pairs: tell what is in both, and which words the pairs lack."""
    fix: Path | None = None
    """Write the pairs that remain, with all that can be put right, to this file as TSV; its name
    and ".changes.tsv" lists what was removed or changed, and why."""
    places: int | None = None
    """Places told of each finding (default: 3, with --json 1,000)."""
    json: bool = False
    """Print JSON instead of text."""
    data: DataOptions = field(default_factory=DataOptions)


def main(arguments: Sequence[str]) -> int:
    """Run the verb."""
    asked = parse(Check, arguments, verb="check")
    check_options(Config(data=asked.data))
    shown = (1000 if asked.json else 3) if asked.places is None else asked.places
    if shown < 0:
        raise OptionError(f"{shown} is too small, at least 0", place="--places")
    check_output(asked.fix, "--fix")
    from dragoman.data.check.check import check_pairs  # Arrow only now: --help answers at once

    report = check_pairs(asked.pairs, asked.data, against=asked.against, fix=asked.fix, shown=shown)
    if asked.json:
        print(json.dumps(asdict(report), ensure_ascii=False, indent=1))
    else:
        print("\n".join(report.lines()))
    return 0
