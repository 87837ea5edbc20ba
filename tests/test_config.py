"""Options: ranges, contradictions, TOML there and back."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dragoman.config.options import Config, ModelOptions
from dragoman.config.rules import check_options
from dragoman.config.toml import flat, from_toml, merge, to_toml
from dragoman.config.values import seconds
from dragoman.errors import OptionError


def changed(**values: object) -> Config:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, option = name.split("__")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[option] = value
    return merge(Config(), tree, place="test")


def test_the_defaults_hold_together() -> None:
    check_options(Config())


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        changed(
            model__hidden=512,
            model__dropout=0.25,
            data__columns=(2, 1),
            training__steps=3,
            training__watch=("où ?", "a\tb"),
            source__keep_only="a-z",
            target__vocabulary=99,
        ),
    ],
)
def test_toml_gives_the_options_back(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert from_toml(path) == config


def test_a_recipe_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[training]\nlearning_rate = 1e-4\nclip = 5\n")
    config = from_toml(path)
    assert config.training.learning_rate == 1e-4
    assert config.training.clip == 5.0 and isinstance(config.training.clip, float)
    assert config == changed(training__learning_rate=1e-4, training__clip=5.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nhiden = 3", r"unknown option 'model.hiden' \(did you mean 'hidden'\?\)"),
        ("[modle]\n", r"unknown option 'modle' \(did you mean 'model'\?\)"),
        ("[model]\ncell = 'gruu'", r"model.cell cannot be 'gruu' \(did you mean 'gru'\?\)"),
        (
            "[model]\nhidden = 'x'",
            r"model.hidden cannot be 'x' \(it takes a whole number or 'auto'\)",
        ),
        ("[model]\nhidden = true", "model.hidden cannot be True"),
        ("[model]\nhidden = 1.5", "model.hidden cannot be 1.5"),
        ("[model]\nbidirectional = 1", "model.bidirectional cannot be 1"),
        ("model = 3", "'model' is a table of options"),
        ("[data]\ncolumns = [1]", r"data.columns cannot be \[1\] \(it takes a list of 2: a whole"),
        (
            "[data]\ncolumns = [1, 2.5]",
            r"data.columns cannot be \[1, 2.5\] \(it takes a list of 2: a whole number or text in",
        ),
        ("[training]\ntrack = ['wand']", r"\['wand'\] \(it takes a list: 'tensorboard' or 'wandb'"),
        ("[training]\nbuckets = [[1, 2], [3]]", r"training.buckets cannot be \[\[1, 2\], \[3\]\]"),
        ("[training]\nwatch = 'x'", r"training.watch cannot be 'x' \(it takes a list of texts\)"),
        ("[model\n", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_recipe(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=message) as caught:
        from_toml(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        from_toml(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed(model__hidden=0), "model.hidden: 0 is too small, at least 1"),
        (changed(model__dropout=1.0), "model.dropout: 1.0 is too large, it must be below 1"),
        (changed(training__clip=-1.0), "training.clip: -1.0 is too small"),
        (
            changed(training__learning_rate=math.nan),
            "training.learning_rate: nan is not a finite number",
        ),
        (changed(data__columns=(0, 1)), "data.columns: 0 is too small"),
        (changed(training__budget="0s"), "training.budget: no time at all"),
        (changed(model__input_feeding=True, model__attention="none"), "needs model.attention"),
        (
            changed(model__tied_output=True, model__embedding=8, model__hidden=6),
            r"needs equal .* not \(8, 6\)",
        ),
        (changed(model__hidden=7), "7 cannot be halved for two directions"),
        (changed(model__residual=True), "need encoder_layers or decoder_layers above 1"),
        (changed(model__layer_norm=True), "need encoder_layers or decoder_layers above 1"),
        (changed(model__shared_embeddings=True, source__lowercase=True), "needs the same options"),
        (
            changed(model__bridge="zero", model__attention="none"),
            "model.bridge 'zero' needs attention: else nothing of the source reaches",
        ),
        (changed(model__copy=True, source__level="bpe"), "model.copy needs source.level and"),
        (changed(model__copy=True, model__attention="none"), "model.copy needs attention"),
        (
            changed(model__attention="none", model__attention_weights="entmax"),
            "model.attention_weights 'entmax' needs attention",
        ),
        (
            changed(model__attention="monotonic", model__attention_weights="sparsemax"),
            "'monotonic' goes without sparse model.attention_weights",
        ),
        (
            changed(model__attention="monotonic", model__output_probabilities="entmax"),
            "model.output_probabilities 'entmax' goes without model.attention 'monotonic', ",
        ),
        (
            changed(model__copy=True, model__output_probabilities="entmax"),
            "model.output_probabilities 'entmax' goes without",
        ),
        (
            changed(model__attention="monotonic", model__score="concat"),
            "'monotonic' goes without .* model.score 'concat'",
        ),
        (changed(search__top_p=1.5, search__temperature=1.0), "1.5 is too large, at most 1"),
        (
            changed(model__transformer={"heads": 8}),
            "model.transformer is no option of model.family 'recurrent'",
        ),
        (
            changed(model__family="transformer", model__cell="lstm", model__bridge="zero"),
            "model.cell is no option of .*; model.bridge is no option of model.family 'transf",
        ),
        (
            changed(model__family="hybrid", model__reverse_source=True),
            "model.reverse_source is no option of model.family 'hybrid'",
        ),
        (
            changed(
                model__family="transformer", model__hidden=100, model__transformer={"heads": 3}
            ),
            "model.transformer.heads: 3 heads do not divide an even model.hidden 100",
        ),
        (
            changed(model__family="hybrid", model__transformer={"heads": 6}),
            "model.transformer.heads: 6 heads do not divide an even model.hidden 64",
        ),
        (
            changed(model__family="transformer", model__hidden=33, model__transformer={"heads": 3}),
            "model.transformer.heads: 3 heads do not divide an even model.hidden 33",
        ),
        (
            changed(model__family="transformer", model__embedding=30),
            "model.transformer.heads: 4 heads do not divide an even model.hidden 30",
        ),
        (
            changed(model__family="transformer", model__hidden=64, model__embedding=32),
            "model.family 'transformer' needs equal model.embedding and model.hidden",
        ),
        (changed(model__transformer={"heads": 0}), "model.transformer.heads: 0 is too small"),
        (changed(training__weight_decay=0.1), "training.weight_decay needs training.optimizer"),
        (changed(training__momentum=0.1), "training.momentum needs training.optimizer 'sgd'"),
        (changed(training__objective="sampled"), "'sampled' needs training.label_smoothing 0"),
        (changed(training__batching="buckets", training__buckets=()), "buckets: none is given"),
        (
            changed(training__scheduled_sampling="token", training__sampling_schedule="linear"),
            "training.sampling_schedule needs an end of the run",
        ),
        (
            changed(training__validation_sample=0, training__metric="chrf"),
            "'chrf' needs training.validation_sample above 0",
        ),
        (changed(training__freeze=True), "there is nothing to freeze"),
        (changed(training__freeze=True, training__start_from="m"), "nothing to learn with both"),
        (changed(training__start_from="m", training__parts=()), "training.parts: none is named"),
        (changed(search__n_best=6), "a beam of 5 cannot give 6 outputs"),
        (changed(search__top_k=3), "search.top_k and search.top_p need a search.temperature"),
        (changed(search__min_ratio=3.0), "search.min_ratio: 3 is above search.max_ratio"),
    ],
)
def test_what_is_refused(config: Config, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        check_options(config)


@pytest.mark.parametrize("family", ["transformer", "hybrid"])
def test_families_have_their_options(family: str) -> None:
    group = {"heads": 8, "encoder_layers": 6, "feed_forward": 100}
    check_options(changed(model__family=family, model__transformer=group, model__copy=True))


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(OptionError, match="model.hidden: 0.*search.beam: 0"):
        check_options(changed(model__hidden=0, search__beam=0))


def test_copying_waits_for_the_level_that_auto_becomes() -> None:
    check_options(changed(model__copy=True))
    with pytest.raises(OptionError, match="model.copy needs source.level"):
        check_options(changed(model__copy=True, target__level="unigram"))


def test_every_number_has_a_range() -> None:
    for name, value in flat(changed(model__hidden=8, model__embedding=8)).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with pytest.raises(OptionError, match=f"{name}: "):
                check_options(changed(**{name.replace(".", "__"): type(value)(-1)}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("1h30m", 5400),
        ("90", 90),
        ("1.5h", 5400),
        ("none", math.inf),
        ("1H 5M", 3900),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "x", "20 minutes", "m", "-5m", "5m1h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(OptionError, match="training.budget: .* is not a duration"):
        seconds(text)


def test_flat_names() -> None:
    assert flat(replace(ModelOptions(), hidden=3), "model.")["model.hidden"] == 3


def test_a_model_is_described_in_a_few_words() -> None:
    model = ModelOptions(embedding=8, hidden=16, attention="luong")
    assert str(model) == "gru 8 x 16, attention luong"
    assert str(replace(model, copy=True)) == "gru 8 x 16, attention luong, copying"
    hybrid = str(replace(model, family="hybrid", copy=True))
    assert hybrid.endswith(" Transformer layers of 4 heads, gru 8 x 16, attention luong, copying")
