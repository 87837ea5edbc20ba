"""The output layer and its loss, fused: features to scores, scores to loss and gradients.

    N tokens   H hidden   V vocabulary   C tokens of a chunk

The scores of all tokens would be a tensor [N, V], the largest of a training step. To save memory,
the forward pass computes the loss and its gradients for C tokens at a time and keeps no scores; the
backward pass only scales the gradients.

With entmax-1.5 instead of the softmax, the loss is the Fenchel-Young loss of entmax (Peters et al.
2019, eq. 9-12). Of scores s, probabilities p and the right word y it is L; its gradient by s is
p - e_y, as that of cross-entropy:

    L = p . s + H(p) - s(y)     H(p) = 4/3 sum over words of (p - p^1.5)
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.attention import entmax
from dragoman.model.copying import Mixture
from dragoman.model.linear import ROWS, filled
from dragoman.search.network import WITHOUT_WEIGHT

CHUNK_ELEMENTS = 6_000_000
"""Scores held at a time, C x V: 24 MB in fp32, about what the last-level cache holds."""


class Objective(NamedTuple):
    """What is minimised; by default the cross-entropy of the reference."""

    smoothing: float = 0.0
    """Label smoothing; 0 with sampled words."""
    samples: int = 0
    """Words sampled for the softmax; 0: the whole vocabulary."""
    ranks: Tensor | None = None
    """Ranks of the words by frequency, [V], for sampling; None: the order of their ids."""
    feeding: str = "none"
    """Scheduled sampling: ``none``, ``sequence`` or ``token``."""
    share: float = 0.0
    """Share of the decoder's input that is its own guesses."""
    scale: float | Tensor = 1.0
    """Factor of the sum that is minimised, such as one over the number of tokens. It costs nothing
    where the gradient is formed; later it would cost a pass over the gradient."""


