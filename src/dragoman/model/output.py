"""The output layer and its loss, fused: features to scores, scores to loss and gradients.

    N tokens   H hidden   V vocabulary   C tokens of a chunk

The scores of all tokens would be a tensor [N, V], the largest of the whole step. It is never
kept: the loss and its gradients are formed chunk by chunk in the forward pass, and the backward
pass only scales them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHUNK_ELEMENTS = 4_000_000
"""Scores held at a time, C x V: 16 MB in fp32, about what the last-level cache holds."""


class Output(nn.Module):
    """``features W' + b``: one score a word.

    Args:
        hidden: width H of the features.
        vocabulary: V.
        weight: a table [V, H] to share (tied embeddings) instead of one of its own.
    """

    def __init__(self, hidden: int, vocabulary: int, weight: nn.Parameter | None = None) -> None:
        super().__init__()
        if weight is None:
            weight = nn.Parameter(torch.empty(vocabulary, hidden))
            nn.init.normal_(weight, std=hidden**-0.5)
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, features: Tensor) -> Tensor:
        """[..., H] -> log-probabilities [..., V], in fp32 or finer."""
        scores = F.linear(features, self.weight, self.bias)
        return scores.log_softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))

    def loss(
        self, features: Tensor, targets: Tensor, smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy with label smoothing (Szegedy 2016, section 7), summed over the tokens.

        The target distribution is ``(1 - smoothing)`` on the right token and ``smoothing / V`` on
        every token.

        Args:
            features: [N, H], padding already taken out.
            targets: ids [N].
            smoothing: share spread over the vocabulary, in [0, 1).

        Returns:
            The smoothed loss, with a gradient, and the plain negative log-likelihood without
            one; both are sums over N, scalars in fp32, in nats.
        """
        if torch.is_autocast_enabled(features.device.type):
            features = features.to(torch.get_autocast_dtype(features.device.type))
        total, plain = _FusedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            features, self.weight, self.bias, targets, smoothing
        )
        return total, plain


class _FusedCrossEntropy(torch.autograd.Function):
    """Loss and gradients of one output layer, C tokens at a time."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`Output.loss`; products run in the type of ``features``, sums in fp32."""
        learn = any(ctx.needs_input_grad)
        low = weight.to(features.dtype)
        sums = torch.float64 if weight.dtype == torch.float64 else torch.float32
        total = torch.zeros((), dtype=sums, device=weight.device)
        plain = torch.zeros_like(total)
        d_features = torch.empty_like(features) if learn else None
        d_weight = torch.zeros_like(weight) if learn else None
        d_bias = torch.zeros_like(bias) if learn else None
        rows = max(1, CHUNK_ELEMENTS // weight.shape[0])
        for start in range(0, features.shape[0], rows):
            x, y = features[start : start + rows], targets[start : start + rows].unsqueeze(1)
            scores = F.linear(x, low).to(sums).add_(bias)  # [C, V]
            normalizer = scores.logsumexp(1, keepdim=True)  # [C, 1]
            right = normalizer - scores.gather(1, y)
            plain += right.sum()
            total += (1 - smoothing) * right.sum()
            if smoothing:
                total += smoothing * (normalizer - scores.mean(1, keepdim=True)).sum()
            if d_features is not None and d_weight is not None and d_bias is not None:
                # d loss / d score = p - (1 - smoothing) [right] - smoothing / V
                d_scores = scores.sub_(normalizer).exp_()
                if smoothing:
                    d_scores -= smoothing / weight.shape[0]
                d_scores.scatter_add_(1, y, torch.full_like(right, smoothing - 1))
                d_bias += d_scores.sum(0)
                d_low = d_scores.to(features.dtype)
                torch.mm(d_low, low, out=d_features[start : start + rows])
                d_weight += d_low.t() @ x
        if learn:
            ctx.save_for_backward(d_features, d_weight, d_bias)
        ctx.mark_non_differentiable(plain)
        return total, plain

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Scale what the forward pass formed."""
        d_features, d_weight, d_bias = ctx.saved_tensors
        scale = grads[0]
        return d_features * scale.to(d_features.dtype), d_weight * scale, d_bias * scale, None, None
