"""``dragoman score``"""

from dataclasses import dataclass, field

from dragoman.api import load
from dragoman.cli import say
from dragoman.cli.parse import Given, Inputs, UsesModel
from dragoman.config.options import ReadingOptions
from dragoman.data.pairs import Faults
from dragoman.data.readers import read_pairs


@dataclass(frozen=True)
class Score(UsesModel):
    """Print how probable a model finds given targets: one line for each record of the file.

    A line holds the natural logarithm of the target's probability, a tab, and its mean over the
    target's tokens, the end token included. It is empty for a line that is not a pair.
    """

    pairs: Inputs
    """One file of pairs, or two aligned files (source, target)."""
    data: ReadingOptions = field(default_factory=ReadingOptions)
    """How pairs are read. Options that are not given are those of the training,
    whatever default stands here."""


def main(asked: Score, given: Given) -> int:
    """Run the verb."""
    model, faults = load(asked.folder, device=asked.device), Faults()
    pairs = list(read_pairs(asked.pairs, model.reading(**given.get("data", {})), faults))
    for note in (*faults.notes, *faults.summary()):
        say("score", note)
    scored = model.score([(pair.source, pair.target) for pair in pairs], **given.get("search", {}))
    lines = [""] * faults.lines
    for pair, one in zip(pairs, scored, strict=True):
        found = one.hypothesis.log_prob
        lines[pair.record - 1] = f"{found:.6f}\t{found / len(one.hypothesis.steps):.6f}"
    print("".join(f"{line}\n" for line in lines), end="")
    return 0
