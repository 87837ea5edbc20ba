"""``dragoman data``"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional

from dragoman.cli.parse import Given, OutputFolder, Verb, Writes
from dragoman.data.download import HOSTS, get_corpus
from dragoman.data.samples import SAMPLES, sample_pairs
from dragoman.files import write_text


@dataclass(frozen=True)
class Data(Verb):
    """List the corpora, or get one: dragoman data get phrases, or tatoeba:fra-eng."""

    action: Positional[Literal["list", "get"]]
    """list the corpora, or get one of them."""
    name: Positional[str] = ""
    """Which corpus to get: a sample, or tatoeba:fra-eng, opus:Tatoeba/en-fr,
    hf:OWNER/NAME (hf:OWNER/NAME/PATH for a part of its files)."""
    out: Annotated[Path, Writes("stream")] = Path("-")
    """The file to write a sample to; - is standard output."""
    into: OutputFolder = Path()
    """The folder for what is downloaded, with its licence."""
    count: int | None = None
    """Number of pairs (default: the corpus's own)."""
    seed: int = 1
    """The same seed gives the same pairs."""


def main(asked: Data, given: Given) -> None:
    """Run the verb."""
    if asked.action == "list":
        known = {name: sample.draw.__doc__ for name, sample in SAMPLES.items()}
        known |= {f"{host}:...": get.__doc__ for host, get in HOSTS.items()}
        for name, text in known.items():
            print(f"{name:10}  {(text or '').splitlines()[0]}")
    elif ":" in asked.name:
        print("\n".join(map(str, get_corpus(asked.name, asked.into, asked.say))))
    else:
        pairs = sample_pairs(asked.name, count=asked.count, seed=asked.seed)
        text = "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs)
        if asked.out == Path("-"):
            print(text, end="")
        else:
            write_text(asked.out, text)
