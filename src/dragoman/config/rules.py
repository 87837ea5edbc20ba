"""Checks options: each number against its range, and what several options mean together."""

import math
import re
from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from typing import Any, get_type_hints

from dragoman.config.options import Config, ModelOptions
from dragoman.config.values import Range, seconds, weighted
from dragoman.errors import OptionError

_OF_RNN_ENCODERS = ["encoder_layers", "bidirectional", "directions", "reverse_source"]
_OF_RNN_DECODERS = ["cell", "decoder_layers", "residual", "layer_norm", "bridge"]
_OF_RNN_DECODERS += ["attention", "score", "attention_weights", "input_feeding"]
_FOREIGN = {
    "recurrent": ["transformer"],
    "hybrid": _OF_RNN_ENCODERS,
    "transformer": _OF_RNN_ENCODERS + _OF_RNN_DECODERS,
}
"""The options of the model that a family does not have."""


def check_options(config: Config) -> Config:
    """Check values against their ranges and options against each other; returns ``config``.

    Raises:
        OptionError: some are wrong; one message names every wrong option and what it may be.
    """
    if wrong := [*faults(config)]:
        raise OptionError("; ".join(wrong))
    return config


def faults(config: Config) -> Iterator[str]:
    """Yield a message for each wrong option, and for each contradiction between options."""
    groups = (_model_faults, _family_faults, _run_faults, _data_faults, _search_faults)
    for find in (value_faults, *groups):
        yield from find(config)


def allows(config: Config, **model: Any) -> bool:
    """Whether the options have no faults with these values of the model's options."""
    return not any(faults(replace(config, model=replace(config.model, **model))))


