"""Attention: weights over source positions, and the mean of the encoder states by them.

    B sentences   Q queries a sentence   N hypotheses   S source   M memory   H hidden

Energies compare a decoder state q with an encoder state s:

    dot         q . s                      Luong 2015, eq. 8
    scaled_dot  q . s / sqrt(H)            Vaswani 2017, eq. 1
    general     q . W s                    Luong 2015, eq. 8
    concat      v . tanh(W_q q + W_s s)    Bahdanau 2015, appendix A.1.2; Luong 2015, eq. 8

The part that depends on the source alone (W s, W_s s) is computed once a sentence: the *keys*.

Weights p come from energies e by the softmax, or by entmax-1.5 (Peters et al. 2019) or sparsemax
(Martins & Astudillo 2016), which give positions of low energy no weight at all. The threshold t is
where the weights sum to 1:

    p = max(e / 2 - t, 0)^2    entmax-1.5
    p = max(e - t, 0)          sparsemax, which is entmax-2
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.model.linear import Product, gathered, gathered_matmul, linear
from dragoman.model.protocols import Cells, Memory, Record, discard

_ROUNDS = 10
"""Rounds of Newton's method for a threshold. Seven are enough for 16,000 energies under entmax-1.5
and for 256 under sparsemax, ten for 2,000 under sparsemax (``docs/log.md``)."""

Attend = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Computes contexts [B, Q, M] and weights [B, Q, S] of queries [B, Q, H]."""


class Attention(nn.Module):
    """Weights over the source, and the context: the encoder states' mean by these weights.

    Args:
        score: ``dot``, ``scaled_dot``, ``general`` or ``concat``.
        query: width H of the decoder's state.
        memory: width M of the encoder's states; dot products need it equal to ``query``.
        power: how weights are made of energies. 0: softmax; 1: sparsemax; 2: entmax-1.5.
    """

    def __init__(self, score: str, query: int, memory: int, *, power: int = 0) -> None:
        super().__init__()
        self.score, self.power = score, power
        self.key = nn.Linear(memory, query, bias=False) if score in ("general", "concat") else None
        self.query = nn.Linear(query, query) if score == "concat" else None
        self.energy = nn.Linear(query, 1, bias=False) if score == "concat" else None
        for layer in (self.key, self.query, self.energy):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)

    def keys(self, states: Tensor) -> Tensor:
        """The keys that queries are compared with: encoder states [B, S, M] -> [B, S, H]."""
        if self.key is not None:
            return linear(states, self.key.weight)
        return states / math.sqrt(states.shape[-1]) if self.score == "scaled_dot" else states

    def over(self, memory: Memory, record: Record = discard) -> Attend:
        """Make the function that computes attention over the sentences of a memory.

        Args:
            memory: B sentences with their :meth:`keys`.
            record: receives intermediate values.

        Returns:
            A function of queries [B, Q, H], which gives contexts [B, Q, M] and weights [B, Q, S] in
            fp32 or finer; each row of weights sums to 1 and is 0 on padding.
        """
        average, padding = gathered_matmul(memory.states), ~memory.mask.unsqueeze(1)
        if self.query is not None and self.energy is not None:
            query = gathered(self.query.weight, self.query.bias)
            compare = _concat(memory.keys, query, gathered(self.energy.weight))
        else:
            compare = gathered_matmul(memory.keys.transpose(1, 2))

        def attend(queries: Tensor) -> tuple[Tensor, Tensor]:
            energies = compare(queries)
            energies = energies.to(torch.promote_types(energies.dtype, torch.float32))
            real = energies.masked_fill(padding, -math.inf)
            weights = entmax(real, self.power) if self.power else F.softmax(real, -1)
            context = average(weights.to(memory.states.dtype))
            record("energies", "B Q S", energies)
            record("weights", "B Q S", weights)
            record("context", "B Q H", context)
            return context, weights

        return attend


def entmax(energies: Tensor, power: int = 2) -> Tensor:
    """Weights by entmax of energies [..., S], of which some may be minus infinity, but not all.

    Let z be the energies (halved for entmax-1.5) minus the largest of them, and r = max(z - t, 0).
    At the right threshold t the norm of r is 1 (the Euclidean norm; for sparsemax the sum). The
    norm is convex in t and at least 1 at t = -1, so that Newton's method finds t from below. The
    gradient of t by z is r / sum r; for sparsemax it is the same at all positions with weight.

    Args:
        energies: of S positions.
        power: 2 for entmax-1.5, 1 for sparsemax.

    Returns:
        The weights, [..., S]; they sum to 1.
    """
    # What is 1 or more below the largest has no weight; at minus infinity the gradient is NaN.
    z = ((energies - energies.amax(-1, keepdim=True).detach()) / power).clamp_min(-2)
    with torch.no_grad():
        threshold = torch.full_like(z[..., :1], -1)
        for _ in range(_ROUNDS):
            roots = (z - threshold).clamp_min_(0)
            slope = roots if power == 2 else roots.sign()
            mass = (roots * slope).sum(-1, keepdim=True)
            total = slope.sum(-1, keepdim=True)
            threshold += (mass - mass ** (1 - 1 / power)) / total
    threshold = threshold + (slope * (z - z.detach())).sum(-1, keepdim=True) / total
    return (z - threshold).clamp_min(0) ** power


def _concat(keys: Tensor, query: Product, energy: Product) -> Product:
    """Energies of concat before masking: queries [B, Q, H] -> [B, Q, S]."""

    def compare(queries: Tensor) -> Tensor:
        both = torch.tanh(query(queries).unsqueeze(2) + keys.unsqueeze(1))  # [B, Q, S, H]
        return energy(both).squeeze(-1)

    return compare


def of_hypotheses(attend: Attend, memory: Memory, cells: Cells | None = None) -> Attend:
    """Attention of N hypotheses: [N, H] -> [N, M] and [N, S].

    Args:
        attend: over the sentences of ``memory``, for queries [B, Q, H].
        memory: B sentences.
        cells: the sentence of each hypothesis. None: hypothesis n belongs to sentence n.
    """

    def attend_once(queries: Tensor) -> tuple[Tensor, Tensor]:
        if cells is None:
            context, weights = attend(queries.unsqueeze(1))
            return context.squeeze(1), weights.squeeze(1)
        places, slots = cells
        grid = queries.new_zeros(len(memory) * slots, queries.shape[-1])
        grid[places] = queries
        context, weights = attend(grid.view(len(memory), slots, -1))
        return context.flatten(0, 1)[places], weights.flatten(0, 1)[places]

    return attend_once
