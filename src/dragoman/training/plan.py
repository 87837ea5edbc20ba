"""Chooses a value for each option that is ``"auto"``, from the data and the machine."""

import math
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from dragoman.config.options import Config, ModelOptions, SearchOptions, TrainingOptions
from dragoman.config.rules import allows
from dragoman.config.values import seconds
from dragoman.data.corpus import Corpus
from dragoman.search.constraints import USUALLY_ADDED
from dragoman.training.order import cost_of_order

Options = TypeVar("Options", ModelOptions, TrainingOptions, SearchOptions)
_LONGEST_WORD = 40
"""Most tokens of the median line where lines are words."""
_FEW = 3_000
"""Most pairs of words that are learned from again, held-out ones included, with more dropout."""
_HALF_DROPPED = 20_000
"""Most pairs of words of which half of the values are dropped; with tags 0.3 (docs/log.md)."""
_IN_ORDER = 0.2
"""Largest :func:`cost_of_order` with which ``auto`` is hard monotonic attention (docs/log.md)."""
_FEWEST_STEPS = 600
"""Steps of a run that continues a model, where no end was asked for: of three epochs, if longer."""
_SMALL_BATCH = 256
"""Target tokens of a batch where there are few pairs of words: about 32 words (docs/log.md)."""


def resolve(config: Config, train: Corpus, *, tagged: bool = False) -> Config:
    """Choose sizes, batches, schedule and metric that suit the corpus and the machine.

    Widths grow with the target tokens there are to learn from; a batch is 1/200 of them, so that an
    epoch has enough updates, but at least 64 tokens, and at most 1,000, past which an update on a
    processor costs more time than it saves. ``search.max_added`` lets outputs be as long as the
    targets, where that is more than the usual number. ``training.patience`` stays ``"auto"``: it
    depends on limits that each command may change (:func:`patience`).

    Args:
        config: the options.
        train: the pairs to learn from.
        tagged: whether sources have tags (:mod:`dragoman.data.tags`).
    """
    tokens = int(train.target_lengths.sum()) + len(train)
    metric = _metric(config, train)
    model = _model(config, train, tokens, metric, tagged)
    training = _training(replace(config, model=model), train, tokens, metric)
    search = config.search
    added = math.ceil((train.target_lengths - search.max_ratio * train.source_lengths).max())
    if added > USUALLY_ADDED:
        search = _chosen(search, max_added=added)
    return replace(config, model=model, training=training, search=search)


def _chosen(options: Options, **choices: Any) -> Options:
    """The options with these choices in the places of ``"auto"``."""
    auto = {name: choice for name, choice in choices.items() if getattr(options, name) == "auto"}
    return replace(options, **auto)


def _model(config: Config, train: Corpus, tokens: int, metric: str, tagged: bool) -> ModelOptions:
    """Choose widths, dropout and attention.

    Args:
        config: the options.
        train: the pairs to learn from.
        tokens: of their targets.
        metric: the score by which validations are compared; ``exact`` where lines are words.
        tagged: whether sources have tags.
    """
    model, recurrent = config.model, config.model.family == "recurrent"
    words, equal = metric == "exact", model.tied_output or not recurrent  # embedding and hidden
    few = words and len(train) <= _FEW
    width = 64 if tokens < 20_000 and not few else 128 if tokens < 250_000 else 256
    hidden = model.embedding if equal and model.embedding != "auto" else width * (1 + recurrent)
    model = _chosen(model, hidden=hidden)
    # Subwords need more dropout than words and characters, few words the most.
    whole = config.target.level in ("word", "char")
    dropout = 0.1 if whole else 0.3 if tokens < 1_000_000 else 0.2
    if words and len(train) <= _HALF_DROPPED:
        dropout = 0.3 if tagged and not few else 0.5
    model = _chosen(model, embedding=model.hidden if equal else width, dropout=dropout)
    measured = words and model.attention == "auto"  # which takes time
    return _chosen(model, attention=_attention(config, train, tagged) if measured else "luong")


def _training(config: Config, train: Corpus, tokens: int, metric: str) -> TrainingOptions:
    """Choose batches, schedule and all that follows from them.

    Args:
        config: the options, those of the model chosen.
        train: the pairs to learn from.
        tokens: of their targets.
        metric: the score by which validations are compared.
    """
    few, recurrent = metric == "exact" and len(train) <= _FEW, config.model.family == "recurrent"
    fewest = _SMALL_BATCH if few else 64
    training = _chosen(config.training, batch_tokens=max(fewest, min(1000, tokens // 200)))
    batch = int(training.batch_tokens)
    if config.data.replay != "none" and not _has_end(training):
        drawn = sum(group.drawn for group in train.groups) / len(train)
        training = replace(training, steps=max(_FEWEST_STEPS, 3 * round(drawn * tokens / batch)))
    half_an_epoch = math.ceil(tokens / batch) // 2
    training = _chosen(training, validate_every=max(100, min(1000, half_an_epoch)))
    others = training.start_from or config.data.validation_pairs
    return _chosen(
        training,
        learning_rate=2e-3 if int(config.model.hidden) <= 512 and recurrent else 1e-3,
        warmup=100 if recurrent else 400,
        schedule="cosine" if _has_end(training) else "plateau",
        save_every=training.validate_every,
        metric=metric,
        refit=few and not (training.steps or training.epochs or others),
        precision=best_precision(),
        threads=torch.get_num_threads(),
    )


def patience(options: TrainingOptions) -> int:
    """Validations without improvement before training stops; 0: it does not stop for that.

    A run that was given an end uses it up, unless patience was asked for as well.
    """
    if options.patience == "auto":
        return 0 if _has_end(options) else 10
    return options.patience


def _attention(config: Config, train: Corpus, tagged: bool) -> str:
    """The attention that makes the fewest errors in words (docs/log.md), if other options allow it.

    Hard monotonic attention for few words whose targets keep the order of their sources; else
    Bahdanau's where sources have tags, and Luong's where they have none.
    """
    possible = len(train) <= _FEW and allows(config, attention="monotonic")
    if possible and cost_of_order(train) <= _IN_ORDER:
        return "monotonic"
    return "bahdanau" if tagged and allows(config, attention="bahdanau") else "luong"


def _metric(config: Config, train: Corpus) -> str:
    """``exact`` where lines are words: both sides are spelt, and short."""
    if config.training.validation_sample == 0:
        return "loss"
    spelt = config.source.level == "char" and config.target.level in ("char", "word")
    lengths = np.median([train.source_lengths, train.target_lengths], axis=1)
    return "exact" if spelt and lengths.max() <= _LONGEST_WORD else "chrf"


def _has_end(options: TrainingOptions) -> bool:
    return bool(options.steps or options.epochs or seconds(options.budget) < math.inf)


def best_precision() -> str:
    """``bf16`` where the hardware multiplies it faster than fp32, else ``fp32``."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bf16" if any(getattr(torch.cpu, name, bool)() for name in checks) else "fp32"
