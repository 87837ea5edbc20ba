"""What the decoder reads in training: the reference, or now and then its own guess.

    B batch   T target   V vocabulary

Scheduled sampling (Bengio et al. 2015) prepares a model for its own mistakes. Three ways:

    sequence   a sentence is read from the reference, or wholly from the model's own guesses
    token      each token by itself
    parallel   each token by itself, guesses taken from a first pass over the reference
               (Mihaylova & Martins 2019): two unrolled passes in place of T steps
"""

from __future__ import annotations

import torch
from torch import Tensor

from dragoman.model.decoder import Decoder, Memory, joined
from dragoman.model.output import Output
from dragoman.model.products import linear, loop

_ROWS = 1024
"""Positions whose scores are held at a time while guesses are looked for."""


def features_with_guesses(
    decoder: Decoder, output: Output, target: Tensor, memory: Memory, *, way: str, share: float
) -> tuple[Tensor, Tensor | None]:
    """The decoder's features where a share of its input is its own guesses.

    Args:
        decoder, output: give the guesses, the most probable tokens, found without a gradient.
        target: the reference as input, ids [B, T]; the begin token stays.
        memory: the encoded source.
        way: ``sequence``, ``token`` or ``parallel``.
        share: probability that a sentence (or a token) is guessed, in [0, 1].

    Returns:
        Features [B, T, H], and attention weights [B, T, S] or None.
    """
    drawn = torch.rand(len(target), 1 if way == "sequence" else target.shape[1]) < share
    drawn = drawn.expand(target.shape).clone()  # [B, T]
    drawn[:, 0] = False
    own, some = drawn.to(target.device, non_blocking=True), drawn.any(0).tolist()
    if way == "parallel":
        with torch.no_grad():
            guesses = _guesses(output, decoder.unroll(target, memory)[0])
        # Else autocast may go on with the weights that it cast here, which learn nothing.
        torch.clear_autocast_cache()
        mixed = torch.where(own[:, 1:], guesses[:, :-1], target[:, 1:])
        return decoder.unroll(torch.cat((target[:, :1], mixed), 1), memory)
    with loop():
        return _step_by_step(decoder, output, target, memory, own, some)


def _step_by_step(
    decoder: Decoder, output: Output, target: Tensor, memory: Memory, own: Tensor, some: list[bool]
) -> tuple[Tensor, Tensor | None]:
    """The same where a guess needs the steps before it; ``some``: whether there is one, [T]."""
    state, features, weights = memory.start.unsqueeze(1), list[Tensor](), list[Tensor | None]()
    for t in range(target.shape[1]):
        if some[t]:
            with torch.no_grad():
                guess = _guesses(output, features[-1])
            token = torch.where(own[:, t : t + 1], guess, target[:, t : t + 1])
        else:
            token = target[:, t : t + 1]
        feature, state, looked = decoder.step(token, state, memory)
        features.append(feature)
        weights.append(looked)
    return torch.cat(features, 1), joined(weights)


def _guesses(output: Output, features: Tensor) -> Tensor:
    """The most probable token at each position: [B, T, H] -> [B, T]."""
    flat = features.flatten(0, 1)
    scores = (linear(rows, output.weight, output.bias) for rows in flat.split(_ROWS))
    return torch.cat([some.argmax(-1) for some in scores]).view(features.shape[:2])