class Output(nn.Module):
    """The output layer, ``features W' + b``: one score for each word.

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

    def scores(self, features: Tensor) -> Tensor:
        """[..., H] -> scores before the softmax, [..., V]."""
        return F.linear(features, self.weight, self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """[..., H] -> log-probabilities [..., V], in fp32 or finer."""
        scores = self.scores(features)
        return scores.log_softmax(-1, dtype=_sums(scores))

    @staticmethod
    def normalized(scores: Tensor, best: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make probabilities and losses of scores [C, V].

        Args:
            scores: may be overwritten: memory bandwidth limits the loop that calls this.
            best: the largest score of each token, [C, 1].

        Returns:
            Masses m [C, V] and their sum [C, 1]: the probabilities are m / sum. And the normaliser
            n [C, 1]: the loss of word v is n minus the score of v. Here n is the logarithm of the
            sum of exp(score).
        """
        exp = scores.sub_(best).exp_()
        mass = exp.sum(1, keepdim=True)
        return exp, mass, best + mass.log()

    def loss(
        self, features: Tensor, targets: Tensor, objective: Objective, mixture: Mixture | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Cross-entropy with label smoothing (Szegedy 2016, section 7), summed over the tokens.

        A :class:`SparseOutput` has the entmax loss in the place of cross-entropy.

        The target distribution is ``(1 - smoothing)`` on the right token and ``smoothing / V`` on
        every token. With a pointer, ``p(right)`` is the mixture of both; smoothing then applies to
        the probabilities of the vocabulary.

        Args:
            features: [N, H], without padding.
            targets: ids [N].
            objective: with the smoothing and the scale.
            mixture: the pointer's part (:mod:`dragoman.model.copying`); None: only generate.

        Returns:
            The smoothed loss times the scale, with a gradient; the loss without smoothing, scale
            and gradient; and the number of targets that are at least as probable as every word of
            the vocabulary. All are sums over N, scalars in fp32; cross-entropy is in nats.
        """
        if mixture is None:
            sure = torch.zeros(len(targets), dtype=_sums(self.weight), device=features.device)
            mixture = Mixture(sure, sure - math.inf)
        options = objective, torch.is_grad_enabled(), self.normalized
        given = filled(features), self.weight, self.bias, *mixture, targets
        return _FusedLoss.apply(*given, options)  # type: ignore[no-untyped-call, no-any-return]


class SparseOutput(Output):
    """The output layer whose probabilities are entmax-1.5 of the scores: most are 0.

    Its loss is L above. Where the probability is 0, the log-probability is
    :data:`dragoman.search.network.WITHOUT_WEIGHT` plus the score minus the best score.
    """

    def forward(self, features: Tensor) -> Tensor:
        """[..., H] -> log-probabilities [..., V], in fp32 or finer."""
        scores = self.scores(features).to(_sums(self.weight))
        least = scores - scores.amax(-1, keepdim=True) + WITHOUT_WEIGHT
        return torch.maximum(entmax(scores).log(), least)

    @staticmethod
    def normalized(scores: Tensor, best: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`Output.normalized`; n is p . s + H(p), where s = best + 2 (sqrt(p) + t)."""
        p = entmax(scores)
        cubes, threshold = (p**1.5).sum(1, keepdim=True), -p.amax(1, keepdim=True).sqrt()
        return p, torch.ones_like(best), best + (4 + 2 * cubes) / 3 + 2 * threshold


class PositionOutput(Output):
    """The output layer of a decoder that scores the words at every source position.

    Such a decoder calls :meth:`words` itself and adds up the probabilities of all positions. Its
    features are thus the log-probabilities of the next word, [..., V], and stay as they are here.
    """

    words = Output.forward
    """Features of every position [..., H] -> log-probabilities of the words, [..., V]."""

    def forward(self, features: Tensor) -> Tensor:
        """The log-probabilities themselves."""
        return features

    def loss(
        self, features: Tensor, targets: Tensor, objective: Objective, mixture: Mixture | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`Output.loss`, of log-probabilities [N, V]; there is no pointer."""
        right = features.gather(1, targets.unsqueeze(1))
        gain = right.sum() + objective.smoothing * (features.mean(1, keepdim=True) - right).sum()
        unbeaten = (right >= features.amax(1, keepdim=True)).sum()
        return -gain * objective.scale, -right.detach().sum(), unbeaten


def _sums(weight: Tensor) -> torch.dtype:
    """The type in which scores are summed: fp32, or fp64 for weights (or scores) in fp64."""
    return torch.promote_types(weight.dtype, torch.float32)


class _FusedLoss(torch.autograd.Function):
    """Loss and gradients of one output layer, C tokens at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        generate: Tensor,
        copy: Tensor,
        targets: Tensor,
        options: tuple[Objective, bool, Callable[..., tuple[Tensor, Tensor, Tensor]]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`Output.loss`; products run in the type of ``features``, sums in fp32.

        ``options`` are the objective, whether gradients are enabled, and :meth:`Output.normalized`.
        """
        objective, enabled, normalize = options
        smoothing, scale = objective.smoothing, objective.scale
        # The loss weighs the target's token by ``most`` and spreads ``least`` over all tokens.
        most, least = (1 - smoothing) * scale, smoothing * scale
        learns = enabled and any(ctx.needs_input_grad)  # which ignore no_grad
        low, low_bias = weight.to(features.dtype), bias.to(features.dtype)
        spread, plain, unbeaten = torch.zeros(3, dtype=_sums(weight), device=weight.device)
        d_features = torch.empty_like(features)
        d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        shares = torch.empty_like(generate)  # of the generator in the probability of each token
        chunks = max(1, -(-len(targets) * len(weight) // CHUNK_ELEMENTS))
        rows = -(-max(1, len(targets)) // (chunks * ROWS)) * ROWS  # about as many in every chunk
        for begin in range(0, len(targets), rows):
            now = slice(begin, begin + rows)
            x, y = features[now], targets[now].unsqueeze(1)
            g, c = generate[now].unsqueeze(1), copy[now].unsqueeze(1)
            scores = F.linear(x, low, low_bias)[: len(y)].to(spread.dtype)  # [C, V]
            best, own = scores.amax(1, keepdim=True), scores.gather(1, y)  # [C, 1]
            mean = scores.mean(1, keepdim=True)
            exp, mass, log_mass = normalize(scores, best)
            generated = own - log_mass + g
            right = torch.logaddexp(generated, c)
            share = (generated - right).exp_()
            shares[now] = share.squeeze(1)
            plain -= right.sum()
            unbeaten += (right >= best - log_mass + g).sum()
            spread += (log_mass - mean).sum()
            if not learns:
                continue
            # The gradient of the loss by the scores, [C, V], with p = exp / mass:
            #     (most share + least) p - least / V - (most share for the target's token, else 0)
            d_scores = exp.mul_((most * share + least) / mass)
            d_scores -= least / weight.shape[0]
            d_scores.scatter_add_(1, y, -most * share)
            d_low = low.new_zeros(len(x), len(weight))
            d_low[: len(y)] = d_scores
            torch.mm(d_low, low, out=d_features[now])
            if ctx.needs_input_grad[1]:
                d_weight += d_low.t() @ x
            d_bias += d_scores.sum(0)
        # d loss / d log g = -share, d loss / d log(1 - g) p_copied = share - 1
        held = most * shares
        ctx.save_for_backward(d_features, d_weight, d_bias, -held, held - most)
        ctx.mark_non_differentiable(plain, unbeaten)
        return most * plain + least * spread, plain, unbeaten

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the forward pass, times that of the loss, which is mostly one."""
        scale, formed = grads[0], list(ctx.saved_tensors)
        if scale.device.type != "cpu" or scale != 1:  # to ask this of a GPU is to wait for it
            formed = [d * scale.to(d.dtype) for d in formed]
        return (*formed, None, None)
