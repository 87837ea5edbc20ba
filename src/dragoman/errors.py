"""The errors that Dragoman raises.

    DragomanError                exit code 1: the run failed
    ├── TrainingError            the numbers or the machine stopped a training
    └── UsageError               exit code 2: what was asked for cannot be done
        ├── OptionError          an option's name, value or combination
        ├── DataError            a file of pairs or lines
        ├── FolderError          a model folder
        └── MissingExtraError    an optional package is not installed; it names the command

A message is one line: the place, the cause, the cure:
``pairs.tsv:118: 1 column, 2 expected (is the separator a tab? try --data.separator)``.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class DragomanError(Exception):
    """What is wrong, where, and what to do about it; the class of all others.

    Args:
        cause: what is wrong, in one line.
        place: where, as a path, ``file:line`` or an option's name; empty when there is none.
        cure: what the user can do; shown in brackets.
    """

    exit_code = 1

    def __init__(self, cause: str, *, place: str | Path = "", cure: str = "") -> None:
        self.cause, self.place, self.cure = cause, str(place), cure
        text = f"{place}: {cause}" if place else cause
        text = f"{text} ({cure})" if cure else text
        super().__init__("\\n".join(text.splitlines()))  # what a library said may have several


class TrainingError(DragomanError):
    """Training cannot go on: non-finite numbers, no memory, no time."""


class UsageError(DragomanError):
    """What was asked for cannot be done."""

    exit_code = 2


class OptionError(UsageError):
    """An option is unknown, has an impossible value, or contradicts another."""


class DataError(UsageError):
    """A file of pairs or lines cannot be used."""


class FolderError(UsageError):
    """A model folder is missing a file, or holds a foreign or damaged one."""


class MissingExtraError(UsageError):
    """A part of Dragoman needs a package that is not installed."""


_OF_EXTRAS = {
    "train": "accelerate ftfy jinja2 matplotlib psutil pyarrow rapidfuzz sacrebleu torch",
    "track": "mlflow tensorboard wandb",
    "serve": "fastapi python-multipart starlette uvicorn",
    "ecosystem": "ctranslate2 sentencepiece",
    "remote": "fsspec s3fs",
    "gpu": "pynvml",
    "documents": "sentencex",
}
EXTRAS = {package: extra for extra, names in _OF_EXTRAS.items() for package in names.split()}
"""Each package as it is imported, with the group of pyproject.toml that installs it."""


@contextmanager
def naming_extras() -> Iterator[None]:
    """Context manager and decorator; turns the failed import of an optional package into an error.

    Raises:
        MissingExtraError: the package is not installed; the message holds the exact command.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        cure = f"pip install 'dragoman[{EXTRAS[package]}]'"
        raise MissingExtraError(f"this needs the package {package!r}", cure=cure) from error


def did_you_mean(wrong: str, choices: Iterable[str], *, otherwise: str = "") -> str:
    """Suggest the choice nearest to ``wrong``; without one, say ``otherwise`` or list them all."""
    known = sorted(choices)
    near = get_close_matches(wrong, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else otherwise or f"choices: {', '.join(known)}"
