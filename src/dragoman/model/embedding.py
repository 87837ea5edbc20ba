"""Token ids to vectors.

E embedding   V vocabulary
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dragoman.data.tokenizer import PAD
from dragoman.model.dropout import dropout


class Embedding(nn.Module):
    """A table of vectors, with dropout on what is read from it.

    The padding's vector starts as zero and gets no gradient here (a tied output layer may give it
    one). The others are drawn from N(0, 1/E), so that a vector has length 1 at any width.
    """

    def __init__(self, vocabulary: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        self.dropout = dropout
        nn.init.normal_(self.weight, std=width**-0.5)
        with torch.no_grad():
            self.weight[PAD] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        """[...] ids -> [..., E]."""
        vectors = F.embedding(ids, self.weight, padding_idx=PAD)
        return dropout(vectors, self.dropout, self.training)
