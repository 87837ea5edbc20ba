"""``dragoman export``"""

from dataclasses import dataclass

from dragoman.api import export
from dragoman.cli import say
from dragoman.cli.parse import Given
from dragoman.cli.paths import Input, Inputs, OutputFolder
from dragoman.config.options import PositiveCount
from dragoman.errors import OptionError


@dataclass(frozen=True)
class Export:
    """Write a model folder as a bundle: a small folder or file that runs without PyTorch.

    The bundle is compared with the folder on pairs of text, and refused where it differs too much.
    translate, evaluate and score take it wherever they take a model folder.
    """

    folder: Input
    """The model folder."""
    out: OutputFolder
    """The bundle to write."""
    pairs: Inputs = ()
    """One file of pairs, or two aligned files, to compare on (default: the
    pairs that the training held out)."""
    lines: PositiveCount = 200
    """Number of pairs to compare on."""
    int8: bool = False
    """Store weights in 8 bits: a quarter of the size, and faster."""
    shortlist: bool = True
    """Learn the likely target words of each source word from the training
    pairs, if the folder still has them; translate --no-shortlist does
    without."""
    zip: bool = False
    """Write one zip file."""
    licence: str = ""
    """A line for its users: under which licence the model may be used."""


def main(asked: Export, given: Given) -> int:
    """Run the verb."""
    if not asked.zip and asked.out.is_file():
        raise OptionError(f"{asked.out} is a file", place="--out", cure="--zip, or another name")
    facts = export(
        asked.folder,
        asked.out,
        asked.pairs or None,
        lines=asked.lines,
        int8=asked.int8,
        shortlist=asked.shortlist,
        zipped=asked.zip,
        licence=asked.licence,
    )
    for name, value in facts["parity"].items():
        say("export", f"{name.replace('_', ' ')}: {value}")
    return 0
