"""Embeds token ids; and the dropout of embeddings and of every layer.

E embedding   V vocabulary
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.data.tokenizer import PAD, UNK

_ALL = 1 << 16
"""Number of values that sixteen bits can have."""


def dropout(x: Tensor, share: float, training: bool) -> Tensor:
    """Set a share of the values to zero and scale the others up (Srivastava et al. 2014, sec. 10).

    On a processor, sixteen random bits from torch's generator decide on each value, so the share is
    rounded to a multiple of 1/65,536. The expected value stays the same, up to rounding in bf16.
    Torch's own dropout draws one number for each value there, which took 5 % of a training step.

    Args:
        x: of any shape.
        share: in [0, 1).
        training: else ``x`` is returned as it is.
    """
    if not training or not share:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, share)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    numbers = bits.view(torch.int16)[: x.numel()].view(x.shape)  # uniform in [-32768, 32767]
    dropped = min(round(share * _ALL), _ALL - 1)
    # In place it is one or zero in the same type; torch takes longer to make and convert bools.
    kept = numbers.ge_(dropped - _ALL // 2)
    return x * kept.to(x.dtype).mul_(_ALL / (_ALL - dropped))


class Embedding(nn.Module):
    """A table of vectors, with dropout on what is read from it.

    The padding's vector starts as zero and gets no gradient here (a tied output layer may give it
    one). The others are drawn from N(0, 1/E), so that a vector has length 1 at any width.

    Args:
        vocabulary: V.
        width: E.
        dropout: share of the values that dropout sets to zero.
    """

    def __init__(self, vocabulary: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        self.dropout = dropout
        nn.init.normal_(self.weight, std=width**-0.5)
        self.weight.data[PAD] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        """[...] ids -> [..., E]; ids from V on, which copied words have, are the unknown word."""
        ids = ids.masked_fill(ids >= len(self.weight), UNK)
        return dropout(F.embedding(ids, self.weight, padding_idx=PAD), self.dropout, self.training)
