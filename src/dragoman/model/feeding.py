"""Scheduled sampling: in training the decoder reads some of its own guesses (Bengio et al. 2015).

    B batch   T target   N positions

It prepares a model for its own mistakes. Two ways to choose what is guessed:

    sequence   a sentence is read from the reference, or wholly from the model's own guesses
    token      each token by itself
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dragoman.model.output import Output
from dragoman.model.protocols import Decoder
from dragoman.model.rows import Memory, stacked


def features_with_guesses(
    decoder: Decoder,
    output: Output,
    target: Tensor,
    state: Any,
    memory: Memory,
    *,
    way: str,
    share: float,
) -> tuple[Tensor, Tensor | None]:
    """The decoder's features where a share of its input is its own guesses.

    Args:
        decoder, output: give the guesses, the most probable tokens, found without a gradient.
        target: the reference as input, ids [B, T]; the begin token stays.
        state: the decoder's first state.
        memory: the encoded source.
        way: ``sequence`` or ``token``.
        share: probability that a sentence (or a token) is guessed, in [0, 1].

    Returns:
        Features [B, T, H], and attention weights [B, T, S] or None.
    """
    drawn = torch.rand(len(target), 1 if way == "sequence" else target.shape[1]) < share
    drawn = drawn.expand(target.shape).clone()  # [B, T]
    drawn[:, 0] = False
    guessed, any_guessed = drawn.to(target.device, non_blocking=True), drawn.any(0).tolist()
    step = decoder.stepper(memory)
    features, weights = list[Tensor](), list[Tensor | None]()
    for t in range(target.shape[1]):
        token = target[:, t]
        if any_guessed[t]:
            with torch.no_grad():
                guess = output.scores(features[-1]).argmax(-1)
            token = torch.where(guessed[:, t], guess, token)
        feature, state, looked = step(token, state)
        features.append(feature)
        weights.append(looked)
    return torch.stack(features, 1), stacked(weights)
