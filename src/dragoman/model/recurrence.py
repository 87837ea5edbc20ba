"""Recurrent layers: tanh RNN, GRU and LSTM, over a whole sequence or one step at a time.

    B batch   T time   D directions (1 or 2)   E input width   H hidden width   G gates

A layer is used in two ways that give the same numbers: :meth:`Recurrent.scan` runs a sequence,
with a hand-written gradient that forms the gradient of the recurrent weights in *one* product
over all steps, or by a library's kernel (:mod:`dragoman.model.kernels`); :meth:`Recurrent.step`
runs one step with plain autograd, for decoders that must loop and for search.

The state of a layer is a tensor ``[B, R, H]``: row 0 is the hidden vector h, and for an LSTM
row 1 is the cell c (R = 2; else R = 1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dragoman.data.tokenizer import Ids
from dragoman.model import kernels
from dragoman.model.products import linear, recurrent

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
STATE_ROWS = {"rnn": 1, "gru": 1, "lstm": 2}


def gru_cell(inputs: Tensor, hidden: Tensor, h: Tensor, bias: Tensor) -> Tensor:
    """GRU, Cho et al. 2014 eq. 5-8, with the reset gate after the product (as cuDNN has it).

    ``inputs`` = W x + b and ``hidden`` = U h, each [..., 3H] in the order reset, update, new;
    ``bias`` [H] is the one inside the reset product.
    """
    both = (2 * h.shape[-1], h.shape[-1])
    (i_rz, i_n), (h_rz, h_n) = inputs.split(both, -1), hidden.split(both, -1)
    r, z = torch.sigmoid(i_rz + h_rz).chunk(2, -1)
    n = torch.tanh(torch.addcmul(i_n, r, h_n + bias))
    return torch.lerp(n, h, z)


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """LSTM, Hochreiter & Schmidhuber 1997 with forget gate: new h and c, each [..., H].

    ``gates`` = W x + U h + b, [..., 4H] in the order input, forget, new, output.
    """
    i, f, g, o = gates.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class Recurrent(nn.Module):
    """One recurrent layer, in one direction or in both at once.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        inputs: width E of the input.
        hidden: width H of the state, for each direction.
        directions: 1, or 2 to read the sequence backwards as well.
    """

    def __init__(self, cell: str, inputs: int, hidden: int, directions: int = 1) -> None:
        super().__init__()
        self.cell, self.hidden, self.directions = cell, hidden, directions
        self.rows = STATE_ROWS[cell]
        self.norm: nn.LayerNorm | None = None  # of its input; a stack has the say
        width = GATES[cell] * hidden
        self.weight_input = nn.Parameter(torch.empty(directions, width, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(directions, width, hidden))
        self.bias = nn.Parameter(torch.empty(directions, width))
        # Only the GRU's new gate needs a bias inside its reset product; elsewhere two would add up.
        self.bias_new = nn.Parameter(torch.empty(directions, hidden)) if cell == "gru" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier for the input, orthogonal for the recurrence, zero biases, forget bias 1."""
        for direction in range(self.directions):
            for gate in range(GATES[self.cell]):
                rows = slice(gate * self.hidden, (gate + 1) * self.hidden)
                nn.init.xavier_uniform_(self.weight_input.data[direction, rows])
                nn.init.orthogonal_(self.weight_hidden.data[direction, rows])
        nn.init.zeros_(self.bias)
        if self.cell == "lstm":
            nn.init.ones_(self.bias.data[:, self.hidden : 2 * self.hidden])
        if self.bias_new is not None:
            nn.init.zeros_(self.bias_new)

    def project(self, x: Tensor, columns: slice = slice(None), *, bias: bool = True) -> Tensor:
        """``W x + b`` for direction 0, with some columns of W only: [..., columns] -> [..., GH]."""
        return linear(x, self.weight_input[0, :, columns], self.bias[0] if bias else None)

    def step(self, projected: Tensor, state: Tensor) -> Tensor:
        """One step of direction 0: ``projected`` [N, GH], ``state`` [N, R, H] -> [N, R, H]."""
        h = state[:, 0]
        hidden = linear(h, self.weight_hidden[0])  # [N, GH]
        if self.bias_new is not None:
            bias = self.bias_new[0].to(hidden.dtype)
            return gru_cell(projected, hidden, h, bias).unsqueeze(1)
        if self.cell == "lstm":
            return torch.stack(lstm_cell(projected + hidden, state[:, 1]), 1)
        return torch.tanh(projected + hidden).unsqueeze(1)  # Elman 1990

    def scan(
        self,
        x: Tensor,
        state: Tensor | None = None,
        mask: Tensor | None = None,
        lengths: Ids | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run whole sequences.

        Args:
            x: [B, T, E].
            state: the first state, [B, R, D x H]; zeros when not given.
            mask: [B, T], false on padding, which stands at the end of a sequence and neither
                changes a state nor is read: the backward direction starts at the last real
                position, and the final state is the one after it.
            lengths: the same as numbers, [B], if they are known.

        Returns:
            Outputs [B, T, D x H] and the final state [B, R, D x H].
        """
        if kernels.suits(self, x, mask):
            return kernels.scan(self, x, state, mask, lengths)
        batch = x.shape[0]
        inputs = self._project_all(x.transpose(0, 1), mask)  # [D, T, B, GH]
        if state is None:
            first = inputs.new_zeros(self.rows, self.directions, batch, self.hidden)
        else:
            split = state.view(batch, self.rows, self.directions, self.hidden)
            first = split.permute(1, 2, 0, 3)
        weight = self.weight_hidden.to(inputs.dtype)
        if self.cell == "gru":
            assert self.bias_new is not None
            bias = self.bias_new.to(inputs.dtype).unsqueeze(1)
            rows = (_GruScan.apply(inputs, first[0], weight, bias),)  # type: ignore[no-untyped-call]
        elif self.cell == "lstm":
            rows = _LstmScan.apply(inputs, first[0], first[1], weight)  # type: ignore[no-untyped-call]
        else:
            rows = (_RnnScan.apply(inputs, first[0], weight),)  # type: ignore[no-untyped-call]
        # Direction 1 ran from the last position to the first.
        ways = [row.unbind(0) for row in rows]  # R times D of [T, B, H]
        last = torch.stack([_final(row, mask) for row in ways], 1)  # [B, R, DH]
        outputs = torch.cat((ways[0][0], ways[0][1].flip(0)), -1) if len(weight) > 1 else ways[0][0]
        return outputs.transpose(0, 1), last

    def _project_all(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``W x + b`` of every step and direction in its order of time: [T, B, E] -> [D, T, B, GH].

        Padding is made harmless here, so that the scans need no mask: a gate that is fully shut
        (GRU: update = 1; LSTM: forget = 1, input = 0) carries the state on exactly, and a tanh
        RNN stays at its first state of zero until the backward direction meets a real position.
        """
        inputs = [
            linear(x if d == 0 else x.flip(0), self.weight_input[d], self.bias[d])
            for d in range(self.directions)
        ]
        stacked = torch.stack(inputs) if self.directions > 1 else inputs[0].unsqueeze(0)
        if mask is None:
            return stacked
        padding = ~mask.t()  # [T, B]
        order = [padding if d == 0 else padding.flip(0) for d in range(self.directions)]
        shut = torch.stack(order).unsqueeze(-1)  # [D, T, B, 1]
        if self.cell == "rnn":
            return stacked.masked_fill(shut, 0.0)
        with torch.no_grad():  # the scan's gradient of a shut gate is zero already
            first, second = stacked.split(self.hidden, -1)[:2]
            second.masked_fill_(shut, math.inf)
            if self.cell == "lstm":
                first.masked_fill_(shut, -math.inf)
        return stacked


def _final(ways: tuple[Tensor, ...], mask: Tensor | None) -> Tensor:
    """One row of the state after the last real position, D x [T, B, H] -> [B, DH]."""
    forward = ways[0]
    if mask is None:
        last = forward[-1]
    else:
        position = (mask.sum(1) - 1).clamp_(min=0)
        last = forward[position, torch.arange(len(position), device=position.device)]
    return torch.cat((last, *(way[-1] for way in ways[1:])), -1)


class _GruScan(torch.autograd.Function):
    """:func:`gru_cell` over T steps; see the module's docstring for the gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``inputs`` [D, T, B, 3H], ``h`` [D, B, H], ``weight`` [D, 3H, H], ``bias`` [D, 1, H]."""
        hidden = h.shape[-1]
        both = (2 * hidden, hidden)  # reset and update; new
        across = recurrent(weight, h.shape[1])
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
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients in the order of the inputs; U's gradient is one product over all steps."""
        (grad,) = grads
        states, gates, inner, weight = ctx.saved_tensors
        before, hidden = states[:, :-1], inner.shape[-1]
        r, z, n = gates.split(hidden, -1)
        # What does not depend on the gradient coming back is formed for all steps at once:
        # d_product, the gradient of U h, begins as its factors and is multiplied in place.
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
        return d_inputs, dh, _weight_gradient(d_product, before), d_n.sum((1, 2)).unsqueeze(1)


class _LstmScan(torch.autograd.Function):
    """:func:`lstm_cell` over T steps."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, h: Tensor, c: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``inputs`` [D, T, B, 4H], ``h`` and ``c`` [D, B, H], ``weight`` [D, 4H, H]."""
        hidden, time = h.shape[-1], inputs.shape[1]
        across = recurrent(weight, h.shape[1])
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
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of inputs, h, c and weight."""
        grad_h, grad_c = grads
        states, cells, gates, weight = ctx.saved_tensors
        hidden = states.shape[-1]
        i, f, g, o = gates.split(hidden, -1)
        tanh_c = torch.tanh(cells[:, 1:])
        to_cell = o * (1 - tanh_c * tanh_c)
        d_gates = torch.empty_like(gates)  # begins as factors, as the GRU's
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
        return d_gates, dh, dc, _weight_gradient(d_gates, states[:, :-1])


class _RnnScan(torch.autograd.Function):
    """``h' = tanh(W x + U h + b)`` over T steps (Elman 1990)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        """``inputs`` [D, T, B, H], ``h`` [D, B, H], ``weight`` [D, H, H]."""
        across = recurrent(weight, h.shape[1])
        states = _with_first(h, inputs.shape[1])
        for t in range(inputs.shape[1]):
            torch.add(inputs[:, t], across(states[:, t]), out=states[:, t + 1]).tanh_()
        ctx.save_for_backward(states, weight)
        return states[:, 1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of inputs, h and weight."""
        (grad,) = grads
        states, weight = ctx.saved_tensors
        d_inputs = 1 - states[:, 1:] * states[:, 1:]  # begins as the slope
        dh = torch.zeros_like(states[:, 0])
        for t in reversed(range(d_inputs.shape[1])):
            dh = torch.bmm(d_inputs[:, t].mul_(dh + grad[:, t]), weight)
        return d_inputs, dh, _weight_gradient(d_inputs, states[:, :-1])


def _with_first(first: Tensor, time: int) -> Tensor:
    """Room for the states of T steps after the ``first`` [D, B, H]: [D, T + 1, B, H]."""
    directions, batch, hidden = first.shape
    states = first.new_empty(directions, time + 1, batch, hidden)
    states[:, 0] = first
    return states


def _weight_gradient(d_product: Tensor, states: Tensor) -> Tensor:
    """Sum over steps and batch of ``d_product`` x ``states``: [D, T, B, GH], [D, T, B, H]."""
    return torch.bmm(d_product.flatten(1, 2).transpose(1, 2), states.flatten(1, 2))
