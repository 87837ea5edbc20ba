"""``dragoman bench``"""

from dataclasses import dataclass
from pathlib import Path

from dragoman.cli.parse import Given, Inputs, Verb, training_options
from dragoman.config.options import Config


@dataclass(frozen=True, kw_only=True)
class Bench(Verb, Config):
    """Measure how fast this machine trains at each batch size, with the real training step.

    Each size is measured for 3 seconds or more. The utilisation is the share of the cores' time
    that is used; on a GPU, the share of the GPU's time.
    """

    pairs: Inputs
    """One file of pairs, or two aligned files."""
    sizes: tuple[int, ...] = ()
    """Sentences of a batch (default: 1 2 4 ... 512)."""
    recipe: Path | None = None
    """A TOML file of options; options of the command line override it."""


def main(asked: Bench, given: Given) -> None:
    """Run the verb."""
    options = training_options(asked.recipe, given)
    from dragoman.training.bench import bench  # torch only now

    print("batch  samples/s  tokens/s      MB  utilisation", flush=True)
    for row in bench([*asked.pairs], options, asked.say, sizes=asked.sizes):
        share = "–" if row.utilisation is None else f"{row.utilisation:.0%}"
        rates = f"{row.samples_per_second:9,.0f} {row.tokens_per_second:9,.0f}"
        print(f"{row.sentences:5}  {rates} {row.memory_mb:7,.0f}  {share:>11}", flush=True)
