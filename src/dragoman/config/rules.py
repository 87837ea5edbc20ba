"""Checks options: each number against its range, and what several options mean together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import get_type_hints

from dragoman.config.options import Config, Range, seconds
from dragoman.errors import OptionError

Rules = list[tuple[bool, str]]
"""Pairs of a condition that must not hold and the message for it."""


def check_options(config: Config) -> None:
    """Refuse values out of range and options that contradict each other, all in one message.

    Raises:
        OptionError: names every wrong option, what it may be, and the cure.
    """
    rules = [*_model_rules(config), *_run_rules(config), *_search_rules(config)]
    wrong = [
        *(w for g in fields(config) for w in value_faults(getattr(config, g.name), f"{g.name}.")),
        *(message for broken, message in rules if broken),
    ]
    if wrong:
        raise OptionError("; ".join(wrong))


def value_faults(options: object, prefix: str) -> Iterator[str]:
    """What is wrong with each single value: numbers outside their range, text that is not UTF-8.

    Args:
        options: a dataclass; the :class:`Range` in a field's annotation is that field's.
        prefix: what stands before the names of its fields.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for item in fields(options):  # type: ignore[arg-type]
        value, name = getattr(options, item.name), prefix + item.name
        name = name.replace("_", "-") if prefix == "--" else name
        ranges = [r for r in getattr(hints[item.name], "__metadata__", ()) if isinstance(r, Range)]
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str) and not _is_utf8(one):
                yield f"{name}: it is not UTF-8"
            elif isinstance(one, (int, float)):
                yield from (f"{name}: {fault}" for r in ranges if (fault := r.fault(one)))


def _is_utf8(text: str) -> bool:
    """Arguments that are not UTF-8 reach Python with lone surrogates in their places."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _model_rules(config: Config) -> Rules:
    """Conditions between the options of the model and the text."""
    model = config.model
    levels = {config.source.level, config.target.level}
    known = "auto" not in (model.embedding, model.hidden)
    deepest = max(model.encoder_layers, model.decoder_layers)
    halved = model.bidirectional and model.directions == "concat"
    return [
        (
            model.input_feeding and model.attention != "luong",
            f"model.input_feeding needs model.attention 'luong', not {model.attention!r}: "
            "there is no attentional vector to feed",
        ),
        (
            model.copy and model.attention == "none",
            "model.copy needs attention: it copies what attention looks at",
        ),
        (
            model.bridge == "zero" and model.attention == "none",
            "model.bridge 'zero' needs attention: without it nothing of the source reaches the "
            "decoder",
        ),
        (
            model.copy
            and bool(levels - {"word", "char", "auto"}),  # auto: chosen and checked later
            "model.copy needs source.level and target.level 'word' or 'char': subwords spell "
            "every word as it is",
        ),
        (
            model.tied_output and known and model.embedding != model.hidden,
            f"model.tied_output: embeddings of {model.embedding} cannot be the output layer of "
            f"{model.hidden} units (make model.embedding and model.hidden equal)",
        ),
        (
            halved and model.hidden != "auto" and model.hidden % 2 == 1,
            f"model.hidden: {model.hidden} cannot be halved for two directions",
        ),
        (
            (model.residual or model.layer_norm) and deepest == 1,
            "model.residual and model.layer_norm stand between layers: raise "
            "model.encoder_layers or model.decoder_layers",
        ),
        (
            model.shared_embeddings and config.source != config.target,
            "model.shared_embeddings needs the same options for [source] and [target]",
        ),
    ]


def _run_rules(config: Config) -> Rules:
    """Conditions between the options of data and training."""
    data, training = config.data, config.training
    limited = training.steps or training.epochs or seconds(training.budget) < math.inf
    growing = training.scheduled_sampling != "none" and training.sampling_schedule != "constant"
    return [
        (
            training.weight_decay > 0 and training.optimizer == "adam",
            "training.weight_decay needs training.optimizer 'adamw'",
        ),
        (
            training.momentum > 0 and training.optimizer not in ("sgd", "rmsprop"),
            "training.momentum needs training.optimizer 'sgd' or 'rmsprop'",
        ),
        (
            training.objective == "sampled" and training.label_smoothing > 0,
            "training.objective 'sampled' needs training.label_smoothing 0",
        ),
        (
            training.batching == "buckets" and not training.buckets,
            "training.buckets: none is given",
        ),
        (
            growing and not limited,
            f"training.sampling_schedule {training.sampling_schedule!r} needs an end of the run: "
            "training.steps, epochs or budget",
        ),
        (
            training.validation_sample == 0 and training.metric != "loss",
            f"training.metric {training.metric!r} needs translations: raise "
            "training.validation_sample, or choose the metric 'loss'",
        ),
        (
            training.freeze and not training.start_from,
            "training.freeze needs training.start_from: there is nothing to freeze",
        ),
        (bool(training.start_from) and not training.parts, "training.parts: none is named"),
        (seconds(training.budget) <= 0, "training.budget: no time at all"),
        (not data.separator, "data.separator: it is empty"),
        (len(data.validation_pairs) > 2, "data.validation_pairs: one file, or two aligned ones"),
    ]


def _search_rules(config: Config) -> Rules:
    """Conditions between the options of search."""
    search = config.search
    drawn = search.temperature > 0
    return [
        (
            search.n_best > search.beam and not drawn,
            f"search.n_best: a beam of {search.beam} cannot give {search.n_best} outputs "
            "(raise search.beam)",
        ),
        (
            search.min_ratio > search.max_ratio,
            f"search.min_ratio: {search.min_ratio:g} is above search.max_ratio",
        ),
        (
            not drawn and (search.top_k > 0 or search.top_p < 1),
            "search.top_k and search.top_p choose what is drawn from: they need a "
            "search.temperature above 0",
        ),
    ]