def value_faults(options: Any, prefix: str = "") -> Iterator[str]:
    """Yield a message for each number outside its range and each text that is not UTF-8.

    Args:
        options: a dataclass; the :class:`Range` in a field's annotation is that field's. A field
            may be a group of options.
        prefix: what stands before the names of its fields; ``--`` for those of a verb.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for key, value in vars(options).items():
        name = f"--{key.replace('_', '-')}" if prefix == "--" else prefix + key
        ranges = [r for r in getattr(hints[key], "__metadata__", ()) if isinstance(r, Range)]
        for one in value if isinstance(value, tuple) else (value,):
            if is_dataclass(one):
                yield from value_faults(one, f"{name.removeprefix('--')}.")
            elif isinstance(one, str) and any("\ud800" <= c <= "\udfff" for c in one):
                yield f"{name}: it is not UTF-8"  # Python's sign of it: lone surrogates
            elif isinstance(one, (int, float)):
                yield from (f"{name}: {fault}" for r in ranges if (fault := r.fault(one)))


def _model_faults(config: Config) -> Iterator[str]:
    """Yield a message for each contradiction between options of the model and the text."""
    model = config.model
    widths = (model.embedding, model.hidden)
    levels = {config.source.level, config.target.level}
    if model.input_feeding and model.attention not in ("auto", "luong"):
        yield "model.input_feeding needs model.attention 'luong': it feeds the attentional vector"
    sparse, without = model.attention_weights != "softmax", model.attention == "none"
    barred = model.copies or config.training.objective == "sampled"
    if model.attention == "monotonic" and (barred or sparse or model.score == "concat"):
        others = "sparse model.attention_weights, model.copy, model.score 'concat' and "
        yield f"model.attention 'monotonic' goes without {others}training.objective 'sampled'"
    if model.output_probabilities == "entmax" and (barred or model.attention == "monotonic"):
        others = "model.attention 'monotonic', model.copy and training.objective 'sampled'"
        yield f"model.output_probabilities 'entmax' goes without {others}"
    if without and model.copies:
        yield "model.copy needs attention: it copies what attention looks at"
    if without and sparse:
        others = f"model.attention_weights {model.attention_weights!r}"
        yield f"{others} needs attention: there are no weights without it"
    if without and model.bridge == "zero":
        yield "model.bridge 'zero' needs attention: else nothing of the source reaches the decoder"
    if model.copies and levels - {"word", "char", "auto"}:  # auto is checked once it is chosen
        yield "model.copy needs source.level and target.level 'word' or 'char'"
    if model.tied_output and "auto" not in widths and model.embedding != model.hidden:
        yield f"model.tied_output needs equal model.embedding and model.hidden, not {widths}"
    halved = model.bidirectional and model.directions == "concat" and model.hidden != "auto"
    if halved and int(model.hidden) % 2 == 1:
        yield f"model.hidden: {model.hidden} cannot be halved for two directions"
    if (model.residual or model.layer_norm) and model.encoder_layers == model.decoder_layers == 1:
        yield "model.residual and model.layer_norm need encoder_layers or decoder_layers above 1"
    if model.shared_embeddings and config.data.features:
        yield "model.shared_embeddings cannot have features: the target has no tags"
    if model.shared_embeddings and config.source != config.target:
        yield "model.shared_embeddings needs the same options for [source] and [target]"


def _family_faults(config: Config) -> Iterator[str]:
    """Yield a message for each option of another family, and for sizes that no Transformer has."""
    model, heads = config.model, config.model.transformer.heads
    usual = ModelOptions(attention="luong")  # also where it is auto: that is no fault
    for key in _FOREIGN[model.family]:
        if getattr(model, key) not in (getattr(usual, key), "auto"):
            own = f", model.transformer.{key} is" if hasattr(usual.transformer, key) else ""
            yield f"model.{key} is no option of model.family {model.family!r}{own}"
    if model.family == "recurrent":
        return
    width, *others = {one for one in (model.embedding, model.hidden) if one != "auto"} or {64}
    if others:
        yield f"model.family {model.family!r} needs equal model.embedding and model.hidden"
    elif width % heads or width % 2:
        yield f"model.transformer.heads: {heads} heads do not divide an even model.hidden {width}"


def _run_faults(config: Config) -> Iterator[str]:
    """Yield a message for each contradiction between options of training."""
    training = config.training
    budget = seconds(training.budget)
    if training.weight_decay > 0 and training.optimizer == "adam":
        yield "training.weight_decay needs training.optimizer 'adamw'"
    if training.momentum > 0 and training.optimizer not in ("sgd", "rmsprop"):
        yield "training.momentum needs training.optimizer 'sgd' or 'rmsprop'"
    if training.objective == "sampled" and training.label_smoothing > 0:
        yield "training.objective 'sampled' needs training.label_smoothing 0"
    if training.batching == "buckets" and not training.buckets:
        yield "training.buckets: none is given"
    if training.scheduled_sampling != "none" and training.sampling_schedule != "constant":
        if not training.steps and not training.epochs and budget == math.inf:
            yield "training.sampling_schedule needs an end of the run: steps, epochs or budget"
    if training.validation_sample == 0 and training.metric not in ("loss", "auto"):
        yield f"training.metric {training.metric!r} needs training.validation_sample above 0"
    if training.freeze and not (training.start_from and len({*training.parts}) < 2):
        why = "without a model there is nothing to freeze, and nothing to learn with both parts"
        yield f"training.freeze needs training.start_from and one of training.parts: {why}"
    if training.start_from and not training.parts:
        yield "training.parts: none is named"
    if budget <= 0:
        yield "training.budget: no time at all"


def _data_faults(config: Config) -> Iterator[str]:
    """Yield a message for each contradiction between options of the data."""
    data, training = config.data, config.training
    for one in data.also:
        weighted(one)
    if data.tag_also and (data.features or config.model.shared_embeddings):
        yield "data.tag_also takes neither columns of features nor model.shared_embeddings"
    if re.search(r"[;\s]", data.tag_also):
        yield "data.tag_also: a tag has no spaces and no semicolons"
    if data.replay != "none" and not (training.start_from and len({*training.parts}) == 2):
        yield "data.replay needs training.start_from, with both training.parts"


def _search_faults(config: Config) -> Iterator[str]:
    """Yield a message for each contradiction between options of search."""
    search = config.search
    if search.temperature == 0 and search.n_best > search.beam:
        yield f"search.n_best: a beam of {search.beam} cannot give {search.n_best} outputs"
    if search.temperature == 0 and (search.top_k > 0 or search.top_p < 1):
        yield "search.top_k and search.top_p need a search.temperature above 0"
    if search.min_ratio > search.max_ratio:
        yield f"search.min_ratio: {search.min_ratio:g} is above search.max_ratio"
