"""``dragoman score``"""

from dataclasses import dataclass, field

from dragoman.api import load
from dragoman.cli.parse import Given, Inputs, UsesModel
from dragoman.config.options import ReadingOptions


@dataclass(frozen=True)
class Score(UsesModel):
    """Print how probable a model finds given targets: one line for each record of the file.

    A line holds the natural logarithm of the target's probability, a tab, and its mean over the
    target's tokens, the end token included. It is empty for a line that is not a pair. A token to
    which the model gives no probability at all, as entmax does, counts as about -10,000.
    """

    pairs: Inputs
    """One file of pairs, or two aligned files (source, target)."""
    data: ReadingOptions = field(default_factory=ReadingOptions)
    """How pairs are read. Options that are not given are those of the training,
    whatever default stands here."""


def main(asked: Score, given: Given) -> None:
    """Run the verb."""
    model = load(asked.folder, device=asked.device)
    examples = model.examples(asked.pairs, say=asked.say, **given.get("data", {}))
    found = [one.hypothesis for one in model.score(examples.pairs(), **given.get("search", {}))]
    lines = [f"{one.log_prob:.6f}\t{one.log_prob / len(one.steps):.6f}" for one in found]
    print("".join(f"{line}\n" for line in examples.by_record(lines)), end="")
