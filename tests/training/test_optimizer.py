"""Optimizers and clipping, against updates worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from dragoman.config.options import ModelOptions, TrainingOptions
from dragoman.model.build import build_model
from dragoman.training.optimizer import build_optimizer, clip, learning_rate, parts, sampling_share
from tiny import tiny_model

BASE = TrainingOptions(learning_rate=0.1)


def stepped(options: TrainingOptions, gradients: list[float]) -> dict[str, torch.Tensor]:
    """How far each weight has moved after steps with constant gradients."""
    model = tiny_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, options)
    for gradient in gradients:
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * group["scale"]
            for p in group["params"]:
                p.grad = torch.full_like(p, gradient)
        optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("name", "gradients", "moved"),
    [
        ("sgd", [2.0], -0.2),
        ("adam", [2.0], -0.1),
        ("adamw", [2.0], -0.1),  # the first step has the length of the rate
        ("adagrad", [2.0], -0.1),
        ("adagrad", [2.0, 2.0], -0.1 - 0.1 / math.sqrt(2)),
        ("rmsprop", [2.0], -0.1 / math.sqrt(0.01)),
    ],
)
def test_first_steps(name: str, gradients: list[float], moved: float) -> None:
    for change in stepped(replace(BASE, optimizer=name), gradients).values():  # type: ignore[arg-type]
        torch.testing.assert_close(change, torch.full_like(change, moved), rtol=1e-4, atol=1e-6)


def test_momentum() -> None:
    options = replace(BASE, optimizer="sgd", momentum=0.5)
    for change in stepped(options, [1.0, 1.0]).values():
        torch.testing.assert_close(change, torch.full_like(change, -0.1 - 0.15))


def test_the_decoder_has_its_own_rate() -> None:
    moved = stepped(replace(BASE, optimizer="sgd", decoder_rate=5.0), [1.0])
    for name, change in moved.items():
        expected = -0.1 if name.startswith("encoder.") else -0.5
        torch.testing.assert_close(change, torch.full_like(change, expected))


def test_decay_spares_biases() -> None:
    model = tiny_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, replace(BASE, optimizer="adamw", weight_decay=0.5))
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        factor = 1.0 if "bias" in name.rpartition(".")[2] else 1 - 0.1 * 0.5
        torch.testing.assert_close(p.detach(), before[name] * factor)


def test_decay_spares_the_gains_of_layer_normalisation() -> None:
    options = ModelOptions(embedding=6, hidden=10, dropout=0.0, layer_norm=True, encoder_layers=2)
    model = build_model(options, source_vocabulary=11, target_vocabulary=11)
    spared = {
        p
        for group in build_optimizer(model, replace(BASE, weight_decay=0.5)).param_groups
        if group["weight_decay"] == 0
        for p in group["params"]
    }
    gains = [p for n, p in model.named_parameters() if n.endswith("norm.weight")]
    assert gains and all(gain in spared for gain in gains)
    assert model.output.weight not in spared


@pytest.mark.parametrize("by_parts", [False, True])
def test_clipping(by_parts: bool) -> None:
    model = tiny_model()
    for part, named in parts(model).items():
        for _, p in named:
            p.grad = torch.full_like(p, 1.0 if part == "encoder" else 0.01)
    sizes = {part: sum(p.numel() for _, p in named) for part, named in parts(model).items()}
    norms = clip(model, replace(BASE, clip=2.0, clip_parts=by_parts))
    encoder, decoder = math.sqrt(sizes["encoder"]), 0.01 * math.sqrt(sizes["decoder"])
    assert norms["encoder"] == pytest.approx(encoder)
    assert norms["decoder"] == pytest.approx(decoder)
    assert norms["total"] == pytest.approx(math.hypot(encoder, decoder))
    assert decoder < 2.0 < encoder
    for part, named in parts(model).items():
        scale = 2.0 / (norms[part] if by_parts else norms["total"])
        before = 1.0 if part == "encoder" else 0.01
        if by_parts and part == "decoder":
            scale = 1.0
        for _, p in named:
            wanted = torch.full_like(p, before * scale)
            torch.testing.assert_close(p.grad, wanted, rtol=1e-5, atol=0)


def test_no_clipping() -> None:
    model = tiny_model()
    for p in model.parameters():
        p.grad = torch.full_like(p, 7.0)
    clip(model, replace(BASE, clip=0.0))
    assert all((p.grad == 7).all() for p in model.parameters())


def test_step_decay() -> None:
    options = replace(BASE, schedule="step", decay=0.99, decay_every=100, warmup=0)
    rates = [learning_rate(options, step=s, done=0.0, cuts=0) for s in (0, 99, 100, 1000)]
    assert rates == pytest.approx([0.1, 0.1, 0.099, 0.1 * 0.99**10])


@pytest.mark.parametrize(
    ("schedule", "done", "expected"),
    [
        ("constant", 0.1, 0.4),
        ("linear", 0.25, 0.1),
        ("linear", 1.0, 0.4),
        ("inverse_sigmoid", 0.5, 0.2),
        ("inverse_sigmoid", 0.0, 0.4 / (1 + math.exp(5))),
        ("inverse_sigmoid", 1.0, 0.4 / (1 + math.exp(-5))),
    ],
)
def test_sampling_shares(schedule: str, done: float, expected: float) -> None:
    options = replace(BASE, sampling_share=0.4, sampling_schedule=schedule)  # type: ignore[arg-type]
    assert sampling_share(options, done=done) == pytest.approx(expected)
