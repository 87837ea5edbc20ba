"""Models of a few units, weights by formula, and the place of real data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dragoman.config.options import ModelOptions, TransformerOptions
from dragoman.model.build import build_model
from dragoman.model.seq2seq import Seq2Seq

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real data, where the developers have it; never part of the project."""

# Distinct primes, so that a swapped axis cannot go unseen.
BATCH, SOURCE, TARGET, EMBEDDING, HIDDEN, VOCABULARY, QUERIES = 5, 7, 11, 13, 34, 23, 3

GROUP = TransformerOptions(encoder_layers=2, decoder_layers=3, heads=2, feed_forward=29)
"""Sizes of a Transformer; 34 units make heads of 17."""
TRANSFORMER = {"family": "transformer", "transformer": GROUP}
HYBRID = {"family": "hybrid", "transformer": GROUP}


def shared_data(name: str) -> Path:
    """The path of a real data file; skips the test where it is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the real data {name}, which is not part of the project")
    return path


def formula_weights(model: torch.nn.Module) -> None:
    """Fill the weights by a formula, so that no seed of any library version matters."""
    for number, (_, parameter) in enumerate(sorted(model.named_parameters())):
        count = torch.arange(parameter.numel(), dtype=torch.float64)
        wave = torch.sin(count * 0.7 + number) * 0.3
        parameter.data = wave.view(parameter.shape).to(parameter.dtype)


def tiny_model(dtype: torch.dtype = torch.float64, **options: object) -> Seq2Seq:
    """A model of the sizes above with weights by formula, in evaluation mode."""
    base = replace(ModelOptions(), embedding=EMBEDDING, hidden=HIDDEN, dropout=0.0)
    chosen = replace(base, **options)  # type: ignore[arg-type]
    model = build_model(chosen, source_vocabulary=VOCABULARY, target_vocabulary=VOCABULARY).to(
        dtype
    )
    formula_weights(model)
    return model.eval()
