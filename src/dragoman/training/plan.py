"""Chooses a value for each option that is ``"auto"``, from the data and the machine."""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from dragoman.config.options import Config, TrainingOptions
from dragoman.config.rules import allows
from dragoman.config.values import seconds
from dragoman.data.corpus import Corpus
from dragoman.search.constraints import USUALLY_ADDED
from dragoman.training.order import cost_of_order

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
    model, training, metric = config.model, config.training, _metric(config, train)
    others = training.start_from or config.data.validation_pairs
    is_small = metric == "exact" and len(train) <= _FEW
    width = 64 if tokens < 20_000 and not is_small else 128 if tokens < 250_000 else 256
    embedding, hidden, dropout = model.embedding, model.hidden, model.dropout
    recurrent = model.family == "recurrent"
    equal = model.tied_output or not recurrent  # embedding and hidden
    if hidden == "auto":
        hidden = embedding if equal and embedding != "auto" else width * (1 + recurrent)
    if embedding == "auto":
        embedding = hidden if equal else width
    if dropout == "auto":  # subwords need more than words and characters, few words the most
        whole = config.target.level in ("word", "char")
        dropout = 0.1 if whole else 0.3 if tokens < 1_000_000 else 0.2
        if metric == "exact" and len(train) <= _HALF_DROPPED:
            dropout = 0.3 if tagged and len(train) > _FEW else 0.5
    model = replace(model, embedding=embedding, hidden=hidden, dropout=dropout)
    if model.attention == "auto":
        found = _attention(config, train, tagged=tagged) if metric == "exact" else "luong"
        model = replace(model, attention=found)

    asked, every = training.batch_tokens, training.validate_every
    fewest = _SMALL_BATCH if is_small else 64
    batch = max(fewest, min(1000, tokens // 200)) if asked == "auto" else asked
    if config.data.replay != "none" and not _has_end(training):
        drawn = sum(group.drawn for group in train.groups) / len(train)
        training = replace(training, steps=max(_FEWEST_STEPS, 3 * round(drawn * tokens / batch)))
    if every == "auto":
        every = max(100, min(1000, math.ceil(tokens / batch) // 2))  # half an epoch, about
    choices: dict[str, Any] = {
        "batch_tokens": batch,
        "learning_rate": 2e-3 if hidden <= 512 and recurrent else 1e-3,
        "warmup": 100 if recurrent else 400,
        "validate_every": every,
        "schedule": "cosine" if _has_end(training) else "plateau",
        "save_every": every,
        "metric": metric,
        "refit": is_small and not (training.steps or training.epochs or others),
        "precision": best_precision(),
        "threads": torch.get_num_threads(),
    }
    chosen = {name: v for name, v in choices.items() if getattr(training, name) == "auto"}
    search = config.search
    added = math.ceil((train.target_lengths - search.max_ratio * train.source_lengths).max())
    if search.max_added == "auto" and added > USUALLY_ADDED:
        search = replace(search, max_added=added)
    return replace(config, model=model, training=replace(training, **chosen), search=search)


def patience(options: TrainingOptions) -> int:
    """Validations without improvement before training stops; 0: it does not stop for that.

    A run that was given an end uses it up, unless patience was asked for as well.
    """
    if options.patience == "auto":
        return 0 if _has_end(options) else 10
    return options.patience


_Attention = Literal["monotonic", "bahdanau", "luong"]


def _attention(config: Config, train: Corpus, *, tagged: bool) -> _Attention:
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


def best_precision() -> Literal["fp32", "bf16"]:
    """``bf16`` where the hardware multiplies it faster than fp32, else ``fp32``."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bf16" if any(getattr(torch.cpu, name, bool)() for name in checks) else "fp32"
