"""The recurrent cells: one step, and T steps of a GRU with a gradient that is written by hand.

    B batch   N hypotheses   T time   D directions (1 or 2)   H hidden width   G gates
    R rows of state

Over T steps autograd would form a gradient of the recurrent weights at every step and add them up.
The backward pass of :class:`GruScan` keeps the gradient of every step's product U h_t, and one
product over all steps forms the gradient of U:

    dU = sum over steps t and batch of d(U h_t) h_t'
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dragoman.model.linear import filled

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""G: rows of H in the weights of each cell."""
STATE_ROWS = {"rnn": 1, "gru": 1, "lstm": 2}
"""R, vectors of H in the state of each cell: h, and for an LSTM the cell c."""
FUSED: dict[str, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "gru": torch.gru, "lstm": torch.lstm}
"""torch's operator for T steps of each cell."""


def step(cell: str, inputs: Tensor, hidden: Tensor, state: Tensor, bias: Tensor | None) -> Tensor:
    """One step of ``cell``.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: W x + b, [N, GH].
        hidden: U h, [N, GH].
        state: [N, R, H].
        bias: the bias inside a GRU's reset product, [H].

    Returns:
        The new state, [N, R, H].
    """
    if bias is not None:
        return gru_cell(inputs, hidden, state[:, 0], bias).unsqueeze(1)
    if cell == "lstm":
        return torch.stack(lstm_cell(inputs + hidden, state[:, 1]), 1)
    return torch.tanh(inputs + hidden).unsqueeze(1)  # Elman 1990


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


class GruScan(torch.autograd.Function):
    """:func:`gru_cell` over T steps: ``GruScan.apply(inputs, h, weight, bias)``.

    The arguments are W x + b of every step [D, T, B, 3H], the first state [D, B, H], U [D, 3H, H]
    and the bias inside the reset product [D, 1, H]; the result is the state after each step,
    [D, T, B, H].
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The states."""
        (directions, batch, hidden), time = h.shape, inputs.shape[1]
        both = (2 * hidden, hidden)  # reset and update; new
        turned = weight.transpose(1, 2)
        if weight.dtype != torch.float32:
            turned = turned.contiguous()  # a quarter faster than a view; in fp32 it is slower
        states = h.new_empty(directions, time + 1, batch, hidden)
        states[:, 0] = h
        gates = torch.empty_like(inputs)  # reset, update, new after their non-linearities
        inner = torch.empty_like(states[:, 1:])  # U_n h + b_n, before the reset gate
        given_rz, given_n = (part.unbind(1) for part in inputs.split(both, -1))
        rz = gates[..., : 2 * hidden].unbind(1)
        r, z, n = (gate.unbind(1) for gate in gates.split(hidden, -1))
        inside, states_t = inner.unbind(1), states.unbind(1)
        for t in range(time):
            product_rz, product_n = torch.bmm(states_t[t], turned).split(both, -1)
            torch.add(given_rz[t], product_rz, out=rz[t]).sigmoid_()
            torch.add(product_n, bias, out=inside[t])
            torch.addcmul(given_n[t], r[t], inside[t], out=n[t]).tanh_()
            torch.lerp(n[t], states_t[t], z[t], out=states_t[t + 1])
        ctx.save_for_backward(states, gates, inner, weight)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of inputs, h, weight and bias."""
        (grad,), (states, gates, inner, weight) = grads, ctx.saved_tensors
        before, hidden = states[:, :-1], inner.shape[-1]
        r, z, n = gates.split(hidden, -1)
        # What does not depend on the gradient that comes back is formed for all steps at once:
        # d_product, the gradient of U h, starts as these factors and is then multiplied in place.
        d_product = torch.empty_like(gates)
        d_r, d_z, d_n = d_product.split(hidden, -1)
        to_new = (1 - z) * (1 - n * n)
        torch.mul(to_new, r, out=d_n)
        torch.mul(d_n, inner * (1 - r), out=d_r)
        torch.mul(before - n, z * (1 - z), out=d_z)
        dhs = torch.empty_like(inner)
        dh = torch.zeros_like(states[:, 0])
        for t in reversed(range(inner.shape[1])):
            now = torch.add(dh, grad[:, t], out=dhs[:, t])
            product = d_product[:, t]
            product.unflatten(-1, (3, hidden)).mul_(now.unsqueeze(-2))
            dh = torch.baddbmm(now * z[:, t], product, weight)
        d_inputs = torch.empty_like(gates)
        d_inputs[..., : 2 * hidden] = d_product[..., : 2 * hidden]
        torch.mul(dhs, to_new, out=d_inputs[..., 2 * hidden :])
        d_all, all_before = filled(d_product.flatten(1, 2)), filled(before.flatten(1, 2))
        d_weight = torch.bmm(d_all.transpose(1, 2), all_before)
        return d_inputs, dh, d_weight, d_n.sum((1, 2)).unsqueeze(1)
