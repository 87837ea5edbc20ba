"""``dragoman data``"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from dragoman.cli.parse import Given
from dragoman.cli.paths import Writes
from dragoman.data.samples import SAMPLES, sample_pairs
from dragoman.files import write_text


@dataclass(frozen=True)
class Data:
    """List the sample corpora, or write one of them as TSV: dragoman data get phrases."""

    action: Positional[Literal["list", "get"]]
    """list the corpora, or get one of them."""
    name: Positional[str] = ""
    """Which corpus to get."""
    out: Annotated[Path, Writes("stream")] = Path("-")
    """The file to write; - is standard output."""
    count: int | None = None
    """Number of pairs (default: the corpus's own)."""
    seed: int = 1
    """The same seed gives the same pairs."""


def main(asked: Data, given: Given) -> int:
    """Run the verb."""
    if asked.action == "list":
        for name, sample in SAMPLES.items():
            print(f"{name:10}  {sample.description}")
        return 0
    pairs = sample_pairs(asked.name, count=asked.count, seed=asked.seed)
    text = "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs)
    if asked.out == Path("-"):
        print(text, end="")
    else:
        write_text(asked.out, text)
    return 0
