"""Recurrent layers: tanh RNN, GRU and LSTM, over a whole sequence or one step at a time.

    B batch   T time   D directions (1 or 2)   E input width   H hidden width   G gates

A layer is used in two ways that give the same numbers: :meth:`Recurrent.scan` runs a sequence,
with a hand-written gradient that forms the gradient of the recurrent weights in *one* product
over all steps; :meth:`Recurrent.step` runs one step with plain autograd, for decoders that must
loop and for search.

The state of a layer is a tensor ``[B, R, H]``: row 0 is the hidden vector h, and for an LSTM
row 1 is the cell c (R = 2; else R = 1).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dragoman.model.products import linear, recurrent

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
STATE_ROWS = {"rnn": 1, "gru": 1, "lstm": 2}


def gru_cell(inputs: Tensor, hidden: Tensor, h: Tensor) -> Tensor:
    """GRU, Cho et al. 2014 eq. 5-8, with the reset gate after the product (as cuDNN has it).

    ``inputs`` = W x + b and ``hidden`` = U h + b, each [..., 3H] in the order reset, update, new.
    """
    i_r, i_z, i_n = inputs.chunk(3, -1)
    h_r, h_z, h_n = hidden.chunk(3, -1)
    r, z = torch.sigmoid(i_r + h_r), torch.sigmoid(i_z + h_z)
    n = torch.tanh(i_n + r * h_n)
    return n + z * (h - n)


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
            hidden = torch.cat(
                (hidden[:, : -self.hidden], hidden[:, -self.hidden :] + self.bias_new[0]), -1
            )
            return gru_cell(projected, hidden, h).unsqueeze(1)
        if self.cell == "lstm":
            return torch.stack(lstm_cell(projected + hidden, state[:, 1]), 1)
        return torch.tanh(projected + hidden).unsqueeze(1)  # Elman 1990

    def scan(
        self, x: Tensor, state: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run whole sequences.

        Args:
            x: [B, T, E].
            state: the first state, [B, R, D x H]; zeros when not given.
            mask: [B, T], false on padding, which stands at the end of a sequence and neither
                changes a state nor is read: the backward direction starts at the last real
                position, and the final state is the one after it.

        Returns:
            Outputs [B, T, D x H] and the final state [B, R, D x H].
        """
        batch = x.shape[0]
        inputs = self._project_all(x.transpose(0, 1), mask)  # [T, D, B, GH]
        if state is None:
            first = inputs.new_zeros(self.rows, self.directions, batch, self.hidden)
        else:
            split = state.view(batch, self.rows, self.directions, self.hidden)
            first = split.permute(1, 2, 0, 3)
        weight = self.weight_hidden.to(inputs.dtype)
        if self.cell == "gru":
            assert self.bias_new is not None
            bias = self.bias_new.to(inputs.dtype).unsqueeze(1)
            states = _GruScan.apply(inputs, first[0], weight, bias).unsqueeze(0)  # type: ignore[no-untyped-call]
        elif self.cell == "lstm":
            states = torch.stack(_LstmScan.apply(inputs, first[0], first[1], weight))  # type: ignore[no-untyped-call]
        else:
            states = _RnnScan.apply(inputs, first[0], weight).unsqueeze(0)  # type: ignore[no-untyped-call]
        # states: [R, T, D, B, H]; direction 1 ran from the last position to the first
        forward = states[:, :, 0]
        if mask is None:
            last = forward[:, -1]
        else:
            position = (mask.sum(1) - 1).clamp_(min=0)
            last = forward[:, position, torch.arange(batch, device=x.device)]
        if self.directions == 1:
            return forward[0].transpose(0, 1), last.transpose(0, 1)
        outputs = torch.cat((forward[0], states[0, :, 1].flip(0)), -1)  # [T, B, DH]
        last = torch.cat((last, states[:, -1, 1]), -1)  # [R, B, DH]
        return outputs.transpose(0, 1), last.transpose(0, 1)

    def _project_all(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``W x + b`` of every step and direction in its order of time: [T, B, E] -> [T, D, B, GH].

        Padding is made harmless here, so that the scans need no mask: a gate that is fully shut
        (GRU: update = 1; LSTM: forget = 1, input = 0) carries the state on exactly, and a tanh
        RNN stays at its first state of zero until the backward direction meets a real position.
        """
        inputs = [
            linear(x if d == 0 else x.flip(0), self.weight_input[d], self.bias[d])
            for d in range(self.directions)
        ]
        stacked = torch.stack(inputs, 1) if self.directions > 1 else inputs[0].unsqueeze(1)
        if mask is None:
            return stacked
        padding = ~mask.t()  # [T, B]
        order = [padding if d == 0 else padding.flip(0) for d in range(self.directions)]
        shut = torch.stack(order, 1).unsqueeze(-1)  # [T, D, B, 1]
        width = self.hidden
        if self.cell == "rnn":
            return stacked.masked_fill(shut, 0.0)
        gates = list(stacked.split(width, -1))
        if self.cell == "lstm":
            gates[0] = gates[0].masked_fill(shut, -math.inf)
        gates[1] = gates[1].masked_fill(shut, math.inf)
        return torch.cat(gates, -1)


class _GruScan(torch.autograd.Function):
    """:func:`gru_cell` over T steps; see the module's docstring for the gradient."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """``inputs`` [T, D, B, 3H], ``h`` [D, B, H], ``weight`` [D, 3H, H], ``bias`` [D, 1, H]."""
        time, directions, batch, width = inputs.shape
        hidden = width // 3
        across = recurrent(weight)
        states = inputs.new_empty(time + 1, directions, batch, hidden)
        gates = torch.empty_like(inputs)  # reset, update, new after their non-linearities
        inner = torch.empty_like(states[1:])  # U_n h + b_n, before the reset gate
        states[0] = h
        for t in range(time):
            product = across(states[t])
            rz = gates[t, ..., : 2 * hidden]
            torch.add(inputs[t, ..., : 2 * hidden], product[..., : 2 * hidden], out=rz)
            rz.sigmoid_()
            r, z, n = gates[t].split(hidden, -1)
            torch.add(product[..., 2 * hidden :], bias, out=inner[t])
            torch.addcmul(inputs[t, ..., 2 * hidden :], r, inner[t], out=n)
            n.tanh_()
            torch.lerp(n, states[t], z, out=states[t + 1])
        ctx.save_for_backward(states, gates, inner, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients in the order of the inputs; U's gradient is one product over all steps."""
        (grad,) = grads
        states, gates, inner, weight = ctx.saved_tensors
        time, hidden = inner.shape[0], inner.shape[-1]
        r, z, n = gates.split(hidden, -1)
        # What does not depend on the gradient coming back is formed for all steps at once.
        to_new = (1 - z) * (1 - n * n)
        to_update = (states[:-1] - n) * z * (1 - z)
        to_reset = inner * r * (1 - r)
        d_inputs = torch.empty_like(gates)
        d_product = torch.empty_like(gates)
        dh = torch.zeros_like(states[0])
        for t in reversed(range(time)):
            dh = dh + grad[t]
            d_r, d_z, d_n = d_inputs[t].split(hidden, -1)
            torch.mul(dh, to_new[t], out=d_n)
            torch.mul(dh, to_update[t], out=d_z)
            torch.mul(d_n, to_reset[t], out=d_r)
            d_product[t, ..., : 2 * hidden] = d_inputs[t, ..., : 2 * hidden]
            torch.mul(d_n, r[t], out=d_product[t, ..., 2 * hidden :])
            dh = torch.baddbmm(dh * z[t], d_product[t], weight)
        d_weight = _weight_gradient(d_product, states[:-1])
        d_bias = d_product[..., 2 * hidden :].sum((0, 2)).unsqueeze(1)
        return d_inputs, dh, d_weight, d_bias


class _LstmScan(torch.autograd.Function):
    """:func:`lstm_cell` over T steps."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, h: Tensor, c: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``inputs`` [T, D, B, 4H], ``h`` and ``c`` [D, B, H], ``weight`` [D, 4H, H]."""
        time, directions, batch, width = inputs.shape
        hidden = width // 4
        across = recurrent(weight)
        states = inputs.new_empty(time + 1, directions, batch, hidden)
        cells = torch.empty_like(states)
        gates = torch.empty_like(inputs)
        states[0], cells[0] = h, c
        for t in range(time):
            torch.add(inputs[t], across(states[t]), out=gates[t])
            i, f, g, o = gates[t].split(hidden, -1)
            gates[t, ..., : 2 * hidden].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            torch.mul(f, cells[t], out=cells[t + 1])
            cells[t + 1].addcmul_(i, g)
            torch.mul(o, torch.tanh(cells[t + 1]), out=states[t + 1])
        ctx.save_for_backward(states, cells, gates, weight)
        return states[1:], cells[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients of inputs, h, c and weight."""
        grad_h, grad_c = grads
        states, cells, gates, weight = ctx.saved_tensors
        hidden = states.shape[-1]
        i, f, g, o = gates.split(hidden, -1)
        tanh_c = torch.tanh(cells[1:])
        to_cell = o * (1 - tanh_c * tanh_c)
        to_input, to_new = g * i * (1 - i), i * (1 - g * g)
        to_forget, to_output = cells[:-1] * f * (1 - f), tanh_c * o * (1 - o)
        d_gates = torch.empty_like(gates)
        dh, dc = torch.zeros_like(states[0]), torch.zeros_like(states[0])
        for t in reversed(range(states.shape[0] - 1)):
            dh = dh + grad_h[t]
            dc = torch.addcmul(dc + grad_c[t], dh, to_cell[t])
            d_i, d_f, d_g, d_o = d_gates[t].split(hidden, -1)
            torch.mul(dc, to_input[t], out=d_i)
            torch.mul(dc, to_forget[t], out=d_f)
            torch.mul(dc, to_new[t], out=d_g)
            torch.mul(dh, to_output[t], out=d_o)
            dc = dc * f[t]
            dh = torch.bmm(d_gates[t], weight)
        return d_gates, dh, dc, _weight_gradient(d_gates, states[:-1])


class _RnnScan(torch.autograd.Function):
    """``h' = tanh(W x + U h + b)`` over T steps (Elman 1990)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        """``inputs`` [T, D, B, H], ``h`` [D, B, H], ``weight`` [D, H, H]."""
        across = recurrent(weight)
        states = torch.cat((h.unsqueeze(0), torch.empty_like(inputs)))
        for t in range(inputs.shape[0]):
            torch.add(inputs[t], across(states[t]), out=states[t + 1])
            states[t + 1].tanh_()
        ctx.save_for_backward(states, weight)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of inputs, h and weight."""
        (grad,) = grads
        states, weight = ctx.saved_tensors
        slope = 1 - states[1:] * states[1:]
        d_inputs = torch.empty_like(slope)
        dh = torch.zeros_like(states[0])
        for t in reversed(range(slope.shape[0])):
            torch.mul(dh + grad[t], slope[t], out=d_inputs[t])
            dh = torch.bmm(d_inputs[t], weight)
        return d_inputs, dh, _weight_gradient(d_inputs, states[:-1])


def _weight_gradient(d_product: Tensor, states: Tensor) -> Tensor:
    """Sum over steps and batch of ``d_product`` x ``states``: [T, D, B, GH], [T, D, B, H]."""
    directions = d_product.shape[1]
    left = d_product.transpose(0, 1).flatten(1, 2).transpose(1, 2)  # [D, GH, TB]
    right = states.transpose(0, 1).flatten(1, 2)  # [D, TB, H]
    return torch.stack([left[d] @ right[d] for d in range(directions)])
