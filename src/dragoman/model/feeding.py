"""Scheduled sampling: in training the decoder reads some of its own guesses (Bengio et al. 2015).

    B batch   T target   H hidden   S source

The model learns to continue after its own mistakes. There are two ways to choose the input:

    sequence   a sentence is read from the reference, or wholly from the model's own guesses
    token      each token is chosen by itself
"""

from typing import Any

import torch
from torch import Tensor

from dragoman.model.linear import Product
from dragoman.model.protocols import Features, Stepper


def features_with_guesses(
    step: Stepper, scores: Product, target: Tensor, state: Any, way: str, share: float
) -> Features:
    """The decoder's features where a share of its input is its own guesses.

    Args:
        step: the decoder over the encoded source.
        scores: features to the scores of all words; the best word, found without a gradient, is
            the guess.
        target: the reference as input, ids [B, T]; the begin token stays.
        state: the decoder's first state.
        way: ``sequence`` or ``token``.
        share: probability that a sentence (or a token) is guessed, in [0, 1].

    Returns:
        Features [B, T, H], and attention weights [B, T, S] or None.
    """
    drawn = torch.rand(len(target), 1 if way == "sequence" else target.shape[1]) < share
    drawn = drawn.expand(target.shape).clone()  # [B, T]
    drawn[:, 0] = False
    guessed, any_guessed = drawn.to(target.device, non_blocking=True), drawn.any(0).tolist()
    features, weights = list[Tensor](), list[Tensor]()
    for t, token in enumerate(target.unbind(1)):
        read = token
        if any_guessed[t]:
            with torch.no_grad():
                read = torch.where(guessed[:, t], scores(features[-1]).argmax(-1), token)
        feature, state, looked = step(read, state)
        features.append(feature)
        if looked is not None:
            weights.append(looked)
    return torch.stack(features, 1), torch.stack(weights, 1) if weights else None
