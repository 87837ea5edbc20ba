"""Reads the options of a model folder."""

from __future__ import annotations

from pathlib import Path

from dragoman.config.options import Config
from dragoman.config.rules import check_options
from dragoman.config.toml import flat, from_toml
from dragoman.errors import FolderError, OptionError
from dragoman.files import refuse_ways_out
from dragoman.layout import CONFIG


def load_config(path: Path) -> Config:
    """Read the options of a model folder.

    Raises:
        FolderError: there is no such folder, it is not a model folder, or its options are damaged.
    """
    if not path.exists():
        raise FolderError("no such folder", place=str(path))
    if not path.is_dir():
        raise FolderError("is a file, a model folder is expected", place=str(path))
    refuse_ways_out(path)
    if not (path / CONFIG).exists():
        raise FolderError(
            f"is not a model folder: it has no {CONFIG}",
            place=str(path),
            cure="make one with dragoman train PAIRS --out DIR",
        )
    try:
        config = from_toml(path / CONFIG)
        check_options(config)
    except OptionError as error:
        raise FolderError(str(error), cure="copy the folder again") from error
    for name, value in flat(config.model, "model.").items():
        if value == "auto":
            raise FolderError(
                f"{name} is 'auto', a trained model's is a number",
                place=str(path / CONFIG),
                cure="copy the folder again",
            )
    return config
