"""Sampled softmax: the loss from a few words of a large vocabulary.

    N tokens   H hidden   V vocabulary   C sampled words

The normaliser ``Z = sum over all words of exp(score)`` is estimated from the right word and C
others, drawn without replacement from a log-uniform distribution over the words' ranks by frequency
in the training pairs (ids of subwords are in no such order). Each sampled term is divided by its
probability of being drawn (Jean et al. 2015, eq. 8-10), for which Kool et al. 2019 (section 4) give
the exact form when the C largest of Gumbel-perturbed log-probabilities are taken: the estimate of Z
has no bias, and its logarithm's bias falls with C.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from dragoman.model.copying import Mixture
from dragoman.model.output import Objective, Output


def frequency_ranks(counts: npt.NDArray[np.int64]) -> Tensor:
    """The rank of each word by how often it was seen, 0 the most frequent: [V] -> [V], in fp32."""
    order = np.argsort(-counts, kind="stable")
    return torch.from_numpy(np.argsort(order).astype(np.float32))  # the inverse of the order


def draw(ranks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw different words from the global generator.

    Args:
        ranks: from :func:`frequency_ranks`, [V], where the words are needed.
        count: C, below V.

    Returns:
        Ids [C], and the logarithm of each one's inclusion probability [C], in fp32.
    """
    log_probs = torch.log(torch.log1p(1 / (ranks + 1)) / math.log(len(ranks) + 1))
    noise = -torch.log(torch.empty_like(log_probs).exponential_())  # Gumbel(0)
    values, ids = torch.topk(log_probs + noise, count + 1)
    threshold, ids = values[-1], ids[:-1]
    return ids, torch.log(-torch.expm1(-torch.exp(log_probs[ids] - threshold)))


def sampled_loss(
    output: Output, features: Tensor, targets: Tensor, objective: Objective, mixture: Mixture | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy with a sampled normaliser, summed over the tokens.

    Args:
        output: the output layer.
        features: [N, H], without padding.
        targets: ids [N].
        objective: with the number C of samples (from V on, the full softmax is used), the words'
            ranks, and the scale.
        mixture: the pointer's part (:mod:`dragoman.model.copying`); None: only generate.

    Returns:
        The loss times the scale, with a gradient; the loss without both; and the number of targets
        that are at least as probable as every sampled word. All are sums over N, the first two in
        nats.
    """
    vocabulary = output.weight.shape[0]
    if objective.samples >= vocabulary:
        return output.loss(features, targets, objective, mixture)
    by_id = torch.arange(vocabulary, device=features.device, dtype=torch.float32)
    ranks = by_id if objective.ranks is None else objective.ranks
    ids, log_inclusion = draw(ranks, objective.samples)
    scores = F.linear(features, output.weight[ids], output.bias[ids])  # [N, C]
    wide = torch.promote_types(scores.dtype, torch.float32)
    # The right word stands for itself, with certainty, and not a second time among the sampled.
    scores = scores.to(wide).masked_fill(ids == targets.unsqueeze(1), -math.inf)
    own = (features * output.weight[targets]).sum(-1).to(wide) + output.bias[targets]  # [N]
    log_mass = torch.cat((own.unsqueeze(1), scores - log_inclusion.to(wide)), 1).logsumexp(1)
    right, best = own - log_mass, scores.amax(1) - log_mass
    if mixture is not None:
        right = torch.logaddexp(right + mixture.generate, mixture.copy)
        best = best + mixture.generate
    loss = -right.sum()
    return loss * objective.scale, loss.detach(), (right >= best).sum()
