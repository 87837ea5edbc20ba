"""The encoder's final state to the decoder's first.

B batch   H hidden   K rows of state, of the encoder (K_e) or the decoder (K_d)
"""

import torch
from torch import Tensor, nn

from dragoman.model.linear import Maker, plain


class Bridge(nn.Module):
    """The decoder's first state from the encoder's final one: [B, K_e, H] -> [B, K_d, H].

    ``copy`` hands the last layers over as they are, ``linear`` through ``tanh(W x + b)``
    (Bahdanau 2015, appendix A.2.2), ``zero`` starts from zeros. When the decoder has more layers
    than the encoder, the encoder's last layer is repeated.

    Args:
        kind: ``copy``, ``linear`` or ``zero``.
        hidden: width H.
        rows: rows of state a layer.
        encoder: layers of the encoder.
        decoder: layers of the decoder.
    """

    def __init__(self, kind: str, hidden: int, rows: int, encoder: int, decoder: int) -> None:
        super().__init__()
        self.kind = kind
        self.linear: nn.Linear | None = None
        if kind == "linear":
            self.linear = nn.Linear(hidden, hidden)
            nn.init.xavier_uniform_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
        last = range(max(0, encoder - decoder), encoder)
        layers = [*last, *[encoder - 1] * max(0, decoder - encoder)]
        self.order = [layer * rows + row for layer in layers for row in range(rows)]

    def forward(self, final: Tensor, make: Maker = plain) -> Tensor:
        """[B, K_e, H] -> [B, K_d, H]."""
        state = final[:, self.order]
        if self.kind == "zero":
            return torch.zeros_like(state)
        if self.linear is not None:
            return torch.tanh(make(self.linear.weight, self.linear.bias)(state))
        return state
