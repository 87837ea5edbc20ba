"""The options of a run that continues a trained model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dragoman.config.options import Config, TrainingOptions
from dragoman.config.rules import check_options
from dragoman.config.toml import flat, load_config, merge
from dragoman.errors import FolderError, OptionError
from dragoman.layout import BUNDLE
from dragoman.lock import is_locked

RATE = 0.25
"""The learning rate of a run that continues a model, as a share of that model's own."""
REPLAY = 0.95
"""The share of its pairs that are old ones; with less, a small model forgets (docs/log.md)."""
_WARMUP = 20
"""Steps in which its learning rate rises."""
_FRESH = "steps epochs budget patience schedule sampling_schedule parts freeze precision threads"
"""Options of its training that are at their defaults again."""


def continued(folder: str | Path, given: Mapping[str, Any] | None = None) -> Config:
    """The options of a run that continues the model of ``folder`` on new pairs.

    Most of each epoch's pairs are old ones (:data:`REPLAY`), the learning rate is a quarter of the
    model's, and the number of steps follows from the number of pairs. All else is as in the model.

    Args:
        folder: of the model.
        given: options that replace these, by group and name.

    Raises:
        FolderError: there is no such model, it is a bundle, or it is in training.
        OptionError: a given option would change the model or its tokenizers.
    """
    folder = Path(folder)
    if (folder / BUNDLE).exists():
        cause, cure = "is a bundle, which cannot be trained", "name the folder it was made of"
        raise FolderError(cause, place=str(folder), cure=cure)
    config, usual = load_config(folder), TrainingOptions()
    if is_locked(folder):
        raise FolderError("is in training", place=str(folder), cure="wait for its end")
    training = {name: getattr(usual, name) for name in _FRESH.split()}
    training |= {"start_from": str(folder), "refit": False, "warmup": _WARMUP}
    if config.data.replay == "none":  # else the model's own rate is low already
        training["learning_rate"] = RATE * float(config.training.learning_rate)
    data = {"format": "auto", "validation_pairs": (), "also": (), "tag_also": "", "replay": REPLAY}
    side = {"vectors": "", "freeze_vectors": False}
    tree = {"data": data, "source": side, "target": side, "training": training}
    old = merge(config, tree, place="")
    new = merge(old, given or {}, place="")
    was, now, fixed = flat(old), flat(new), ("model.", "source.", "target.")
    changed = [name for name in was if was[name] != now[name] and name != "model.dropout"]
    wrong = [f"{name} is {was[name]!r} there" for name in changed if name.startswith(fixed)]
    if new.data.features != old.data.features:
        wrong.append(f"its sources have {old.data.features} columns of features")
    if wrong:
        cure = "leave it out, or train a new model"
        raise OptionError("; ".join(wrong), place=str(folder), cure=cure)
    check_options(new)
    return new
