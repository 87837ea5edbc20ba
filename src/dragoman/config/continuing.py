"""The options of a run that continues a trained model, or learns from a prepared corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dragoman.config.options import Config, TrainingOptions
from dragoman.config.rules import check_options
from dragoman.config.toml import flat, load_config, merge
from dragoman.errors import FolderError, OptionError
from dragoman.files import is_locked
from dragoman.layout import BUNDLE, CONFIG, CORPUS

RATE = 0.25
"""The learning rate of a run that continues a model, as a share of that model's own."""
REPLAY = 0.95
"""The share of its pairs that are old ones; with less, a small model forgets (docs/log.md)."""
_WARMUP = 20
"""Steps in which its learning rate rises."""
_FRESH = "steps epochs budget patience schedule sampling_schedule parts freeze precision threads"
"""Options of its training that are at their defaults again."""
SHAPING: tuple[str, ...] = ("data.", "source.", "target.", "model.copy", "model.shared_embeddings")
SHAPING += ("training.start_from", "training.parts")
"""The options that shape a corpus, or the beginnings of their names."""


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
        raise FolderError(cause, place=folder, cure=cure)
    config, usual = load_config(folder), TrainingOptions()
    if is_locked(folder):
        raise FolderError("is in training", place=folder, cure="wait for its end")
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
    if wrong:
        raise OptionError("; ".join(wrong), place=folder, cure="leave it out, or train a new model")
    return check_options(new)


def prepared_folder(files: Sequence[Path]) -> Path | None:
    """The folder that ``files`` name in the place of pairs, if it holds a prepared corpus."""
    found = [file for file in files if (file / CONFIG).is_file() and (file / CORPUS).is_dir()]
    return found[0] if len(files) == len(found) == 1 else None


def with_corpus(config: Config, folder: Path, default: Config | None = None) -> Config:
    """``config`` with the options of a prepared corpus that shape the data (:data:`SHAPING`).

    Args:
        config: the options asked for. Of those that shape the data each must be as in the corpus,
            as in ``default``, or ``"auto"``.
        folder: of the corpus.
        default: the options that count as not asked for; by default those of a new ``Config``.

    Raises:
        FolderError: the corpus is damaged.
        OptionError: one of its options is given otherwise.
    """
    was, now, usual = (flat(one) for one in (load_config(folder), config, default or Config()))
    shaping = [name for name in was if name.startswith(SHAPING)]
    if other := [name for name in shaping if now[name] not in (was[name], usual[name], "auto")]:
        cause = "; ".join(f"{name} is {was[name]!r} there, {now[name]!r} here" for name in other)
        cure = "leave it out, or prepare another corpus with it"
        raise OptionError(cause, place=folder, cure=cure)
    for group, last in (name.split(".") for name in shaping):
        config = merge(config, {group: {last: was[f"{group}.{last}"]}}, place=str(folder))
    return config
