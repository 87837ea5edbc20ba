"""Copying of source words into the output by a pointer beside the generator.

    B batch   Q queries (target positions, or hypotheses)   S source   N tokens   H hidden
    V vocabulary   W the vocabulary and the words that only the sources of a batch have (W >= V)

The next word is generated with probability g, or copied from the source position where attention
looks (See et al. 2017, eq. 8-9, after Gulcehre et al. 2016):

    p(w) = g p_vocabulary(w) + (1 - g) sum of the attention on every i whose source word is w

A source word that the target vocabulary lacks gets an id from V on, which holds in its sentence
only (:mod:`dragoman.data.source`). It can be copied; its embedding is that of the unknown word.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.protocols import Record

_LEAST = 1e-20
"""Smallest copied probability, so that its logarithm is finite."""


class Mixture(NamedTuple):
    """Probabilities of N target tokens with a pointer: p(target) = g p_vocabulary + exp(copy)."""

    generate: Tensor
    """log g, [N]; minus infinity where the token can only be copied."""
    copy: Tensor
    """log((1 - g) p_copied), [N]."""


class Copying(nn.Module):
    """The gate g between generating and copying.

    Args:
        hidden: width H of the decoder's features.
        vocabulary: V.
    """

    def __init__(self, hidden: int, vocabulary: int) -> None:
        super().__init__()
        self.gate = nn.Linear(hidden, 1)
        self.vocabulary = vocabulary
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)  # at first it generates three times out of four

    def _gates(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """log g and log(1 - g), in fp32 or finer: [..., H] -> two of [...]."""
        raw = self.gate(features).squeeze(-1)
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        return F.logsigmoid(raw), F.logsigmoid(-raw)

    def mixture(
        self, features: Tensor, weights: Tensor, copies: Tensor, targets: Tensor
    ) -> Mixture:
        """The gate and the copied probability of known targets.

        Args:
            features: [N, H].
            weights: attention [N, S].
            copies: the source words' ids in the target's vocabulary [N, S].
            targets: ids [N], from V on where the word can only be copied.
        """
        generate, copy = self._gates(features)
        copied = (weights.to(copy.dtype) * (copies == targets.unsqueeze(1))).sum(1)  # [N]
        copy = copy + copied.clamp_min(_LEAST).log()
        return Mixture(generate.masked_fill(targets >= self.vocabulary, -torch.inf), copy)

    def extend(
        self, log_probs: Tensor, features: Tensor, weights: Tensor, copies: Tensor, record: Record
    ) -> Tensor:
        """Mix the generator's and the pointer's probabilities, for all words of both.

        Args:
            log_probs: of the generator, [..., V].
            features: [..., H].
            weights: attention [..., S].
            copies: ids of the source's words in the target's vocabulary, [..., S].
            record: receives the gate.

        Returns:
            Log-probabilities [..., W], W as wide as the largest id needs. A word that only other
            sources have gets minus infinity; no other word is below ``log(1e-20)``.
        """
        generate, copy = self._gates(features)
        record("copying gate", "B T", generate.exp())
        width = max(self.vocabulary, int(copies.max()) + 1)
        probs = F.pad((log_probs + generate.unsqueeze(-1)).exp(), (0, width - self.vocabulary))
        shares = weights.to(probs.dtype) * copy.exp().unsqueeze(-1)
        found = probs.scatter_add(-1, copies, shares).clamp_min(_LEAST).log()
        last = copies.amax(-1, keepdim=True).clamp_min(self.vocabulary - 1)
        ids = torch.arange(found.shape[-1], device=found.device)
        return found.masked_fill(ids > last, -torch.inf)
