"""What options may be: the range of each, and what two of them say against each other."""

from __future__ import annotations

import math

from dragoman.config.options import Config, seconds
from dragoman.config.toml import flat
from dragoman.errors import OptionError


def check_options(config: Config) -> None:
    """Refuse values out of range and combinations without meaning, all of them at once.

    Raises:
        OptionError: names every option at fault, what it may be, and the cure.
    """
    wrong = [*_out_of_range(config), *_contradictions(config)]
    if wrong:
        raise OptionError("; ".join(wrong))


_AT_LEAST: dict[str, float] = {
    "data.columns": 1,
    "data.max_characters": 1,
    "data.validation": 0,
    "data.split_seed": 0,
    "source.vocabulary": 5,
    "source.min_count": 1,
    "source.max_tokens": 1,
    "source.min_characters": 0,
    "source.max_characters": 0,
    "target.vocabulary": 5,
    "target.min_count": 1,
    "target.max_tokens": 1,
    "target.min_characters": 0,
    "target.max_characters": 0,
    "model.embedding": 1,
    "model.hidden": 1,
    "model.encoder_layers": 1,
    "model.decoder_layers": 1,
    "model.dropout": 0,
    "training.steps": 0,
    "training.epochs": 0,
    "training.batch_tokens": 1,
    "training.learning_rate": 0,
    "training.weight_decay": 0,
    "training.warmup": 0,
    "training.clip": 0,
    "training.momentum": 0,
    "training.decoder_rate": 0,
    "training.decay": 0,
    "training.decay_every": 1,
    "training.samples": 1,
    "training.sampling_share": 0,
    "training.batch_sentences": 1,
    "training.label_smoothing": 0,
    "training.validate_every": 1,
    "training.validation_sample": 0,
    "training.patience": 0,
    "training.save_every": 1,
    "training.keep": 1,
    "training.report_every": 1,
    "training.show_every": 0,
    "training.threads": 1,
    "training.seed": 0,
    "search.beam": 1,
    "search.length_penalty": 0,
    "search.max_ratio": 0,
    "search.batch_size": 1,
    "search.n_best": 1,
    "search.coverage_penalty": 0,
    "search.diversity": 0,
    "search.no_repeat": 0,
    "search.min_ratio": 0,
    "search.temperature": 0,
    "search.top_k": 0,
    "search.top_p": 1e-9,
    "search.sampling_seed": 0,
    "data.tolerance": 0,
}
_BELOW: dict[str, float] = {
    "model.dropout": 1.0,
    "training.label_smoothing": 1.0,
    "data.tolerance": 1.0,
    "data.split_seed": 2**63,
    "training.seed": 2**63,
    "training.threads": 1025,
    "data.max_characters": 10**9,
    "model.hidden": 2**16,
    "model.embedding": 2**16,
    "model.encoder_layers": 65,
    "model.decoder_layers": 65,
    "search.beam": 1025,
    "search.length_penalty": 10,
    "search.max_ratio": 1000,
    "search.n_best": 1025,
    "search.min_ratio": 1000,
    "search.top_p": 1.0000001,
    "search.temperature": 1e6,
    "search.sampling_seed": 2**32,
    "training.momentum": 1.0,
    "training.sampling_share": 1.0000001,
}


def _out_of_range(config: Config) -> list[str]:
    wrong = []
    values = flat(config)
    for name, low in _AT_LEAST.items():
        value = values[name]
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, (int, float)):
                continue
            if not math.isfinite(number):
                wrong.append(f"{name}: {number} is not a finite number")
            elif number < low:
                wrong.append(f"{name}: {number} is too small, at least {low:g}")
            elif number >= _BELOW.get(name, math.inf):
                wrong.append(f"{name}: {number} is too large, it must be below {_BELOW[name]:g}")
    wrong += [
        f"{name}: it is not UTF-8"
        for name, value in values.items()
        for text in (value if isinstance(value, tuple) else (value,))
        if isinstance(text, str) and not _is_utf8(text)
    ]
    if seconds(config.training.budget) <= 0:
        wrong.append("training.budget: no time at all")
    return wrong


def _is_utf8(text: str) -> bool:
    """Arguments that are not UTF-8 reach Python with lone surrogates in their places."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _contradictions(config: Config) -> list[str]:
    """What options say against each other."""
    rules = [*_model_rules(config), *_run_rules(config), *_search_rules(config)]
    return [message for wrong, message in rules if wrong]


def _model_rules(config: Config) -> list[tuple[bool, str]]:
    """Conditions that must not hold between the model's options, and what to say."""
    model = config.model
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
            model.copy and not {config.source.level, config.target.level} <= {"word", "char"},
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


def _run_rules(config: Config) -> list[tuple[bool, str]]:
    """The same for data and training."""
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
            training.batch_tokens == "fastest" and training.batching != "tokens",
            "training.batch_tokens 'fastest' needs training.batching 'tokens'",
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
        (not data.separator, "data.separator: it is empty"),
        (len(data.validation_pairs) > 2, "data.validation_pairs: one file, or two aligned ones"),
    ]


def _search_rules(config: Config) -> list[tuple[bool, str]]:
    """The same for search."""
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
