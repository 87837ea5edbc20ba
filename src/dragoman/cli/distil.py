"""``dragoman distil``"""

from dataclasses import dataclass

from dragoman.cli.parse import Given, Input, Inputs, OutputFolder
from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import load_config, merge
from dragoman.layout import members


@dataclass(frozen=True, kw_only=True)
class Distil(Config):
    """Train one model on the translations of another model, or of an ensemble.

    A model that learns from the outputs of an ensemble (train --seeds 3) comes near its scores and
    is as small and fast as one of its members. It is validated on --validation-pairs, or else on
    the pairs that the ensemble held out, and learns from these only with --refit True. The same
    command again resumes.
    """

    teacher: Input
    """The model folder, or folder of seeds, to learn from."""
    pairs: Inputs
    """The pairs whose sources are translated, such as those that the teacher
    learned from: one file, or two aligned files."""
    out: OutputFolder
    """The model folder; it is made if it is not there."""


def main(asked: Distil, given: Given) -> int:
    """Run the verb."""
    from dragoman.learn import FRESH, distil  # only now: --help answers at once

    theirs = load_config(members(asked.teacher)[0])
    config = check_options(merge(merge(theirs, FRESH, place=""), given, place=""))
    return distil(asked.teacher, asked.pairs, asked.out, config).exit_code
