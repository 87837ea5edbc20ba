"""``dragoman bench``"""

import json
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from dragoman.cli import say
from dragoman.cli.parse import AllOptions, Given, training_options
from dragoman.cli.paths import Inputs
from dragoman.config.options import Config

_say = partial(say, "bench")


@dataclass(frozen=True)
class Bench:
    """Measure how fast this machine trains at each batch size, with the real training step.

    Memory is a whole process's, the longest batch included; utilisation is the cores' time used.
    """

    pairs: Inputs = ()
    """One file of pairs, or two aligned; without any, the sample "phrases"."""
    sizes: tuple[int, ...] = ()
    """Sentences of a batch (default: 1 2 4 ... 512)."""
    seconds: float = 3.0
    """Least time to measure each size for, after its warm-up."""
    json: bool = False
    """Print JSON instead of a table."""
    recipe: Path | None = None
    """A TOML file of options; options of the command line override it."""
    options: AllOptions = field(default_factory=Config)


def main(asked: Bench, given: Given) -> int:
    """Run the verb."""
    options = training_options(asked.recipe, given)
    from dragoman.training.bench import bench  # torch only now

    found = []
    for row in bench(asked.pairs, options, sizes=asked.sizes, seconds=asked.seconds, say=_say):
        _say(f"{row.sentences} sentences a batch: {row.samples_per_second:,.0f} samples/s")
        found.append(row)
    best = max(found, key=lambda row: row.tokens_per_second)
    if asked.json:
        print(json.dumps({"rows": list(map(asdict, found)), "fastest": best.sentences}, indent=1))
        return 0
    heads = ("batch", "samples/s", "±", "tokens/s", "peak MB", "utilisation")
    table = Table(*(Column(head, justify="right") for head in heads))
    memory = ["–" if row.memory is None else f"{row.memory / 1e6:,.0f}" for row in found]
    for row, megabytes in zip(found, memory, strict=True):
        samples, tokens = f"{row.samples_per_second:,.0f}", f"{row.tokens_per_second:,.0f}"
        share = "–" if row.utilisation is None else f"{row.utilisation:.0%}"
        table.add_row(str(row.sentences), samples, f"{row.spread:.0%}", tokens, megabytes, share)
    Console().print(table)
    print(
        f"fastest: {best.sentences} sentences a batch ({best.batch_tokens:,.0f} target tokens): "
        f"{best.tokens_per_second:,.0f} tokens/s in {memory[found.index(best)]} MB"
    )
    return 0
