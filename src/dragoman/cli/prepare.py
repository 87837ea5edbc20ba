"""``dragoman prepare``"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dragoman.cli.parse import Given, Inputs, OutputFolder, Verb, training_options
from dragoman.config.continuing import SHAPING, continued, prepared_folder, with_corpus
from dragoman.config.options import Config
from dragoman.data.remote import local_paths
from dragoman.errors import OptionError
from dragoman.layout import CONFIG, METRICS


@dataclass(frozen=True, kw_only=True)
class Prepare(Verb, Config):
    """Do what train does before it trains: read pairs, hold some out, learn tokenizers, store ids.

    dragoman train CORPUS --out m then begins at once, as often as wanted. The options that shape
    the data are given here: those of data, source and target, model.copy, model.shared_embeddings,
    training.start_from and training.parts, and --continue; all others are given to train. The same
    command again has nothing to do.
    """

    pairs: Inputs
    """One file of pairs (TSV, CSV, JSON, Parquet, TMX ..., plain or packed; -
    for standard input), two aligned files, or a folder that prepare has
    made. An address such as s3://bucket/pairs.tsv is fetched first."""
    out: OutputFolder
    """The folder of the model or of the corpus; made if it is not there."""
    recipe: Path | None = None
    """A TOML file of options; options of the command line override it."""
    continue_: Annotated[Path | None, tyro.conf.arg(name="continue")] = None
    """A model folder that has learned other pairs: the new model begins with
    its weights, tokenizers and options, and replays its pairs
    (data.replay), so that they are not forgotten."""


def main(asked: Prepare, given: Given) -> None:
    """Run the verb."""
    names = (f"{group}.{name}" for group, some in given.items() for name in some)
    if other := next((name for name in names if not name.startswith(SHAPING)), ""):
        cure = f"give it to dragoman train {asked.out}"
        raise OptionError("does not shape the data", place=f"--{other}", cure=cure)
    options = options_of(asked, given)
    from dragoman.training.folder import begin, claimed  # torch only now

    with claimed(asked.out):
        if (asked.out / METRICS).exists():
            raise OptionError("holds a model", place=asked.out, cure="choose another --out")
        known = "nothing to do: " if (asked.out / CONFIG).exists() else ""
        asked.say(f"{known}{begin([*asked.pairs], asked.out, options, asked.say)}")


def options_of(asked: Prepare, given: Given) -> Config:
    """The options of prepare and train: those of the command line over those of a recipe.

    Raises:
        FolderError: the model to continue, or a prepared corpus, is damaged.
        OptionError: options are wrong, or those of the corpus are given otherwise.
    """
    if asked.continue_ and asked.recipe:
        raise OptionError("cannot stand beside --continue", place="--recipe", cure="leave it out")
    if asked.continue_:
        return continued(asked.continue_, given)
    if corpus := prepared_folder(local_paths(asked.pairs, asked.say)):
        # Refuses an option that is not as in the corpus, also one that is given at its default.
        theirs = with_corpus(Config(), corpus)
        with_corpus(training_options(asked.recipe, given, theirs), corpus, theirs)
    return training_options(asked.recipe, given)
