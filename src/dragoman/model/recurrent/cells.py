"""The equations of the recurrent cells: one step, given the products with input and state.

H hidden width   G gates
"""

import torch
from torch import Tensor

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""G: rows of H in the weights of each cell."""
STATE_ROWS = {"rnn": 1, "gru": 1, "lstm": 2}
"""Vectors of H in the state of each cell: h, and for an LSTM the cell c."""


def gru_cell(inputs: Tensor, hidden: Tensor, h: Tensor, bias: Tensor) -> Tensor:
    """GRU, Cho et al. 2014 eq. 5-8, with the reset gate after the product (as cuDNN has it).

    Args:
        inputs: W x + b, [..., 3H] in the order reset, update, new.
        hidden: U h, [..., 3H] in the same order.
        h: [..., H].
        bias: the bias inside the reset product, [H].

    Returns:
        The new h, [..., H].
    """
    both = (2 * h.shape[-1], h.shape[-1])
    (i_rz, i_n), (h_rz, h_n) = inputs.split(both, -1), hidden.split(both, -1)
    r, z = torch.sigmoid(i_rz + h_rz).chunk(2, -1)
    n = torch.tanh(torch.addcmul(i_n, r, h_n + bias))
    return torch.lerp(n, h, z)


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """LSTM, Hochreiter & Schmidhuber 1997 with forget gate.

    Args:
        gates: W x + U h + b, [..., 4H] in the order input, forget, new, output.
        c: [..., H].

    Returns:
        The new h and c, [..., H] each.
    """
    i, f, g, o = gates.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
