"""Token ids to vectors.

E embedding   V vocabulary
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.data.tokenizer import PAD, UNK
from dragoman.model.dropout import dropout


class Embedding(nn.Module):
    """A table of vectors, with dropout on what is read from it.

    The padding's vector starts as zero and gets no gradient here (a tied output layer may give it
    one). The others are drawn from N(0, 1/E), so that a vector has length 1 at any width.

    Args:
        vocabulary: V.
        width: E.
        dropout: share of the values that dropout sets to zero.
        beyond: read ids from V on, which copied words have, as the unknown word.
    """

    def __init__(
        self, vocabulary: int, width: int, dropout: float = 0.0, *, beyond: bool = False
    ) -> None:
        super().__init__()
        self.beyond = beyond
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        self.dropout = dropout
        nn.init.normal_(self.weight, std=width**-0.5)
        with torch.no_grad():
            self.weight[PAD] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        """[...] ids -> [..., E]."""
        if self.beyond:
            ids = ids.masked_fill(ids >= len(self.weight), UNK)
        return dropout(F.embedding(ids, self.weight, padding_idx=PAD), self.dropout, self.training)
