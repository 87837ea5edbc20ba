"""A step on a GPU, played through without one: it must not ask the device for anything."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dragoman.config.options import ModelOptions, TrainingOptions
from dragoman.data.batches import _BY_PAIR, assemble, make_batch
from dragoman.data.source import Source
from dragoman.model.build import build_model
from dragoman.model.output import Objective
from dragoman.training.optimizer import clip

MODELS: list[dict[str, Any]] = [
    {},
    {"cell": "lstm", "encoder_layers": 2, "reverse_source": True},
    {"attention": "none"},
    {"attention": "bahdanau", "score": "concat"},
    {"input_feeding": True},
    {"attention": "monotonic"},
    {"copy": True},
    {"tied_output": True, "cell": "rnn"},
]
OBJECTIVES = [Objective(smoothing=0.1), Objective(samples=5), Objective(feeding="token", share=0.5)]


def played(model_options: dict[str, Any], objective: Objective, *, counted: bool = False) -> None:
    """Forward, backward and clipping on a device that has shapes and no values to give."""
    random = np.random.default_rng(0)
    sizes = ((5, 3, 7), (4, 6, 2), (6, 4, 8))  # of sources, targets, and words to copy
    ids = [[random.integers(4, 30, n).astype(np.int32) for n in each] for each in sizes]
    sources = [Source(*of_one) for of_one in zip(ids[0], ids[2], strict=True)]
    batch = assemble(zip(sources, ids[1], strict=True))
    options = replace(ModelOptions(), embedding=16, hidden=16, dropout=0.2, **model_options)
    device = torch.device("meta")
    model = build_model(options, source_vocabulary=30, target_vocabulary=30).to(device)
    there = batch.to(device)
    if counted:
        there = make_batch(*(getattr(there, name) for name in _BY_PAIR))
    loss = model(there, objective._replace(scale=1 / there.target_mask.sum()))
    loss.total.backward()
    norms = clip(model, replace(TrainingOptions(), clip=1.0))
    assert {norm.device for norm in norms.values()} == {device}
    assert all(p.grad is not None for p in model.output.parameters())


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)  # it knows no meta device


ALLOWED = [
    (options, objective)
    for options, objective in itertools.product(MODELS, OBJECTIVES)
    if not (options.get("attention") == "monotonic" and objective.samples)
]


@pytest.mark.parametrize(("options", "objective"), ALLOWED, ids=str)
def test_a_step_does_not_wait_for_the_device(options: dict[str, Any], objective: Objective) -> None:
    played(options, objective)


def test_a_step_that_waits_would_be_found() -> None:
    with pytest.raises((NotImplementedError, RuntimeError)):
        played({}, OBJECTIVES[0], counted=True)
