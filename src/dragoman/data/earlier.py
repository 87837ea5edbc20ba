"""The pairs of a model that is continued; without them it would forget what it has learned."""

from pathlib import Path

from dragoman.config.options import Config
from dragoman.data.corpus import Corpus
from dragoman.data.pairs import Pair
from dragoman.errors import FolderError
from dragoman.layout import CORPUS, TRAIN, VALIDATION


def held_out_before(config: Config) -> list[Pair]:
    """The held-out pairs of the model that is continued; none where no model is.

    Where no pairs are to be replayed, its folder may have lost its corpus: there are none then.

    Raises:
        FolderError: pairs are to be replayed and the folder has no corpus, or that is damaged.
    """
    folder, replay = Path(config.training.start_from), config.data.replay
    if replay == "none" or not (replay or (folder / CORPUS).exists()):
        return []
    if not (folder / CORPUS).exists():
        cause = f"its pairs cannot be replayed: it has no {CORPUS}/"
        raise FolderError(cause, place=str(folder), cure="learn without them: --replay 0")
    corpus = Corpus(folder / CORPUS / VALIDATION)
    return [Pair(*texts, corpus.line(row)) for row, texts in enumerate(corpus.texts())]


def learned_before(config: Config) -> Corpus | None:
    """The pairs that the model that is continued has learned from; None where none are replayed.

    Raises:
        FolderError: they are damaged.
    """
    path = Path(config.training.start_from, CORPUS, TRAIN)
    return None if config.data.replay in ("none", 0) else Corpus(path)
