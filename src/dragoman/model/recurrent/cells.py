"""The recurrent cells: one step, and T steps; gradients of GRU and LSTM are written by hand.

    B batch   N hypotheses   T time   D directions (1 or 2)   H hidden width   G gates
    R rows of state

Over T steps autograd would form a gradient of the recurrent weights at every step and add them up.
Here the backward pass keeps the gradient of every step's product U h_t, and one product over all
steps forms the gradient of U:

    dU = sum over steps t and batch of d(U h_t) h_t'

The scans of GRU and LSTM take U as ``weight`` [D, GH, H] twice: as a tensor, for its gradient, and
as ``across``, the function that multiplies by it at every step, [D, B, H] -> [D, B, GH]. The scan
of a tanh RNN is a loop: autograd has little to do there, and a gathered product forms dU.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dragoman.model.linear import Product, gathered_matmul

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


def scan(
    cell: str, inputs: Tensor, state: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """T steps of ``cell``.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: W x + b of every step, [D, T, B, GH].
        state: the first state, [R, D, B, H].
        weight: U, [D, GH, H].
        bias: the bias inside a GRU's reset product, [D, 1, H].

    Returns:
        The states after each step, R times [D, T, B, H].
    """
    if cell == "rnn":
        return (rnn_scan(inputs, state[0], weight),)
    turned = weight.transpose(1, 2)
    if weight.dtype != torch.float32:
        turned = turned.contiguous()  # a quarter faster than a view; in fp32 it is slower
    multiply = partial(torch.bmm, mat2=turned)
    if bias is not None:
        return (GruScan.apply(inputs, state[0], weight, bias, multiply),)  # type: ignore[no-untyped-call]
    return LstmScan.apply(inputs, *state, weight, multiply)  # type: ignore[no-untyped-call, no-any-return]


def shut(cell: str, inputs: Tensor, padding: Tensor) -> Tensor:
    """Make padding harmless, so that :func:`scan` needs no mask.

    A gate that is fully shut (GRU: update = 1; LSTM: forget = 1, input = 0) carries the state on
    exactly, and a tanh RNN stays at its first state of zero until the backward direction meets a
    real position.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: W x + b of every step, [D, T, B, GH]; those of a gate are changed in place.
        padding: true on padding, [D, T, B, 1].

    Returns:
        The inputs, [D, T, B, GH].
    """
    if cell == "rnn":
        return inputs.masked_fill(padding, 0.0)
    with torch.no_grad():  # the scan's gradient of a shut gate is zero already
        first, second, *_ = inputs.chunk(GATES[cell], -1)
        second.masked_fill_(padding, math.inf)
        if cell == "lstm":
            first.masked_fill_(padding, -math.inf)
    return inputs


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
    """:func:`gru_cell` over T steps."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, h: Tensor, weight: Tensor, bias: Tensor, across: Product
    ) -> Tensor:
        """``inputs`` [D, T, B, 3H], ``h`` [D, B, H], ``weight`` [D, 3H, H], ``bias`` [D, 1, H]."""
        hidden = h.shape[-1]
        both = (2 * hidden, hidden)  # reset and update; new
        states = _with_first(h, inputs.shape[1])
        gates = torch.empty_like(inputs)  # reset, update, new after their non-linearities
        inner = torch.empty_like(states[:, 1:])  # U_n h + b_n, before the reset gate
        given_rz, given_n = (part.unbind(1) for part in inputs.split(both, -1))
        rz = gates[..., : 2 * hidden].unbind(1)
        r, z, n = (gate.unbind(1) for gate in gates.split(hidden, -1))
        inside, states_t = inner.unbind(1), states.unbind(1)
        for t in range(len(r)):
            product_rz, product_n = across(states_t[t]).split(both, -1)
            torch.add(given_rz[t], product_rz, out=rz[t]).sigmoid_()
            torch.add(product_n, bias, out=inside[t])
            torch.addcmul(given_n[t], r[t], inside[t], out=n[t]).tanh_()
            torch.lerp(n[t], states_t[t], z[t], out=states_t[t + 1])
        ctx.save_for_backward(states, gates, inner, weight)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Gradients of inputs, h, weight and bias."""
        (grad,) = grads
        states, gates, inner, weight = ctx.saved_tensors
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
        d_weight = _weight_gradient(d_product, before)
        return d_inputs, dh, d_weight, d_n.sum((1, 2)).unsqueeze(1), None


class LstmScan(torch.autograd.Function):
    """:func:`lstm_cell` over T steps."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, h: Tensor, c: Tensor, weight: Tensor, across: Product
    ) -> tuple[Tensor, Tensor]:
        """``inputs`` [D, T, B, 4H], ``h`` and ``c`` [D, B, H], ``weight`` [D, 4H, H]."""
        hidden, time = h.shape[-1], inputs.shape[1]
        states, cells = _with_first(h, time), _with_first(c, time)
        gates = torch.empty_like(inputs)
        given, gates_t = inputs.unbind(1), gates.unbind(1)
        i_f = gates[..., : 2 * hidden].unbind(1)
        i, f, g, o = (gate.unbind(1) for gate in gates.split(hidden, -1))
        states_t, cells_t = states.unbind(1), cells.unbind(1)
        for t in range(time):
            torch.add(given[t], across(states_t[t]), out=gates_t[t])
            i_f[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            torch.mul(f[t], cells_t[t], out=cells_t[t + 1]).addcmul_(i[t], g[t])
            torch.mul(o[t], torch.tanh(cells_t[t + 1]), out=states_t[t + 1])
        ctx.save_for_backward(states, cells, gates, weight)
        ctx.set_materialize_grads(False)
        return states[:, 1:], cells[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Gradients of inputs, h, c and weight."""
        grad_h, grad_c = grads
        states, cells, gates, weight = ctx.saved_tensors
        hidden = states.shape[-1]
        i, f, g, o = gates.split(hidden, -1)
        tanh_c = torch.tanh(cells[:, 1:])
        to_cell = o * (1 - tanh_c * tanh_c)
        d_gates = torch.empty_like(gates)  # starts as factors, then multiplied in place
        d_i, d_f, d_g, d_o = d_gates.split(hidden, -1)
        torch.mul(g, i * (1 - i), out=d_i)
        torch.mul(cells[:, :-1], f * (1 - f), out=d_f)
        torch.mul(i, 1 - g * g, out=d_g)
        torch.mul(tanh_c, o * (1 - o), out=d_o)
        dh, dc = torch.zeros_like(states[:, 0]), torch.zeros_like(states[:, 0])
        for t in reversed(range(gates.shape[1])):
            dh = dh if grad_h is None else dh + grad_h[:, t]
            dc = dc if grad_c is None else dc + grad_c[:, t]
            dc = torch.addcmul(dc, dh, to_cell[:, t])
            now = d_gates[:, t]
            now[..., : 3 * hidden].unflatten(-1, (3, hidden)).mul_(dc.unsqueeze(-2))
            now[..., 3 * hidden :].mul_(dh)
            dc = dc * f[:, t]
            dh = torch.bmm(now, weight)
        return d_gates, dh, dc, _weight_gradient(d_gates, states[:, :-1]), None


def rnn_scan(inputs: Tensor, h: Tensor, weight: Tensor) -> Tensor:
    """``h' = tanh(W x + U h + b)`` over T steps (Elman 1990).

    ``inputs`` W x + b [D, T, B, H], ``h`` [D, B, H], ``weight`` [D, H, H] -> states [D, T, B, H].
    """
    recur, states = gathered_matmul(weight.transpose(1, 2)), list[Tensor]()
    for now in inputs.unbind(1):
        h = torch.tanh(now + recur(h))
        states.append(h)
    return torch.stack(states, 1)


def _with_first(first: Tensor, time: int) -> Tensor:
    """Memory for the states of T steps, after the ``first`` [D, B, H]: [D, T + 1, B, H]."""
    directions, batch, hidden = first.shape
    states = first.new_empty(directions, time + 1, batch, hidden)
    states[:, 0] = first
    return states


def _weight_gradient(d_product: Tensor, states: Tensor) -> Tensor:
    """Sum over steps and batch of ``d_product`` x ``states``: [D, T, B, GH], [D, T, B, H]."""
    return torch.bmm(d_product.flatten(1, 2).transpose(1, 2), states.flatten(1, 2))
